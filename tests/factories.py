"""What a test's site and event are: one environment, one plan of an event, one way to write a hold and a purchase."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from db.booking.conduct import NETWORK_LIMITS_OFF
from db.events.seed import EventPlan, RoomSeed, TicketTypePlan, create_event

SECRET = "a secret of the tests, of no use anywhere else"
OPEN_DOOR = RoomSeed(rate_per_minute=600_000, capacity=100_000)
"""A room that admits at once."""
OFF = RoomSeed(state="off")
HALL = (
    TicketTypePlan(ticket_type="General", price=4900, rows=6, seats_per_row=10),
    TicketTypePlan(ticket_type="VIP", price=12900, rows=3, seats_per_row=8),
)
PRICES = {1: 4900, 2: 12900}
"""Of `HALL`'s ticket types, by their ids."""

Seat = tuple[int, int, int]
"""(ticket_type_id, row_number, seat_number)"""


def environ_of(database_url: str, redis_url: str, further: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a site's processes: limits out of the way, little work."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ADMITONE_")}
    return {
        **inherited,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ADMITONE_SECRET": SECRET,
        "ADMITONE_SESSIONS_PER_MINUTE": "1000000",
        "ADMITONE_JOINS_PER_MINUTE": "1000000",
        "ADMITONE_JOINS_FREE_PER_MINUTE": "1000000",
        "ADMITONE_STREAM_PER_NETWORK_MAX": "1000000",
        "ADMITONE_LANE_WAIT_SECONDS_MAX": "30",
        "ADMITONE_CAPTCHA_WORK_MAX": "100",
        "ADMITONE_DRAIN_SECONDS": "0",
        # A test writes an event and looks for it at once.
        "ADMITONE_SEARCH_CACHE_SECONDS": "0",
        "ADMITONE_SEARCH_FRESH_SECONDS": "0",
        "PYTHONUNBUFFERED": "1",
        **(further or {}),
    }


def one_type(name: str = "General", *, rows: int = 1, seats_per_row: int = 1, price: int = 4900) -> TicketTypePlan:
    """A ticket type for a hall of a test's own."""
    return TicketTypePlan(ticket_type=name, price=price, rows=rows, seats_per_row=seats_per_row)


def plan_event(
    *,
    name: str = "Nachtflug",
    artist: str = "Lena Brandt",
    venue: str = "Kulturhalle",
    on_sale_in: dt.timedelta = dt.timedelta(hours=-1),
    on_sale_at: dt.datetime | None = None,
    hall: Sequence[TicketTypePlan] = HALL,
    room: RoomSeed = OPEN_DOOR,
    seats_per_fan_max: int = 10,
    time_zone: str = "Europe/Berlin",
    payments: str = "",
) -> EventPlan:
    """An event in six weeks, on sale ``on_sale_in`` from now unless the moment is given."""
    now = dt.datetime.now(dt.UTC)
    return EventPlan(
        name=name,
        artist=artist,
        venue=venue,
        date=now + dt.timedelta(weeks=6),
        on_sale_at=on_sale_at or now + on_sale_in,
        currency="EUR",
        ticket_types=tuple(hall),
        room=room,
        seats_per_fan_max=seats_per_fan_max,
        time_zone=time_zone,
        payments=payments,
    )


def make_event(database: str | psycopg.Connection[Any], plan: EventPlan | None = None) -> int:
    """Write an event into a database, given by its URL or a connection: `plan_event` unless another. Gives its id."""
    plan = plan or plan_event()
    if not plan.room.network_limits_max:
        # A test's fans come from one address, and many tests hold a whole hall.
        plan = replace(plan, room=replace(plan.room, network_limits_max=NETWORK_LIMITS_OFF))
    if isinstance(database, psycopg.Connection):
        return create_event(database, plan)
    with psycopg.connect(database) as connection:
        return create_event(connection, plan)


def write_hold(
    connection: psycopg.Connection[Any],
    event_id: int,
    seats: Sequence[Seat],
    *,
    user_id: int = 7,
    created_at: dt.datetime | None = None,
    seconds: float = 600,
    grace_seconds: float = 0,
    prices: Mapping[int, int] = PRICES,
) -> tuple[uuid.UUID, dt.datetime]:
    """A hold of free seats as the engine would write it, its counts with it; gives its id and its end."""
    row = connection.execute(
        """
        INSERT INTO reservation (event_id, reservation_id, user_id, ticket_type_ids, row_numbers, seat_numbers,
                                 total_amount, created_at, expires_at, lifetime_ends_at, amounts)
        SELECT %(event_id)s, gen_random_uuid(), %(user_id)s, %(ticket_type_ids)s, %(row_numbers)s, %(seat_numbers)s,
               %(total)s, at, at + make_interval(secs => %(seconds)s), at + make_interval(secs => %(seconds)s),
               %(amounts)s
          FROM (SELECT coalesce(%(created_at)s, now()) AS at) AS moment
        RETURNING reservation_id, expires_at
        """,
        {
            "event_id": event_id,
            "user_id": user_id,
            "ticket_type_ids": [ticket_type_id for ticket_type_id, _, _ in seats],
            "row_numbers": [row for _, row, _ in seats],
            "seat_numbers": [number for _, _, number in seats],
            "amounts": [prices[ticket_type_id] for ticket_type_id, _, _ in seats],
            "total": sum(prices[ticket_type_id] for ticket_type_id, _, _ in seats),
            "created_at": created_at,
            "seconds": seconds,
        },
    ).fetchone()
    assert row is not None
    reservation_id, expires_at = row
    held_until = expires_at + dt.timedelta(seconds=grace_seconds)
    set_seats(connection, event_id, seats, "reserved", reservation_id, held_until)
    add_counts(connection, event_id, seats, available=-1, held=1)
    return reservation_id, expires_at


def write_purchase(
    connection: psycopg.Connection[Any],
    event_id: int,
    seats: Sequence[Seat],
    reservation_id: uuid.UUID | str,
    *,
    user_id: int,
    purchase_at: dt.datetime,
    prices: Mapping[int, int] = PRICES,
) -> uuid.UUID:
    """A purchase of a hold as the engine would write it, its counts with it; gives its id."""
    purchase_id = uuid.uuid4()
    total = sum(prices[seat[0]] for seat in seats)
    connection.execute(
        """
        INSERT INTO purchase (event_id, purchase_id, user_id, reservation_id, total_amount, currency, purchase_at)
        VALUES (%s, %s, %s, %s, %s, 'EUR', %s)
        """,
        (event_id, purchase_id, user_id, reservation_id, total, purchase_at),
    )
    for seat in seats:
        connection.execute(
            "INSERT INTO purchase_detail VALUES (%s, %s, %s, %s, %s, %s, 'code', NULL)",
            (event_id, purchase_id, *seat, prices[seat[0]]),
        )
    set_seats(connection, event_id, seats, "booked", None, None)
    add_counts(connection, event_id, seats, available=0, held=-1)
    connection.execute("UPDATE reservation SET state = 'purchased' WHERE reservation_id = %s", (reservation_id,))
    return purchase_id


def set_seats(
    connection: psycopg.Connection[Any],
    event_id: int,
    seats: Iterable[Seat],
    status: str,
    reservation_id: uuid.UUID | None,
    held_until: dt.datetime | None,
) -> None:
    """Give seats a status, and a hold or none."""
    for seat in seats:
        connection.execute(
            """
            UPDATE seat SET status = %s, reservation_id = %s, held_until = %s
             WHERE event_id = %s AND ticket_type_id = %s AND row_number = %s AND seat_number = %s
            """,
            (status, reservation_id, held_until, event_id, *seat),
        )


def add_counts(
    connection: psycopg.Connection[Any], event_id: int, seats: Iterable[Seat], *, available: int, held: int
) -> None:
    """Add to the counts of the seats' ticket types, once for each seat."""
    for ticket_type_id, _, _ in seats:
        connection.execute(
            """
            UPDATE ticket SET available_count = available_count + %s, held_count = held_count + %s
             WHERE event_id = %s AND ticket_type_id = %s
            """,
            (available, held, event_id, ticket_type_id),
        )
