"""Many gateways and one event's line: Valkey's CPU for a simulated second, by what the gateways do.

Valkey, its scripts, and the gateways' own code for the line are the real ones; a fan is a counter in place of a socket.
The steps of a second are done one after another, as fast as this machine can, and each is measured alone. If a second
takes longer than a second, time goes slowly; Valkey's CPU for each simulated second is the same.

A place ages from the moment at which its gateway's turn began, before it asked the line. As it is sent, its age is how
long this machine took from there, as if a simulated second were a real one; a fan looks at it until the next one comes.
What an old place does to a fan is the difference between the number on the page and the true one at that moment.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from math import inf
from random import Random
from typing import Any, Final, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.report import Part
from bench.servers import System
from bench.stats import percentile
from booking_lane.clients import async_client, plain_async_client
from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from gateway.lifespan import GC_THRESHOLDS
from gateway.line.counting_down import Fall
from gateway.line.counts import Counts
from gateway.line.fan_streams import TURN_SECONDS, turn_now
from gateway.line.places import Places
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.line.sending import AHEAD_BOUNDS, INTERVAL_TURNS, INTERVALS_SECONDS
from gateway.line.streams import LineStreams
from gateway.process.news import News, Topic
from gateway.wire.stream import Stream
from waiting_room.keys import NEWS_CHANNEL, room_channel, room_key
from waiting_room.line import Line
from waiting_room.model import News as RoomNews
from waiting_room.model import read_news
from waiting_room.settings import LineSettings
from waiting_room.tickers import RENEW_SECONDS, Tickers
from waiting_room.tokens import Tokens

JOINS_AT_ONCE: Final = 250
"""So many fans join at one gateway in one trip to Redis. `GATEWAYS_AT_ONCE` gateways have trips under way, so that both
Valkey and this process have work.
"""
GATEWAYS_AT_ONCE: Final = 4
WAIT_SECONDS_MAX: Final = 120
HEARTBEAT_SECONDS: Final = 4
TURNS_A_SECOND: Final = round(1 / TURN_SECONDS)
"""As often as a door is ticked."""
CONNECTED_SECONDS: Final = 120
"""The longest that the settings allow: in slow motion a fan's sign of life comes late."""
CALLS_A_SECOND: Final = 100
LEAVES_A_SECOND: Final = 20
NEVER_MS: Final = 10**15
CAPACITY: Final = 100_000
FAN_FIRST: Final = 10**9
PLACE: Final = b"event: place"
LOOKS: Final = 2_000
"""So many waiting fans look at their pages in each simulated second, once all were sent their places."""
LOOKED_MIN: Final = 20
MANY: Final = 10**9
AIM_AGE_SECONDS: Final = 2
SCRIPT_COMMANDS: Final = ("evalsha", "eval", "fcall")
AIM_FANS: Final = 1_000_000
ISSUE_CORES: Final = {"heartbeats": 1.05e-6, "places": 0.34e-6}
"""The issue's table: cores a fan, at 100 gateways."""


def _turn_at(seconds: float) -> int:
    return int(seconds / TURN_SECONDS)


class _PlaceFrame(msgspec.Struct, rename="camel"):
    position: int | None = None
    falls_to: int = 0
    falls_in_seconds: float = 0.0


_read_place: Final = msgspec.json.Decoder(_PlaceFrame).decode


@dataclass(slots=True)
class Shown:
    """What fans were sent since the simulated time began, and how old the places were."""

    now: float = 0.0
    """The simulated time, in seconds."""
    turn_began_at: float = 0.0
    """The real time at which the gateway that sends now began its turn."""
    frames: int = 0
    frame_bytes: int = 0
    messages: int = 0
    message_bytes: int = 0
    sent_ages: list[float] = field(default_factory=list)
    looked_ages: list[float] = field(default_factory=list)
    looked: list[tuple[int, int]] = field(default_factory=list)
    """Of fans who looked: the position on the page, and the true one."""
    rose: int = 0
    """Numbers that were sent and are higher than what the page had counted down to."""


