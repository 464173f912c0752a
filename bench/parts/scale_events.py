"""Many gateways and many events with small lines: Valkey's CPU for a simulated second, by what the gateways do.

As in `bench.parts.scale`, Valkey, its scripts and the gateways' code for the line are the real ones, and a fan is a
counter. A simulated second takes as long as this machine needs for it, and Redis' own clock goes on meanwhile. So
leases last as long as the run, and what a deputy asks of that clock is as much longer, or shorter, as the second before
was.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

from bench.parts.scale import (
    FAN_FIRST,
    HEARTBEAT_SECONDS,
    TURNS_A_SECOND,
    CountedStream,
    Meter,
    Shown,
    SimulatedGateway,
)
from bench.report import Part
from bench.servers import System
from db.connections.engines import create_engine
from db.events.seed import EventPlan, RoomSeed, TicketTypePlan, create_event
from gateway.lifespan import GC_THRESHOLDS
from gateway.line.door import Door
from gateway.line.draws import Draws
from gateway.line.fan_streams import TURN_SECONDS, turn_now
from gateway.wire.stream import Stream
from waiting_room import tickers
from waiting_room.keys import room_channel
from waiting_room.line import Line
from waiting_room.model import Tick
from waiting_room.tickers import RENEW_SECONDS

CONNECTED_GATEWAYS: Final = 4
LEASE_SECONDS: Final = 3600.0
WARM_SECONDS: Final = 4
"""Simulated before anything counts: the deputies' first looks, and how slowly time goes."""
KINDS: Final = ("door", "leases", "places", "heartbeats")


class _PacedLine(Line):
    """The line, for which Redis' clock seems to go as the simulation does."""

    second = 1.0
    """How long the last simulated second took."""
    ticks = 0
    """How often a door was ticked, or its deputy asked whether it is."""

    async def admit(self, event: int, *, unless_within_ms: int = 0) -> Tick:
        _PacedLine.ticks += 1
        tick = await super().admit(event, unless_within_ms=round(unless_within_ms * self.second))
        return replace(tick, due_in_ms=math.ceil(tick.due_in_ms / self.second))


class _Gateway(SimulatedGateway):
    """The line's services of one gateway process, with its door."""

    def __init__(self, engine: Any, url: str, shown: Shown) -> None:
        super().__init__(engine, url, shown)
        self.paced_line = _PacedLine(self.client)
        draws = Draws(engine, self.line)
        self.door = Door(self.paced_line, self.rooms, draws, self.tickers, now=lambda: shown.now)

    async def listen_to(self, event_id: int, fan: int) -> None:
        """Let a fan who joined listen here."""
        standing = await self.line.standing(event_id, fan)
        counts = await self.counts.of(event_id)
        assert counts is not None
        place = self.places.place(event_id, standing, counts, fan, "s")
        await self.streams.subscribe(cast(Stream, CountedStream(self._shown)), event_id, fan, "s", place, counts)

    async def tick(self) -> None:
        self.door._meet(self.rooms.rows)
        await self.door._tick_all(self.rooms.rows)

    async def send(self, turn: int) -> None:
        for event in tuple(self.streams._events.values()):
            await self.streams._take_turn(event, turn)

    async def beat(self) -> None:
        await self.streams._heartbeat(tuple(self.streams._events.values()))


def _make_events(system: System, count: int) -> list[int]:
    now = dt.datetime.now(dt.UTC)
    plan = EventPlan(
        name="An evening",
        artist="Somebody",
        venue="Some hall",
        date=now + dt.timedelta(weeks=4),
        on_sale_at=now - dt.timedelta(hours=1),
        currency="EUR",
        ticket_types=(TicketTypePlan(ticket_type="Seat", price=1000, rows=1, seats_per_row=10),),
        room=RoomSeed(rate_per_minute=0, capacity=1),
    )
    with system.connect() as connection:
        made = [create_event(connection, plan) for _ in range(count)]
        connection.execute("ANALYZE event, ticket, seat, room")
    return made


