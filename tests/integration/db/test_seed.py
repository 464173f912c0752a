"""Seeded events are on sale, whole, and quickly made."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time

import psycopg
import pytest

from db.audit.invariants import audit
from db.events.seed import EventPlan, RoomSeed, TicketTypePlan, create_event, find_demo, seed_demo, seed_stadium

ROOM = RoomSeed(state="off", rate_per_minute=60, capacity=7, line_cap=8, claim_window_seconds=9, pass_seconds=10)
PLAN = EventPlan(
    name="Recital",
    artist="Ada Quartet",
    venue="Small Hall",
    date=dt.datetime(2030, 5, 1, 19, tzinfo=dt.UTC),
    on_sale_at=dt.datetime(2030, 1, 1, 9, tzinfo=dt.UTC),
    currency="USD",
    ticket_types=(
        TicketTypePlan(ticket_type="Stalls", price=2500, rows=2, seats_per_row=3),
        TicketTypePlan(ticket_type="Balcony", price=1500, rows=1, seats_per_row=4),
    ),
    room=ROOM,
    seats_per_fan_max=4,
)


def test_the_demo_is_on_sale(database_url: str) -> None:
    event_id = seed_demo(database_url, room=ROOM)
    with psycopg.connect(database_url) as connection:
        tickets = connection.execute(
            "SELECT ticket_type, quantity, available_count, held_count FROM ticket ORDER BY ticket_type_id"
        ).fetchall()
        event = connection.execute(
            """
            SELECT event_id, currency, seats_per_fan_max, on_sale_at < now(),
                   date > now() + interval '4 weeks'
              FROM event
            """
        ).fetchall()
        room = connection.execute(
            """
            SELECT event_id, state, rate_per_minute, capacity, line_cap, claim_window_seconds, pass_seconds
              FROM room
            """
        ).fetchall()
        analysed = connection.execute("SELECT reltuples FROM pg_class WHERE relname = 'seat'").fetchone()
    assert tickets == [("General", 100, 100, 0), ("VIP", 50, 50, 0)]
    assert event == [(event_id, "EUR", 10, True, True)]
    assert room == [(event_id, "off", 60, 7, 8, 9, 10)]
    assert analysed == (150,)
    assert audit(database_url) == []


def test_the_newest_demo_is_found(database_url: str) -> None:
    assert find_demo(database_url) is None
    seed_demo(database_url, room=ROOM)
    newest = seed_demo(database_url, room=ROOM)
    other = seed_demo(database_url, room=ROOM, name="Matinee")
    assert find_demo(database_url) == newest
    assert find_demo(database_url, name="Matinee") == other


def test_a_stadium_has_80000_seats_within_seconds(database_url: str) -> None:
    begun = time.monotonic()
    seed_stadium(database_url, room=ROOM)
    assert time.monotonic() - begun < 10
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM seat").fetchone() == (80_000,)
        assert connection.execute("SELECT count(*) FROM ticket").fetchone() == (8,)
    assert audit(database_url) == []


def test_a_plan_becomes_an_event(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        event_id = create_event(connection, PLAN)
        seats = connection.execute(
            """
            SELECT ticket_type_id, max(row_number), max(seat_number), count(*)
              FROM seat WHERE event_id = %s GROUP BY 1 ORDER BY 1
            """,
            (event_id,),
        ).fetchall()
    assert seats == [(1, 2, 3, 6), (2, 1, 4, 4)]


def test_an_event_is_made_whole_or_not_at_all(database_url: str) -> None:
    free = dataclasses.replace(
        PLAN,
        ticket_types=(
            PLAN.ticket_types[0],
            TicketTypePlan(ticket_type="x", price=-1, rows=1, seats_per_row=1),
        ),
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.CheckViolation):
            create_event(connection, free)
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)


@pytest.mark.parametrize(
    "change",
    [
        {"ticket_types": ()},
        {"ticket_types": (TicketTypePlan(ticket_type="x", price=1, rows=0, seats_per_row=1),)},
        {"ticket_types": (TicketTypePlan(ticket_type="x", price=1, rows=1, seats_per_row=-1),)},
        {"ticket_types": (TicketTypePlan(ticket_type="x", price=1, rows=1001, seats_per_row=1000),)},
        {"currency": "eur"},
        {"date": dt.datetime(2030, 5, 1)},  # noqa: DTZ001 - what is refused
    ],
)
def test_a_plan_that_cannot_be_built_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"an event|a ticket type|a currency"):
        dataclasses.replace(PLAN, **change)  # type: ignore[arg-type]