@dataclass(slots=True)
class CountedStream:
    """A fan's stream that counts what it is sent."""

    shown: Shown
    closed: bool = False
    ends_at: float = inf
    wrote_at: float = field(default_factory=time.monotonic)
    true_at: float = -inf
    """The simulated time at which what was written last was true."""
    position: int = 0
    fall: Fall | None = None
    """What the page counts down from the position."""

    def number(self, at: float) -> int:
        """The number on the page at a simulated time; it counts in steps of a turn."""
        return self.position - (0 if self.fall is None else self.fall.by(_turn_at(at)))

    def write(self, frame: bytes) -> bool:
        shown = self.shown
        shown.frames += 1
        shown.frame_bytes += len(frame)
        self.wrote_at = time.monotonic()
        if frame.startswith(PLACE):
            age = self.wrote_at - shown.turn_began_at
            self.true_at = shown.now - age
            shown.sent_ages.append(age)
            self._take(_read_place(frame[frame.index(b"{") :]))
        return True

    def _take(self, place: _PlaceFrame) -> None:
        if place.position is None:
            self.position, self.fall = 0, None
            return
        shown = self.number(self.shown.now)
        if 0 < shown < place.position:
            self.shown.rose += 1
        self.position = min(place.position, shown or place.position)
        turns = round(place.falls_in_seconds * TURNS_A_SECOND)
        self.fall = Fall(self.position - place.falls_to, turns, _turn_at(self.shown.now)) if turns else None

    def beat(self) -> None:
        self.wrote_at = time.monotonic()

    def keep(self) -> None:
        pass

    def end(self, last: bytes | None = None) -> None:
        self.closed = True


class SimulatedGateway:
    """The line's services of one gateway process."""

    def __init__(self, engine: AsyncEngine, url: str, shown: Shown) -> None:
        self.client = async_client(url, connections_max=4)
        # While Valkey rewrites the file of a million fans on a busy machine, nothing is to be given up.
        self.client.connection_pool.connection_kwargs["socket_timeout"] = WAIT_SECONDS_MAX
        self.line = Line(self.client)
        self.rooms = RoomRegistry(engine, self.line, LineSettings(connected_seconds=CONNECTED_SECONDS))
        # In slow motion, too, they are read once in a simulated second.
        self.counts = Counts(engine, self.line, self.rooms, 15, now=lambda: shown.now)
        tokens = Tokens("a secret of the simulator alone", place_seconds=3600, hold_seconds=600)
        self.places = Places(self.rooms, tokens, lambda _: time.time())
        restoring = Restoring(engine, self.line, self.rooms, 600)
        self.streams = LineStreams(self.line, self.rooms, self.counts, self.places, restoring)
        self.tickers = Tickers(self.client)
        self.topic = Topic([NEWS_CHANNEL], self._read_news, [self.rooms.on_news, self.streams.on_news])
        self.news = News(plain_async_client(url), [self.topic], lambda: None)
        self._shown = shown

    def _read_news(self, payload: bytes) -> RoomNews:
        self._shown.messages += 1
        self._shown.message_bytes += len(payload)
        return read_news(payload)

    async def add(self, event_id: int, fan: int) -> None:
        """Let a fan join and listen."""
        standing = await self.line.join(event_id, fan)
        counts = await self.counts.of(event_id)
        assert counts is not None
        place = self.places.place(event_id, standing, counts, fan, "s")
        stream = cast(Stream, CountedStream(self._shown))
        await self.streams.subscribe(stream, event_id, fan, "s", place, counts)

    def spread(self, event_id: int, turn: int, chance: Random) -> None:
        """Have the fans' turns come as if they had connected at any time, and not all at the end of the joins."""
        event = self.streams._events.get(event_id)
        for fan_stream in event.all() if event is not None else ():
            if event is not None:
                event.put_off(fan_stream, turn + chance.randrange(max(INTERVAL_TURNS)))

    async def send_places(self, event_id: int, turn: int) -> None:
        event = self.streams._events.get(event_id)
        if event is not None:
            self._shown.turn_began_at = time.monotonic()
            await self.streams._take_turn(event, turn)

    def look(self, event_id: int, fan: int, last_turn_at: float) -> int:
        """Let a fan look at the page, and note how old the place on it is.

        Returns:
            The number on it at ``last_turn_at``; 0 where there is none.
        """
        event = self.streams._events.get(event_id)
        for fan_stream in event.of([fan]) if event is not None else ():
            if fan_stream.state == "waiting":
                stream = cast(CountedStream, fan_stream.stream)
                self._shown.looked_ages.append(self._shown.now - stream.true_at)
                return stream.number(last_turn_at)
        return 0

    async def close(self) -> None:
        await self.client.aclose()


@dataclass(slots=True)
class Spent:
    """What a kind of step took: Valkey's CPU in seconds, its bytes in and out, the scripts that it ran, and this
    machine's time.
    """

    cpu: float = 0.0
    read: int = 0
    sent: int = 0
    scripts: int = 0
    seconds: float = 0.0


