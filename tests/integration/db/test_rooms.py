"""A room's changes and their log stand or fall together."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy.event
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.change_log.changes import ChangeRow, Subject, change_rows, select_changes
from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from db.languages import Texts
from db.rooms.rooms import RoomRow, UnknownRoomError, room, rooms
from db.rooms.states import RoomState
from db.rooms.steering import Ask, Refusal, RoomChangedError, SteeringRefusedError, steer
from db.tables.rooms import Room


@pytest.fixture
def event_id(database_url: str) -> int:
    return seed_demo(database_url, room=RoomSeed())


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_max=4)
    yield engine
    await engine.dispose()


async def test_rooms_are_read(engine: AsyncEngine, database_url: str, event_id: int) -> None:
    other = seed_demo(database_url, room=RoomSeed(state="off", rate_per_minute=1))
    async with engine.connect() as connection:
        found = await room(connection, event_id)
        assert found == RoomRow(
            event_id=event_id,
            state=RoomState.OPEN,
            rate_per_minute=300,
            capacity=500,
            line_cap=5000,
            claim_window_seconds=60,
            pass_seconds=900,
            autopilot=False,
            revision=1,
            epoch=0,
            lobby_minutes=0,
            on_sale_at=found.on_sale_at,
            off_sale_at=found.off_sale_at,
            has_draw=False,
        )
        assert [found.event_id for found in await rooms(connection, 2)] == [event_id, other], "what is off comes last"


async def test_a_change_is_logged_field_by_field(engine: AsyncEngine, event_id: int) -> None:
    async with engine.begin() as connection:
        before = await room(connection, event_id)
        ask = Ask(dials={"rate_per_minute": 60, "capacity": 500, "autopilot": True})
        after = await steer(connection, event_id, ask, "ada", "the bar is full")
    assert after == dataclasses.replace(before, rate_per_minute=60, autopilot=True, revision=2)
    async with engine.connect() as connection:
        assert await room(connection, event_id) == after
        lines = await log(connection, event_id)
    assert {(row.field, row.before, row.after) for row in lines} == {
        ("rate_per_minute", "300", "60"),
        ("autopilot", "false", "true"),
    }
    assert {(row.operator, row.why) for row in lines} == {("ada", "the bar is full")}


async def log(connection: AsyncConnection, event_id: int, limit: int = 10) -> list[ChangeRow]:
    return change_rows(await connection.exec_driver_sql(*select_changes(Subject.ROOM, event_id, limit=limit)))


async def test_the_log_is_newest_first_and_bounded(engine: AsyncEngine, event_id: int) -> None:
    for rate in (1, 2, 3):
        async with engine.begin() as connection:
            await steer(connection, event_id, Ask(dials={"rate_per_minute": rate}), "ada", "")
    async with engine.connect() as connection:
        assert [row.after for row in await log(connection, event_id, limit=2)] == ["3", "2"]


async def test_what_changes_nothing_writes_nothing(engine: AsyncEngine, event_id: int) -> None:
    async with engine.begin() as connection:
        after = await steer(connection, event_id, Ask(paused=False), "ada", "")
        assert after.revision == 1
        assert await log(connection, event_id) == []


async def test_a_change_undone_leaves_no_log(engine: AsyncEngine, event_id: int) -> None:
    async with engine.connect() as connection:
        await steer(connection, event_id, Ask(paused=True), "ada", "")
        await connection.rollback()
        assert (await room(connection, event_id)).state == "open"
        assert await log(connection, event_id) == []


async def test_changes_at_once_follow_each_other(engine: AsyncEngine, event_id: int) -> None:
    async def change(rate: int) -> None:
        async with engine.begin() as connection:
            await steer(connection, event_id, Ask(dials={"rate_per_minute": rate}), "ada", "")

    await asyncio.gather(*(change(rate) for rate in range(1, 5)))
    async with engine.connect() as connection:
        lines = (await log(connection, event_id))[::-1]
        assert (await room(connection, event_id)).revision == 5
    assert [row.before for row in lines] == ["300", *(row.after for row in lines[:-1])]


@pytest.mark.parametrize(
    ("dials", "refusal"),
    [
        ({"event_id": 7}, Refusal.NO_SUCH_DIAL),
        ({"revision": 7}, Refusal.NO_SUCH_DIAL),
        ({"state": "open"}, Refusal.NO_SUCH_DIAL),
        ({"capacity": True}, Refusal.OUT_OF_BOUNDS),
        ({"autopilot": 1}, Refusal.OUT_OF_BOUNDS),
        ({"capacity": None}, Refusal.OUT_OF_BOUNDS),
        ({"rate_per_minute": -1}, Refusal.OUT_OF_BOUNDS),
        ({"rate_per_minute": 1_000_001}, Refusal.OUT_OF_BOUNDS),
        ({"pass_seconds": 4}, Refusal.OUT_OF_BOUNDS),
        ({"message": "x" * 281}, Refusal.OUT_OF_BOUNDS),
        ({"message": "nul\0"}, Refusal.OUT_OF_BOUNDS),
        ({"messages": Texts(ar="x" * 281)}, Refusal.OUT_OF_BOUNDS),
        ({"messages": Texts(ja="nul\0")}, Refusal.OUT_OF_BOUNDS),
        ({"capacity": 5, "priority_share": 101}, Refusal.OUT_OF_BOUNDS),
        ({}, Refusal.NOTHING_ASKED),
    ],
)
async def test_what_no_dial_takes_is_refused_whole(
    engine: AsyncEngine, event_id: int, dials: dict[str, Any], refusal: Refusal
) -> None:
    async with engine.begin() as connection:
        with pytest.raises(SteeringRefusedError) as refused:
            await steer(connection, event_id, Ask(dials=dials), "ada", "")
    assert refused.value.refusal is refusal
    assert refused.value.field in ({"priority_share"} if "priority_share" in dials else {"", *dials})
    async with engine.connect() as connection:
        assert (await room(connection, event_id)).revision == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "ajar"), ("rate_per_minute", -1), ("pass_seconds", 0), ("message", "x" * 281), ("priority_share", 101)],
)
async def test_the_table_keeps_bounds_of_its_own(
    engine: AsyncEngine, event_id: int, column: str, value: object
) -> None:
    async with engine.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(update(Room).where(Room.event_id == event_id).values({column: value}))


async def test_a_change_of_a_room_that_changed_meanwhile_is_refused(engine: AsyncEngine, event_id: int) -> None:
    async with engine.begin() as connection:
        await steer(connection, event_id, Ask(dials={"capacity": 7}), "ada", "narrow doors", revision=1)
        await steer(connection, event_id, Ask(dials={"message": "Doors at eight"}), "ben", "", revision=2)
    async with engine.connect() as connection:
        with pytest.raises(RoomChangedError) as refused:
            await steer(connection, event_id, Ask(dials={"capacity": 9}), "eve", "", revision=1)
        found = await room(connection, event_id)
    assert refused.value.revision == 3
    assert [(line.operator, line.field, line.before, line.after, line.revision) for line in refused.value.since] == [
        ("ada", "capacity", "500", "7", 2),
        ("ben", "message", "", "Doors at eight", 3),
    ]
    assert (found.capacity, found.message, found.revision) == (7, "Doors at eight", 3)


async def test_a_change_reads_its_row_once(engine: AsyncEngine, event_id: int) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sqlalchemy.event.listen(engine.sync_engine, "before_cursor_execute", note)
    async with engine.begin() as connection:
        after = await steer(connection, event_id, Ask(paused=True, dials={"capacity": 7}), "ada", "")
    assert [statement.split()[0] for statement in statements] == ["SELECT", "UPDATE", *["INSERT"] * 3]
    sqlalchemy.event.remove(engine.sync_engine, "before_cursor_execute", note)
    async with engine.connect() as connection:
        assert await room(connection, event_id) == after


async def test_an_event_without_a_room_is_unknown(engine: AsyncEngine, event_id: int) -> None:
    async with engine.connect() as connection:
        with pytest.raises(UnknownRoomError):
            await room(connection, event_id + 1)
        with pytest.raises(UnknownRoomError):
            await steer(connection, event_id + 1, Ask(dials={"capacity": 1}), "ada", "")
