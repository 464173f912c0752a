"""Many gateways and one event's line: Valkey's CPU for a simulated second, by what the gateways do.

Valkey, its scripts, and the gateways' own code for the line are the real ones; a fan is a counter in place of a socket.
The steps of a second are done one after another, as fast as this machine can, and each is measured alone. If a second
takes longer than a second, time goes slowly; Valkey's CPU for each simulated second is the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, Final, cast

from sqlalchemy.ext.asyncio import AsyncEngine

from bench.report import Part
from bench.servers import System
from booking_lane.clients import async_client, plain_async_client
from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from gateway.line.counts import Counts
from gateway.line.fan_streams import TURN_SECONDS, turn_now
from gateway.line.places import Places
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.line.streams import LineStreams
from gateway.process.news import News, Topic
from gateway.wire.stream import Stream
from waiting_room.keys import NEWS_CHANNEL
from waiting_room.line import Line
from waiting_room.model import read_news
from waiting_room.settings import LineSettings
from waiting_room.tickers import RENEW_SECONDS, Tickers
from waiting_room.tokens import Tokens

JOINS_AT_ONCE: Final = 500
HEARTBEAT_SECONDS: Final = 4
TICKS_A_SECOND: Final = 4
CONNECTED_SECONDS: Final = 120
"""The longest that the settings allow: in slow motion a fan's sign of life comes late."""
CALLS_A_SECOND: Final = 100
"""So many at most: in slow motion as many a tick as in a whole second."""
LEAVES_A_SECOND: Final = 20
CAPACITY: Final = 100_000
AIM_FANS: Final = 1_000_000
ISSUE_CORES: Final = {"heartbeats": 1.05e-6, "places": 0.34e-6}
"""The issue's table: cores a fan, at 100 gateways."""


@dataclass(slots=True)
class CountedStream:
    """A fan's stream that counts what it is sent."""

    written: list[int]
    closed: bool = False
    ends_at: float = float("inf")
    wrote_at: float = field(default_factory=time.monotonic)

    def write(self, frame: bytes) -> bool:
        self.written[0] += 1
        self.written[1] += len(frame)
        self.wrote_at = time.monotonic()
        return True

    def beat(self) -> None:
        self.wrote_at = time.monotonic()

    def keep(self) -> None:
        pass

    def end(self, last: bytes | None = None) -> None:
        self.closed = True


class SimulatedGateway:
    """The line's services of one gateway process."""

    def __init__(self, engine: AsyncEngine, url: str, written: list[int]) -> None:
        self.client = async_client(url, connections_max=4)
        self.line = Line(self.client)
        self.rooms = RoomRegistry(engine, self.line, LineSettings(connected_seconds=CONNECTED_SECONDS))
        self.counts = Counts(engine, self.line, self.rooms, 15)
        tokens = Tokens("a secret of the simulator alone", place_seconds=3600, hold_seconds=600)
        self.places = Places(self.rooms, tokens, lambda _: time.time())
        restoring = Restoring(engine, self.line, self.rooms, 600)
        self.streams = LineStreams(self.line, self.rooms, self.counts, self.places, restoring)
        self.tickers = Tickers(self.client)
        topic = Topic([NEWS_CHANNEL], read_news, [self.rooms.on_news, self.streams.on_news])
        self.news = News(plain_async_client(url), [topic], lambda: None)
        self._written = written

    async def add(self, event_id: int, fan: int) -> None:
        """Let a fan join and listen."""
        standing = await self.line.join(event_id, fan)
        counts = await self.counts.of(event_id)
        assert counts is not None
        place = self.places.place(event_id, standing, counts, fan, "s")
        stream = cast(Stream, CountedStream(self._written))
        await self.streams.subscribe(stream, event_id, fan, "s", place, counts)

    async def send_places(self, event_id: int, turn: int) -> None:
        event = self.streams._events.get(event_id)
        if event is not None:
            await self.streams._take_turn(event, turn)

    async def close(self) -> None:
        await self.client.aclose()


@dataclass(slots=True)
class Spent:
    """What a kind of step took: Valkey's CPU in seconds, its bytes in and out, and this machine's time."""

    cpu: float = 0.0
    read: int = 0
    sent: int = 0
    seconds: float = 0.0