class Meter:
    """Measures steps, by their kind."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._client = system.redis()
        self.spent: dict[str, Spent] = {}

    def _now(self) -> tuple[float, int, int, int]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.info()
            pipe.info("commandstats")
            info, commands = cast(list[dict[str, Any]], pipe.execute())
        cpu = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
        scripts = sum(commands.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in SCRIPT_COMMANDS)
        return cpu, int(info["total_net_input_bytes"]), int(info["total_net_output_bytes"]), scripts

    async def step(self, kind: str, work: Callable[[], Awaitable[object]]) -> None:
        before, began = self._now(), time.monotonic()
        await work()
        after, spent = self._now(), self.spent.setdefault(kind, Spent())
        spent.cpu += after[0] - before[0]
        spent.read += after[1] - before[1]
        spent.sent += after[2] - before[2]
        spent.scripts += after[3] - before[3]
        spent.seconds += time.monotonic() - began


class Simulation:
    """One event's line and its gateways."""

    def __init__(self, system: System, fans: int, gateways: int, halts_after_seconds: float = inf) -> None:
        self.shown = Shown()
        self._fans = fans
        self._halts_after_seconds = halts_after_seconds
        self._event_id = seed_demo(
            system.database_url, room=RoomSeed(rate_per_minute=0, capacity=1, line_cap=2_000_000)
        )
        self._engine = create_engine(system.database_url, pool_max=4)
        self._gateways = [SimulatedGateway(self._engine, system.redis_url, self.shown) for _ in range(gateways)]
        self._chance = Random(18)

    def _at(self, fan: int) -> SimulatedGateway:
        return self._gateways[fan // JOINS_AT_ONCE % len(self._gateways)]

    async def run(self, meter: Meter, seconds: int) -> None:
        # As in a gateway: full collections of a million fans' objects would be most of the work.
        gc.set_threshold(*GC_THRESHOLDS)
        listening = [asyncio.create_task(one.news.listen()) for one in self._gateways]
        try:
            for one in self._gateways:
                await one.rooms.refresh()
                await one.news.connected.wait()
                await one.news.follow(one.topic, {room_channel(self._event_id, 0)})
            await meter.step("joins", self._join)
            await self._open()
            for second in range(seconds):
                await self._second(meter, second)
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
            for one in self._gateways:
                await one.close()
            await self._engine.dispose()

    async def _join(self) -> None:
        """Let all join and listen, and each gateway ask and tell once what it follows from there by differences."""
        firsts = iter(range(0, self._fans, JOINS_AT_ONCE))

        async def join_some() -> None:
            for first in firsts:
                some = range(first, min(first + JOINS_AT_ONCE, self._fans))
                await asyncio.gather(*(self._at(fan).add(self._event_id, FAN_FIRST + fan) for fan in some))

        await asyncio.gather(*(join_some() for _ in range(GATEWAYS_AT_ONCE)))
        await self._beat()
        await self._send(turn_now() + max(INTERVAL_TURNS))

    async def _open(self) -> None:
        """Open the door, and begin to count."""
        first = self._gateways[0]
        counts = await first.line.counts(self._event_id)
        calling = replace(
            counts.config,
            rate_per_minute=CALLS_A_SECOND * 60,
            capacity=CAPACITY,
            revision=first.rooms.rows[self._event_id].revision + 1,
        )
        await first.line.configure(self._event_id, calling)
        await asyncio.sleep(0.2)
        self._turn = turn_now()
        for one in self._gateways:
            one.spread(self._event_id, self._turn, self._chance)
        self.shown.frames = self.shown.frame_bytes = self.shown.messages = self.shown.message_bytes = 0
        self.shown.sent_ages.clear()

    async def _second(self, meter: Meter, second: int) -> None:
        for number in range(TURNS_A_SECOND):
            self.shown.now = second + number * TURN_SECONDS
            turn = self._turn + second * TURNS_A_SECOND + number
            await meter.step("places", partial(self._send, turn))
            await meter.step("leaves", self._leave)
            called = (await self._gateways[0].line.front(self._event_id)).called
            await meter.step("claims", partial(self._claim, [one.fan for one in called]))
            # Whatever time really went by, the door may call a turn's fans.
            tokens = CALLS_A_SECOND // TURNS_A_SECOND if second < self._halts_after_seconds else 0
            bucket: Mapping[Any, Any] = {"tokens": tokens, "at": NEVER_MS}
            await self._gateways[0].client.hset(room_key(self._event_id, "bucket"), mapping=bucket)
            await meter.step("door", self._tick)
        if second % HEARTBEAT_SECONDS == 0:
            await meter.step("heartbeats", self._beat)
        await meter.step("leases", self._renew)
        if second >= max(INTERVALS_SECONDS):
            await self._look(second)

    async def _look(self, second: int) -> None:
        """Let fans look, and compare what they see with the line as it is at the end of the second."""
        positions: dict[int, int] = {}
        for fan in self._chance.sample(range(self._fans), min(LOOKS, self._fans)):
            self.shown.now = second + self._chance.random() * (1 - TURN_SECONDS) + TURN_SECONDS
            if position := self._at(fan).look(self._event_id, FAN_FIRST + fan, second + 1 - TURN_SECONDS):
                positions[FAN_FIRST + fan] = position
        true = await self._gateways[0].line.positions(self._event_id, positions)
        pairs = zip(positions.values(), true.ranks, strict=True)
        self.shown.looked += [(position, rank + 1) for position, rank in pairs if rank >= 0]

    async def _send(self, turn: int) -> None:
        for one in self._gateways:
            await one.send_places(self._event_id, turn)

    async def _beat(self) -> None:
        for one in self._gateways:
            await one.streams._heartbeat(tuple(one.streams._events.values()))

    async def _leave(self) -> None:
        for _ in range(LEAVES_A_SECOND // TURNS_A_SECOND):
            fan = self._chance.randrange(self._fans)
            await self._at(fan).line.leave(self._event_id, FAN_FIRST + fan)

    async def _claim(self, fans: Sequence[int]) -> None:
        for fan in fans:
            await self._at(fan - FAN_FIRST).line.claim(self._event_id, fan)

    async def _tick(self) -> None:
        await self._gateways[0].line.admit(self._event_id)

    async def _renew(self) -> None:
        for _ in range(round(1 / RENEW_SECONDS)):
            await asyncio.gather(*(one.tickers.renew() for one in self._gateways))


def _add_differences(part: Part, looked: Sequence[tuple[int, int]]) -> None:
    """By how much the number on the page is higher than the true one, and lower, for fans with so many ahead."""
    for least, most in pairwise((0, *AHEAD_BOUNDS, MANY)):
        here = [(position - true, true) for position, true in looked if least < true <= most]
        if len(here) < LOOKED_MIN:
            continue
        of_places = sorted(difference for difference, _ in here)
        shares = sorted(100 * difference / true for difference, true in here)
        which = f"place {least + 1:,} to {most:,}" if most < MANY else f"place {least + 1:,} and further back"
        note = f"{percentile(shares, 0.99):.2g} % of it; {len(here):,} looks; p50 {percentile(of_places, 0.5):,.0f}"
        part.add(f"{which}: the page's number is higher, p99", percentile(of_places, 0.99), "places", note=note)
        note = f"at worst {max(0, -of_places[0]):,.0f}, {max(0.0, -shares[0]):.2g} % of it"
        part.add(
            f"{which}: the page's number is lower, p99", max(0.0, -percentile(of_places, 0.01)), "places", note=note
        )


def measure(system: System, *, fans: int, gateways: int, seconds: int, halts_after_seconds: float = inf) -> Part:
    """Simulate so many seconds. A fan far back is told every eight, so that only from the ninth on it is known how old
    the places are that fans look at. The door may halt, of which nobody is told.
    """
    part, meter, began = Part("scale"), Meter(system), time.monotonic()
    simulation = Simulation(system, fans, gateways, halts_after_seconds)
    asyncio.run(simulation.run(meter, seconds))
    shown, joins = simulation.shown, meter.spent.pop("joins")
    note = f"{fans:,} fans, {gateways} gateways; {joins.seconds:.0f} s for all"
    part.add("a join", joins.cpu / fans * 1e6, "µs of Valkey", note=note)
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
    news = f"{shown.message_bytes / seconds / 1000:,.0f} kB a second, at all gateways"
    part.add("messages of news", shown.messages / seconds / gateways, "a second and gateway", note=news)
    frames = f"{shown.frame_bytes / seconds / 1000:,.0f} kB a second"
    part.add("frames to fans", shown.frames / seconds, "a second", note=frames)
    for what, unordered in (("as it is sent", shown.sent_ages), ("as a fan looks at it", shown.looked_ages)):
        ages = sorted(unordered)
        for name, share, aim in (("p50", 0.5, ""), ("p99", 0.99, f"≤ {AIM_AGE_SECONDS}")) if ages else ():
            part.add(
                f"age of a place {what}, {name}", percentile(ages, share), "s", aim=aim, note=f"{len(ages):,} places"
            )
    _add_differences(part, shown.looked)
    part.add("frames with a higher number than the page had counted to", shown.rose, "frames")
    taken = sum(spent.seconds for spent in meter.spent.values())
    part.add("slowdown", max(1.0, taken / seconds), "times", note=f"{seconds} s simulated in {taken:.1f} s")
    part.add("the whole run", (time.monotonic() - began) / 60, "minutes")
    return part
