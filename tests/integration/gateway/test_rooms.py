"""What a gateway knows of rooms that change while it reads them: real Postgres, real Valkey."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from redis import asyncio as aioredis

from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from db.rooms.steering import Ask, steer
from gateway.line.counts import Counts
from gateway.line.door import Door
from gateway.line.draws import Draws
from gateway.line.registry import RoomRegistry
from tests.ending import dispose
from waiting_room.line import Line
from waiting_room.model import News
from waiting_room.settings import LineSettings
from waiting_room.tickers import Tickers


async def test_a_change_made_while_rooms_are_read_is_not_undone(database_url: str, redis_url: str) -> None:
    steered, read_first = (seed_demo(database_url, room=RoomSeed()) for _ in range(2))
    engine = create_engine(database_url, pool_max=2)
    async with aioredis.Redis.from_url(redis_url, socket_timeout=60) as client:

        async def change(event_id: int, message: str) -> Any:
            async with engine.begin() as connection:
                return await steer(connection, event_id, Ask(dials={"message": message}), "Ada", "")

        class Slow(Line):
            """While it hears of one room, an operator steers another at this gateway."""

            async def configure(self, event: int, *args: Any, **kwargs: Any) -> Any:
                if event == read_first and rooms.rows[event].revision > 1:
                    rooms._line = Line(client)
                    await rooms.configure(await change(steered, "Doors at eight"))
                return await super().configure(event, *args, **kwargs)

        rooms = RoomRegistry(engine, Slow(client), LineSettings())
        await rooms.refresh()
        await change(read_first, "Rain")
        await rooms.refresh()
        assert rooms.rows[read_first].message == "Rain"
        assert rooms.rows[steered].message == "Doors at eight"
        await rooms.refresh()
        assert rooms.revisions() == {steered: 2, read_first: 2}
    await dispose(engine)


async def test_news_of_a_room_renews_its_row_and_its_counts_without_any_stream(
    database_url: str, redis_url: str
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(state="paused"))
    engine = create_engine(database_url, pool_max=2)
    async with aioredis.Redis.from_url(redis_url, socket_timeout=60) as client:
        line = Line(client)
        rooms = RoomRegistry(engine, line, LineSettings())
        # Its clock stands still: what is remembered is not old before the test has looked.
        counts = Counts(engine, line, rooms, 15, now=lambda: 0.0)
        await rooms.refresh()
        before = await counts.of(event_id)
        await line.join(event_id, 7)
        assert await counts.of(event_id) is before, "remembered"
        rooms.on_news(News(event=event_id, waiting=[7]))
        after = await counts.of(event_id)
        assert after is not None
        assert after.waiting == 1
        await line.join(event_id, 8)
        rooms.on_news(News(event=event_id, waiting=[8]))
        assert await counts.of(event_id) is after, "news that come closely are waited for"
        rooms.mark_stale(event_id)
        at_once = await counts.of(event_id)
        assert at_once is not None
        assert at_once.waiting == 2, "what this process did itself is seen at once"

        async with engine.begin() as connection:
            changed = await steer(connection, event_id, Ask(dials={"message": "Rain"}), "Ada", "")
        rooms.on_news(News(event=event_id, config=changed.revision))
        async with asyncio.timeout(5):
            while rooms.rows[event_id].message != "Rain":  # noqa: ASYNC110 - a registry has no event for it
                await asyncio.sleep(0.01)
    await dispose(engine)


async def test_one_room_in_trouble_takes_no_other_rooms_turn(database_url: str, redis_url: str) -> None:
    for _ in range(2):
        seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=5))
    engine = create_engine(database_url, pool_max=2)
    async with aioredis.Redis.from_url(redis_url, socket_timeout=60) as client:
        line = Line(client)
        rooms = RoomRegistry(engine, line, LineSettings())
        await rooms.refresh()
        broken, sound = rooms.rows  # Rooms have their turns in this order.
        door = Door(line, rooms, Draws(engine, line), Tickers(client))
        for event_id in (broken, sound):
            await client.hset(f"room:{{{event_id}}}:config", "capacity", "0")
            await line.join(event_id, 7)
            await client.hset(f"room:{{{event_id}}}:config", "capacity", "5")
        # A key of another type makes every script of this room fail.
        await client.delete(f"room:{{{broken}}}:places")
        await client.set(f"room:{{{broken}}}:places", "no hash")
        ticking = asyncio.create_task(door.keep_admitting())
        async with asyncio.timeout(10):
            while (await line.counts(sound)).called == 0:  # noqa: ASYNC110 - a line has no event for it
                await asyncio.sleep(0.05)
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
    await dispose(engine)
