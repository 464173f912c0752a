"""A hall as it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connections.engines import create_engine
from db.events.halls import (
    READ_VERSIONS,
    begin_snapshot,
    hall_row,
    seat_rows,
    taken_seats,
    ticket_type_counts,
)
from db.events.seed import RoomSeed, seed_demo


@pytest.fixture
def event_id(database_url: str) -> int:
    return seed_demo(database_url, room=RoomSeed())


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_max=2)
    yield engine
    await engine.dispose()


def reserve(database_url: str, event_id: int, until: str) -> tuple[int, int, int]:
    """Hold the first free seat until then, as the engine writes it."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "UPDATE seat SET status = 'reserved', reservation_id = gen_random_uuid(), "
            "held_until = clock_timestamp() + %s::interval "
            "WHERE (event_id, ticket_type_id, row_number, seat_number) = ("
            "  SELECT event_id, ticket_type_id, row_number, seat_number FROM seat "
            "  WHERE event_id = %s AND status = 'available' "
            "  ORDER BY ticket_type_id, row_number, seat_number LIMIT 1"
            ") RETURNING ticket_type_id, row_number, seat_number",
            (until, event_id),
        ).fetchone()
        assert row is not None
        connection.execute(
            "UPDATE ticket SET available_count = available_count - 1, held_count = held_count + 1 "
            "WHERE event_id = %s AND ticket_type_id = %s",
            (event_id, row[0]),
        )
    return row[0], row[1], row[2]


async def test_a_lapsed_holds_seat_counts_as_free(engine: AsyncEngine, database_url: str, event_id: int) -> None:
    held = reserve(database_url, event_id, "10 minutes")
    reserve(database_url, event_id, "-1 second")
    async with engine.connect() as connection:
        await begin_snapshot(connection)
        row = await hall_row(connection, event_id)
        counts = await ticket_type_counts(connection, event_id)
        taken = await taken_seats(connection, event_id)
        rows = await seat_rows(connection, event_id)
        versions = await connection.exec_driver_sql(READ_VERSIONS, {"event_ids": [event_id, event_id + 1]})
        assert [tuple(one) for one in versions] == [(event_id, row.version if row else None)]
    assert row is not None
    assert row.rehearsal_of is None
    assert taken == {held: "reserved"}
    first = next(one for one in counts if one.ticket_type_id == held[0])
    assert (first.held_count, first.available_count) == (1, first.quantity - 1)
    assert sum(one.quantity for one in counts) == sum(len(one.seat_numbers) for one in rows)
    assert all(list(one.seat_numbers) == sorted(one.seat_numbers) for one in rows)


async def test_there_is_no_hall_without_its_event(engine: AsyncEngine, event_id: int) -> None:
    async with engine.connect() as connection:
        assert await hall_row(connection, event_id + 1) is None
