"""The draw in SQL: once, by the public formula, and secret until then."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connections.engines import create_engine
from db.draws.draws import commit_seed, draw_row, drawn_fans, drawn_number, fan_hashes, record_draw
from db.events.seed import RoomSeed
from db.rooms.rooms import room
from db.rooms.steering import Ask, steer
from tests.factories import make_event, one_type, plan_event
from waiting_room.draw import drawn_order, fan_hash, seed_hash

LOBBY = RoomSeed(lobby_minutes=30)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_max=4)
    yield engine
    await engine.dispose()


def event(database_url: str, *, on_sale_in: dt.timedelta, room: RoomSeed = LOBBY) -> int:
    return make_event(database_url, plan_event(on_sale_in=on_sale_in, hall=(one_type(),), room=room))


async def begin_sale(engine: AsyncEngine, event_id: int) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE event SET on_sale_at = clock_timestamp() - interval '1 second' WHERE event_id = :event_id"),
            {"event_id": event_id},
        )


async def test_a_draw_is_secret_until_it_is_drawn_and_drawn_once(engine: AsyncEngine, database_url: str) -> None:
    event_id = event(database_url, on_sale_in=dt.timedelta(minutes=5))
    async with engine.begin() as connection:
        committed = await draw_row(connection, event_id)
        assert committed is not None
        assert dataclasses.astuple(committed)[2:] == (None, None, None, None)
        assert await record_draw(connection, event_id, "1,2,3") is None, "not before the on-sale"
        await commit_seed(connection, event_id)
        assert await draw_row(connection, event_id) == committed, "a seed is committed to once"
    await begin_sale(engine, event_id)
    fans = random.Random(1).sample(range(1, 2**52), 500)
    async with engine.begin() as connection:
        drawn = await record_draw(connection, event_id, ",".join(map(str, [*fans, *fans[:9]])))
    assert drawn is not None
    assert drawn.seed is not None
    assert drawn.participants == 500
    assert seed_hash(drawn.seed) == committed.seed_hash.hex()
    hashes = {fan_hash(drawn.fan_key, fan): fan for fan in fans}
    order = drawn_order(drawn.seed, hashes)
    async with engine.begin() as connection:
        assert await record_draw(connection, event_id, "7,8,9") == drawn, "what was drawn stays drawn"
        listed = await fan_hashes(connection, event_id, 1, 1000)
        assert [one.hex() for one in listed] == order
        assert await drawn_fans(connection, event_id, 11, 20) == [hashes[one] for one in order[10:30]]
        assert await drawn_number(connection, event_id, hashes[order[41]]) == 42
        assert await drawn_number(connection, event_id, 7) is None


async def test_an_empty_lobby_is_drawn_too(engine: AsyncEngine, database_url: str) -> None:
    event_id = event(database_url, on_sale_in=dt.timedelta(minutes=5))
    await begin_sale(engine, event_id)
    async with engine.begin() as connection:
        drawn = await record_draw(connection, event_id, "")
        assert drawn is not None
        assert drawn.participants == 0


async def test_who_finds_another_about_it_comes_back(engine: AsyncEngine, database_url: str) -> None:
    event_id = event(database_url, on_sale_in=dt.timedelta(minutes=5))
    await begin_sale(engine, event_id)
    async with engine.begin() as one, engine.begin() as other:
        assert await record_draw(one, event_id, "1,2")
        assert await record_draw(other, event_id, "1,2") is None


async def test_a_lobby_is_of_events_to_come(engine: AsyncEngine, database_url: str) -> None:
    past = event(database_url, on_sale_in=dt.timedelta(minutes=-5))
    none = event(database_url, on_sale_in=dt.timedelta(minutes=5), room=RoomSeed())
    async with engine.begin() as connection:
        for event_id in (past, none):
            assert (await room(connection, event_id)).lobby_minutes == 0
            assert not (await room(connection, event_id)).has_draw
        changed = await steer(connection, none, Ask(dials={"lobby_minutes": 5}), "ada", "")
        assert changed.has_draw
        assert await draw_row(connection, none) is not None
