"""Two gateways share the ticks of rooms out among them, and one goes on where the other one ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import pytest
from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_lane.clients import async_client
from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from gateway.line import door as door_module
from gateway.line.door import TICK_SECONDS, UNTICKED_SECONDS, Door
from gateway.line.draws import Draws
from gateway.line.registry import RoomRegistry
from tests.ending import dispose
from waiting_room.line import Line
from waiting_room.model import Tick
from waiting_room.settings import LineSettings
from waiting_room.tickers import TICKER, Tickers

ROOMS: Final = 6
TICKS: Final = 5
"""Ticks of each room that are awaited before they are counted."""
PACE_MAX: Final = 1 / (0.8 * TICK_SECONDS)
"""Ticks a second of one ticker at most; two of them make far more."""


class Counting(Line):
    """Counts the ticks that did something, by event, and those that were asked for in vain."""

    def __init__(self, client: aioredis.Redis) -> None:
        super().__init__(client)
        self.ticks: Counter[int] = Counter()
        self.vain: Counter[int] = Counter()

    async def admit(self, event: int, *, unless_within_ms: int = 0) -> Tick:
        tick = await super().admit(event, unless_within_ms=unless_within_ms)
        (self.vain if tick.due_in_ms else self.ticks)[event] += 1
        return tick


@dataclass
class Gateway:
    """What a gateway needs to tick doors, in this process."""

    line: Counting
    tickers: Tickers
    rooms: RoomRegistry
    door: Door
    tasks: list[asyncio.Task[None]]

    @classmethod
    async def start(cls, engine: AsyncEngine, client: aioredis.Redis) -> Gateway:
        line, tickers = Counting(client), Tickers(client)
        rooms = RoomRegistry(engine, line, LineSettings())
        await rooms.refresh()
        door = Door(line, rooms, Draws(engine, line), tickers)
        await tickers.renew()
        return cls(line, tickers, rooms, door, [])

    def run(self) -> None:
        self.tasks = [asyncio.create_task(keep()) for keep in (self.door.keep_lease, self.door.keep_admitting)]

    async def die(self) -> None:
        """End without a farewell: the lease stays until it ends by itself."""
        while running := [task for task in self.tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=1)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    client = async_client(redis_url)
    yield client
    await client.aclose(close_connection_pool=True)


@pytest.fixture
async def two(
    database_url: str, client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two gateways that have known their rooms for long, and of which each has seen the other's lease. A fan is in
    each room, who waits because nobody is let in.
    """
    monkeypatch.setattr(door_module, "NEW_SECONDS", 0.0)
    for _ in range(ROOMS):
        seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=5))
    engine = create_engine(database_url, pool_max=2)
    both = await Gateway.start(engine, client), await Gateway.start(engine, client)
    await both[0].tickers.renew()
    for event_id in both[0].rooms.rows:
        await both[0].line.join(event_id, 7)
    for gateway in both:
        gateway.run()
    yield both
    for gateway in both:
        await gateway.die()
    await dispose(engine)


async def test_each_room_has_one_ticker(two: tuple[Gateway, Gateway]) -> None:
    one, other = two
    began = time.monotonic()
    await _until(lambda: all(one.line.ticks[event] + other.line.ticks[event] >= TICKS for event in one.rooms.rows))
    seconds = time.monotonic() - began
    assert {one.tickers.rank(event) for event in one.rooms.rows} == {TICKER, TICKER + 1}, "both have rooms"
    for event in one.rooms.rows:
        assert one.line.ticks[event] + other.line.ticks[event] <= seconds * PACE_MAX + 2
    asked = one.line.vain.total() + other.line.vain.total()
    assert asked <= ROOMS * (seconds / (UNTICKED_SECONDS / 2) + 2), "a deputy rests while it is not needed"


async def test_the_other_one_ticks_what_a_dead_gateway_ticked(two: tuple[Gateway, Gateway]) -> None:
    one, other = two
    await one.die()
    before = Counter(other.line.ticks)
    began = time.monotonic()
    await _until(lambda: all(other.line.ticks[event] > before[event] for event in one.rooms.rows))
    print(f"all {ROOMS} doors were ticked again after {time.monotonic() - began:.2f} s")
    await _until(lambda: all(other.tickers.rank(event) == TICKER for event in one.rooms.rows))


async def test_a_ticker_that_does_not_tick_has_its_deputy(two: tuple[Gateway, Gateway]) -> None:
    """Its lease goes on, and yet no door stands still."""
    one, other = two
    one.tasks[1].cancel()
    before = Counter(other.line.ticks)
    await _until(lambda: all(other.line.ticks[event] >= before[event] + 2 for event in one.rooms.rows))


async def _until(is_so: Callable[[], bool], seconds_max: float = 20) -> None:
    async with asyncio.timeout(seconds_max):
        while not is_so():  # noqa: ASYNC110 - a door has no event for it
            await asyncio.sleep(0.01)