class Meter:
    """Measures steps, by their kind."""

    def __init__(self, system: System) -> None:
        self._client = system.redis()
        self.spent: dict[str, Spent] = {}

    def _now(self) -> tuple[float, int, int]:
        info: dict[str, Any] = self._client.info()
        cpu = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
        return cpu, int(info["total_net_input_bytes"]), int(info["total_net_output_bytes"])

    async def step(self, kind: str, work: Callable[[], Awaitable[object]]) -> None:
        before, began = self._now(), time.monotonic()
        await work()
        after, spent = self._now(), self.spent.setdefault(kind, Spent())
        spent.cpu += after[0] - before[0]
        spent.read += after[1] - before[1]
        spent.sent += after[2] - before[2]
        spent.seconds += time.monotonic() - began


async def _simulate(system: System, meter: Meter, fans: int, gateways: int, seconds: int, written: list[int]) -> None:
    event_id = seed_demo(system.database_url, room=RoomSeed(rate_per_minute=0, capacity=1, line_cap=2_000_000))
    engine = create_engine(system.database_url, pool_max=4)
    crowd = [SimulatedGateway(engine, system.redis_url, written) for _ in range(gateways)]
    listening = [asyncio.create_task(one.news.listen()) for one in crowd]
    try:
        for one in crowd:
            await one.rooms.refresh()
            await one.news.connected.wait()

        async def send(turn: int) -> None:
            for one in crowd:
                await one.send_places(event_id, turn)

        async def beat() -> None:
            for one in crowd:
                await one.streams._heartbeat(tuple(one.streams._events.values()))

        async def join() -> None:
            """Let all join and listen, and each gateway ask and tell once what it follows from there by differences."""
            for first in range(0, fans, JOINS_AT_ONCE):
                chunk = range(first, min(first + JOINS_AT_ONCE, fans))
                await asyncio.gather(*(crowd[fan % gateways].add(event_id, 10**9 + fan) for fan in chunk))
            await beat()
            await send(turn_now())

        await meter.step("joins", join)
        counts = await crowd[0].line.counts(event_id)
        calling = replace(
            counts.config,
            rate_per_minute=CALLS_A_SECOND * 60,
            capacity=CAPACITY,
            revision=crowd[0].rooms.rows[event_id].revision + 1,
        )
        await crowd[0].line.configure(event_id, calling)
        written[:] = [0, 0]
        turn, chance = turn_now(), Random(18)
        for second in range(seconds):
            for number in range(round(1 / TURN_SECONDS)):
                now = turn + round(second / TURN_SECONDS) + number
                await meter.step("places", partial(send, now))
            if second % HEARTBEAT_SECONDS == 0:
                await meter.step("heartbeats", beat)

            async def leave() -> None:
                for _ in range(LEAVES_A_SECOND):
                    await crowd[0].line.leave(event_id, 10**9 + chance.randrange(fans))

            await meter.step("leaves", leave)

            async def tick() -> None:
                for _ in range(TICKS_A_SECOND):
                    await crowd[0].line.admit(event_id)

            await meter.step("door", tick)

            async def renew() -> None:
                for _ in range(round(1 / RENEW_SECONDS)):
                    await asyncio.gather(*(one.tickers.renew() for one in crowd))

            await meter.step("leases", renew)
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        for one in crowd:
            await one.close()
        await engine.dispose()


def measure(system: System, *, fans: int, gateways: int, seconds: int) -> Part:
    """Simulate so many seconds, which are best a multiple of eight: that is how rarely a fan far back is told."""
    part, meter, written = Part("scale"), Meter(system), [0, 0]
    asyncio.run(_simulate(system, meter, fans, gateways, seconds, written))
    joins = meter.spent.pop("joins")
    part.add("a join", joins.cpu / fans * 1e6, "µs of Valkey", note=f"{fans:,} fans, {gateways} gateways")
    for kind, spent in meter.spent.items():
        reference = ISSUE_CORES[kind] * fans if kind in ISSUE_CORES else None
        note = (
            f"{(spent.read + spent.sent) / seconds / 1000:,.0f} kB a second; {spent.cpu / seconds / fans * 1e6:.3f} µs"
        )
        against = "" if reference is None else "the issue's table"
        part.add(kind, spent.cpu / seconds, "cores", against, reference, note=f"{note} a fan and second")
    cores = sum(spent.cpu for spent in meter.spent.values()) / seconds
    # The aim is for a million fans; fewer prove nothing of it.
    part.add("Valkey in all, without joins", cores, "cores", aim="≤ 0.7" if fans >= AIM_FANS else "")
    part.add("frames to fans", written[0] / seconds, "a second", note=f"{written[1] / seconds / 1000:,.0f} kB a second")
    taken = sum(spent.seconds for spent in meter.spent.values())
    part.add("slowdown", max(1.0, taken / seconds), "times", note=f"{seconds} s simulated in {taken:.1f} s")
    return part