class Simulation:
    """Events with a few fans each, who listen at gateways beside each other."""

    def __init__(self, system: System, events: Sequence[int], gateways: int, fans: int) -> None:
        self.shown = Shown()
        self._events = events
        self._fans = fans
        self._engine = create_engine(system.database_url, pool_max=4)
        self._gateways = [_Gateway(self._engine, system.redis_url, self.shown) for _ in range(gateways)]
        self.pairs = 0

    async def run(self, meter: Meter, seconds: int) -> None:
        gc.set_threshold(*GC_THRESHOLDS)
        tickers.LEASE_SECONDS = LEASE_SECONDS  # type: ignore[misc]
        listening = [asyncio.create_task(one.news.listen()) for one in self._gateways]
        first = self._gateways[0]
        try:
            await first.rooms.refresh()
            for one in self._gateways:
                # What each reads for itself is the same.
                one.rooms.rows, one.rooms._opened = dict(first.rooms.rows), set(first.rooms._opened)
                one.door._known_since = dict.fromkeys(first.rooms.rows, -LEASE_SECONDS)
                await one.news.connected.wait()
            await self._settle()
            for _ in range(2):
                await self._renew()
            turn = turn_now()
            for second in range(WARM_SECONDS):
                await self._second(Meter(meter.system), second, turn)
            self.shown.messages = self.shown.message_bytes = _PacedLine.ticks = 0
            for second in range(WARM_SECONDS, WARM_SECONDS + seconds):
                await self._second(meter, second, turn)
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
            for one in self._gateways:
                await one.close()
                await one.news._client.aclose()
            await self._engine.dispose()

    async def _settle(self) -> None:
        """Let all fans come. Those of one event are at gateways beside each other, `CONNECTED_GATEWAYS` at most."""
        number = len(self._gateways)
        for index, event_id in enumerate(self._events):
            for fan in range(self._fans):
                gateway = self._gateways[(index + fan % CONNECTED_GATEWAYS) % number]
                await gateway.line.join(event_id, FAN_FIRST + fan)
                await gateway.listen_to(event_id, FAN_FIRST + fan)
        for one in self._gateways:
            self.pairs += len(one.streams.watched)
            await one.news.follow(one.topic, {room_channel(event_id, 0) for event_id in one.streams.watched})
        await self._each("beat")

    async def _each(self, what: str, *arguments: Any) -> None:
        await asyncio.gather(*(getattr(one, what)(*arguments) for one in self._gateways))

    async def _renew(self) -> None:
        for one in self._gateways:
            await one.tickers.renew()

    async def _second(self, meter: Meter, second: int, turn: int) -> None:
        began = time.monotonic()
        for number in range(TURNS_A_SECOND):
            self.shown.now = second + number * TURN_SECONDS
            await meter.step("places", partial(self._each, "send", turn + second * TURNS_A_SECOND + number))
            await meter.step("door", partial(self._each, "tick"))
        if second % HEARTBEAT_SECONDS == 0:
            await meter.step("heartbeats", partial(self._each, "beat"))
        for _ in range(round(1 / RENEW_SECONDS)):
            await meter.step("leases", self._renew)
        _PacedLine.second = time.monotonic() - began


def measure(system: System, *, events: int, gateways: int, fans: int, seconds: int) -> Part:
    """Simulate so many seconds of these events at so many gateways."""
    part, meter, began = Part("scale"), Meter(system), time.monotonic()
    simulation = Simulation(system, _make_events(system, events), gateways, fans)
    asyncio.run(simulation.run(meter, seconds))
    shown = simulation.shown
    at = f"{gateways} gateways"
    for kind in KINDS:
        spent = meter.spent[kind]
        kilobytes = (spent.read + spent.sent) / seconds / 1000
        note = f"{spent.scripts / seconds:,.0f} scripts and {kilobytes:,.0f} kB a second"
        if kind == "door":
            ticks = _PacedLine.ticks / seconds / events
            note += f"; {spent.cpu / seconds / events * 1e6:.0f} µs and {ticks:.2f} ticks an event"
        part.add(f"{at}, {kind}", spent.cpu / seconds, "cores", note=note)
    cores = sum(spent.cpu for spent in meter.spent.values()) / seconds
    note = f"{events:,} events with {fans} fans each; {simulation.pairs:,} times an event has fans at a gateway"
    part.add(f"{at}, Valkey in all", cores, "cores", note=note)
    note = f"{shown.message_bytes / seconds / 1000:,.0f} kB a second, at all gateways"
    part.add(f"{at}, messages of news", shown.messages / seconds, "a second", note=note)
    taken = sum(spent.seconds for spent in meter.spent.values())
    note = f"{seconds} s simulated in {taken:.1f} s; the whole took {(time.monotonic() - began) / 60:.1f} minutes"
    part.add(f"{at}, slowdown", max(1.0, taken / seconds), "times", note=note)
    return part
