"""A ticket is let in once, whoever scans it at the same moment, and never if it was given back; undo and conflicts."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Json
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.audit.invariants import audit
from db.connections import primary
from db.connections.engines import create_engine
from db.entries.entries import Checked, Scan, TicketKey, check_in, record_conflict, recorded_conflict, undo
from db.entries.outcomes import Outcome
from db.entries.reading import FIRST, entry_conflicts, entry_counts, valid_tickets
from db.entries.used import LOCK_TICKETS, READ_USED
from db.events.seed import RoomSeed, seed_demo
from tests.databases import as_gateway
from tests.ending import dispose
from tests.integration.db.world import World

SCANNERS = 8


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    event_id = seed_demo(database_url, room=RoomSeed())
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield World(connection, event_id)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, SCANNERS, "admitone-test")
    yield engine
    await dispose(engine)


def sold(world: World, *seats: tuple[int, int, int], fan: int = 1) -> list[TicketKey]:
    """Tickets that a fan has bought."""
    hold = world.reserve(fan, list(seats), after_seconds=fan)
    bought = world.checkout(fan, hold, after_seconds=fan + 1)
    return [TicketKey(uuid.UUID(bought["purchaseId"]), seat) for seat in seats]


def scan(world: World, gate: str = "North", **facts: object) -> Scan:
    told = {"event_id": world.event_id, "gate": gate, "device": f"device-{gate}", "scan_id": uuid.uuid4()}
    return Scan(**told | {"operator": "stella"} | facts)  # type: ignore[arg-type]


class Gates:
    """Scanners whose connections have the rights of a gateway."""

    def __init__(self, database_url: str) -> None:
        self.pool = primary.pool(as_gateway(database_url), "admitone-test", SCANNERS, connections_min=0)

    async def enter(self, ticket: TicketKey | str, of: Scan) -> Checked:
        async with self.pool.connection() as connection:
            return await check_in(connection, ticket, of)


@pytest.fixture
async def gates(database_url: str) -> AsyncIterator[Gates]:
    gates = Gates(database_url)
    await gates.pool.open()
    yield gates
    await gates.pool.close()


async def test_of_many_scanners_at_once_one_lets_the_ticket_in(gates: Gates, world: World, database_url: str) -> None:
    tickets = sold(world, (1, 1, 1), (1, 1, 2), (1, 1, 3))
    for ticket in tickets:
        found = await asyncio.gather(*(gates.enter(ticket, scan(world, f"G{n}")) for n in range(SCANNERS)))
        (first,) = (one for one in found if one.outcome is Outcome.ADMITTED)
        others = [one for one in found if one is not first]
        assert [one.outcome for one in others] == [Outcome.USED] * (SCANNERS - 1)
        assert {one.entry for one in others} == {first.entry}, "all are told the gate and the time"
    assert audit(database_url) == []
    shown = world.connection.execute("SELECT shown_again FROM entry").fetchall()
    assert shown == [(SCANNERS - 1,)] * 3


async def test_a_scan_is_one_round_trip(gates: Gates, world: World, tmp_path: Path) -> None:
    first, second, third = (ticket._replace(issue_number=1) for ticket in sold(world, (1, 1, 1), (1, 1, 2), (1, 1, 3)))
    tried = [
        (second, Outcome.ADMITTED),
        (second, Outcome.USED),
        (third._replace(issue_number=9), Outcome.HANDED_ON),
        (third._replace(seat=(1, 9, 9)), Outcome.UNKNOWN),
    ]
    async with gates.pool.connection() as connection:
        await check_in(connection, first, scan(world))  # The statement is prepared once on each connection.
        for ticket, outcome in tried:
            with (tmp_path / "trace").open("w+") as trace:
                connection.pgconn.trace(trace.fileno())
                assert (await check_in(connection, ticket, scan(world))).outcome is outcome
                connection.pgconn.untrace()
                trace.seek(0)
                messages = trace.read()
            # Postgres answers at each of these, and psycopg waits for the answer.
            assert messages.count("\tSync") + messages.count("\tQuery\t") == 1, messages


async def test_tickets_are_found_by_keys_and_a_gateway_locks_them_by_the_view_alone(gates: Gates, world: World) -> None:
    sold(world, (1, 1, 1))
    async with gates.pool.connection() as connection:
        refused: Any = "SELECT FROM purchase_detail FOR KEY SHARE"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(refused)
        with pytest.raises(psycopg.Error):
            await connection.execute("UPDATE ticket_at_gate SET cancelled_at = now()")
        await connection.execute("SET enable_seqscan = off")
        for where in ("purchase_id = gen_random_uuid()", "left(ticket_code, 16) = ANY ('{A}')"):
            sought: Any = f"EXPLAIN SELECT FROM ticket_at_gate WHERE event_id = 1 AND {where}"
            plan = [row[0] for row in await (await connection.execute(sought)).fetchall()]
            assert any("Index Cond" in line for line in plan), plan
        await connection.execute("RESET enable_seqscan")


async def test_a_scan_that_is_sent_again_is_the_same_entry(gates: Gates, world: World) -> None:
    (ticket,) = sold(world, (1, 1, 1))
    of = scan(world)
    first, again = await gates.enter(ticket, of), await gates.enter(ticket, of)
    assert (first.outcome, again) == (Outcome.ADMITTED, first)


async def test_an_entry_that_was_undone_can_be_made_again(engine: AsyncEngine, gates: Gates, world: World) -> None:
    (ticket, other) = sold(world, (1, 1, 1), (1, 1, 2))
    of = scan(world)
    entry = (await gates.enter(ticket, of)).entry
    assert entry is not None
    async with engine.begin() as connection:
        assert await undo(connection, world.event_id, entry.entry_id, "ada")
        assert await undo(connection, world.event_id, entry.entry_id, "another")
        assert not await undo(connection, world.event_id, uuid.uuid4(), "ada")
    (by,) = world.connection.execute("SELECT undone_by FROM entry").fetchall()
    assert by == ("ada",)
    assert (await gates.enter(ticket, of)).outcome is Outcome.REPEATED, "the scan was undone"
    assert (await gates.enter(ticket, scan(world, "South"))).outcome is Outcome.ADMITTED
    assert (await gates.enter(other, of)).outcome is Outcome.REPEATED, "the scan's id was another ticket's"


async def test_what_is_no_valid_ticket_lets_nobody_in(gates: Gates, world: World, database_url: str) -> None:
    (ticket,) = sold(world, (1, 1, 1))
    hold = world.reserve(5, [(1, 2, 1)], after_seconds=20)
    given_back = world.checkout(5, hold, after_seconds=21)
    world.cancel(5, given_back, after_seconds=22)
    cancelled = TicketKey(uuid.UUID(given_back["purchaseId"]), (1, 2, 1))
    assert (await gates.enter(cancelled, scan(world))).outcome is Outcome.CANCELLED
    assert (await gates.enter(ticket._replace(seat=(1, 9, 9)), scan(world))).outcome is Outcome.UNKNOWN
    assert (await gates.enter(ticket._replace(purchase_id=uuid.uuid4()), scan(world))).outcome is Outcome.UNKNOWN
    assert (await gates.enter("ABCDEFGHIJKLMNOP", scan(world))).outcome is Outcome.UNKNOWN
    elsewhere = scan(world, event_id=seed_demo(database_url, room=RoomSeed()))
    assert (await gates.enter(ticket, elsewhere)).outcome is Outcome.UNKNOWN
    assert (await gates.enter(ticket._replace(issue_number=2), scan(world))).outcome is Outcome.HANDED_ON
    world.connection.execute("UPDATE event SET state = 'cancelled' WHERE event_id = %s", (world.event_id,))
    assert (await gates.enter(ticket, scan(world))).outcome is Outcome.EVENT_CANCELLED
    assert world.connection.execute("SELECT count(*) FROM entry").fetchone() == (0,)


async def test_a_ticket_is_found_by_its_code(gates: Gates, world: World) -> None:
    (ticket,) = sold(world, (1, 1, 1))
    world.connection.execute("UPDATE purchase_detail SET ticket_code = 'ABCDEFGHIJKLMNOP'")
    checked = await gates.enter("ABCDEFGHIJKLMNOP", scan(world))
    assert (checked.outcome, checked.seat) == (Outcome.ADMITTED, ticket.seat)


def lock(world: World, ticket: TicketKey) -> dict[str, Json]:
    """The lock that the engine takes before it changes a ticket."""
    row = {"event_id": world.event_id, "purchase_id": str(ticket.purchase_id)}
    row |= dict(zip(("ticket_type_id", "row_number", "seat_number"), ticket.seat, strict=True))
    rows = {"rows": Json([row])}
    world.connection.execute(LOCK_TICKETS, rows)
    return rows


def lock_and_cancel(world: World, ticket: TicketKey) -> list[tuple[object, ...]]:
    """What the engine does within its transaction: it locks, looks for entries, and cancels what has none."""
    used = world.connection.execute(READ_USED, lock(world, ticket)).fetchall()
    if not used:
        world.connection.execute(
            "UPDATE purchase_detail SET cancelled_at = clock_timestamp() WHERE purchase_id = %s", (ticket.purchase_id,)
        )
    return used


async def is_waiting(connection: AsyncConnection) -> bool:
    """Whether some connection of the database waits for a lock."""
    found = await connection.exec_driver_sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(found.scalar_one())


async def await_waiting(engine: AsyncEngine) -> None:
    async with asyncio.timeout(15), engine.connect() as connection:
        while not await is_waiting(connection):
            await connection.rollback()
            await asyncio.sleep(0.01)


async def test_a_scan_waits_for_a_cancellation_that_has_begun(engine: AsyncEngine, gates: Gates, world: World) -> None:
    (ticket,) = sold(world, (1, 1, 1))
    with world.connection.transaction():
        assert lock_and_cancel(world, ticket) == []
        entering = asyncio.create_task(gates.enter(ticket, scan(world)))
        await await_waiting(engine)
    assert (await entering).outcome is Outcome.CANCELLED
    assert world.connection.execute("SELECT count(*) FROM entry").fetchone() == (0,)


async def test_a_scan_waits_for_a_ticket_that_is_being_handed_on(
    engine: AsyncEngine, gates: Gates, world: World
) -> None:
    (ticket,) = sold(world, (1, 1, 1))
    with world.connection.transaction():
        lock(world, ticket)
        world.connection.execute("UPDATE purchase_detail SET issue_number = 2")
        entering = asyncio.create_task(gates.enter(ticket._replace(issue_number=1), scan(world)))
        await await_waiting(engine)
    assert (await entering).outcome is Outcome.HANDED_ON
    assert (await gates.enter(ticket._replace(issue_number=2), scan(world))).outcome is Outcome.ADMITTED


async def test_a_cancellation_waits_for_a_scan_that_has_begun(engine: AsyncEngine, gates: Gates, world: World) -> None:
    (ticket,) = sold(world, (1, 1, 1))
    async with gates.pool.connection() as connection, connection.transaction():
        assert (await check_in(connection, ticket, scan(world))).outcome is Outcome.ADMITTED
        cancelling = asyncio.create_task(asyncio.to_thread(in_transaction, world, ticket))
        await await_waiting(engine)
    assert len(await cancelling) == 1, "the engine sees the entry, and refuses"


def in_transaction(world: World, ticket: TicketKey) -> list[tuple[object, ...]]:
    with world.connection.transaction():
        return lock_and_cancel(world, ticket)


async def test_a_conflict_is_recorded_once_with_both_times(engine: AsyncEngine, gates: Gates, world: World) -> None:
    (ticket,) = sold(world, (1, 1, 1))
    first = await gates.enter(ticket, scan(world, "North"))
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    of = scan(world, "South", offline_at=before)
    for _ in range(2):
        async with engine.begin() as connection:
            known = await recorded_conflict(connection, of)
            if known is None:
                known = await gates.enter(ticket, of)
                await record_conflict(connection, of, known)
        assert (known.outcome, known.entry) == (Outcome.USED, first.entry)
    async with engine.connect() as connection:
        (conflict,) = await entry_conflicts(connection, world.event_id)
        counts, conflicts = await entry_counts(connection, world.event_id)
    assert (conflict.gate, conflict.scanned_at, conflict.entry_gate) == ("South", before, "North")
    assert first.entry is not None
    assert conflict.entry_scanned_at == first.entry.scanned_at
    assert conflicts == 1
    assert [(row.ticket_type_id, row.gate, row.entries) for row in counts] == [(1, "North", 1), (2, None, 0)]


async def test_an_entry_without_a_network_has_the_devices_time_too(gates: Gates, world: World) -> None:
    (ticket,) = sold(world, (1, 1, 1))
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    entry = (await gates.enter(ticket, scan(world, offline_at=before))).entry
    assert entry is not None
    assert entry.is_offline
    assert (entry.scanned_at, entry.entered_at > before) == (before, True)


async def test_the_list_has_all_valid_tickets_in_parts(engine: AsyncEngine, gates: Gates, world: World) -> None:
    seats = [(1, row, seat) for row in (1, 2) for seat in range(1, 5)]
    tickets = sold(world, *seats)
    hold = world.reserve(9, [(2, 1, 1)], after_seconds=50)
    world.cancel(9, world.checkout(9, hold, after_seconds=51), after_seconds=52)
    await gates.enter(tickets[2], scan(world))
    found, after = [], FIRST
    async with engine.connect() as connection:
        while part := await valid_tickets(connection, world.event_id, after, 3):
            found += part
            after = (part[-1].ticket_type_id, part[-1].row_number, part[-1].seat_number)
    assert [(row.ticket_type_id, row.row_number, row.seat_number) for row in found] == seats
    assert [row.gate for row in found] == [None, None, "North", *[None] * 5]
