"""Stock RQ, one job per request: each booking in a transaction of its own, on one kept connection.

The statements are the engine's work for one command, against the same tables: lock the seats, move them, write
the hold, move the ticket type's counts, record the command, raise the event's version. It checks less than the
engine (no limit per fan), which is in this baseline's favour.
"""

from __future__ import annotations

import base64
import datetime as dt
import os
import uuid
from typing import Any

import msgspec
import psycopg
import redis
from psycopg.types.json import Jsonb
from rq import get_current_job

CHANNEL = "baseline:done"
QUEUE = "baseline"
HOLD = dt.timedelta(minutes=10)

_connection: psycopg.Connection | None = None
_redis: redis.Redis | None = None


def _open() -> psycopg.Connection:
    global _connection
    if _connection is None:
        _connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return _connection


def _answer(document: dict[str, Any]) -> dict[str, Any]:
    """Publish the answer to the waiting request at once; RQ's own bookkeeping comes after."""
    global _redis
    if _redis is None:
        _redis = redis.Redis.from_url(os.environ["REDIS_URL"])
    job = get_current_job()
    assert job is not None
    _redis.publish(CHANNEL, msgspec.json.encode({"job": job.id, **document}))
    return document


def reserve(user_id: int, event_id: int, seats: list[tuple[int, int, int]]) -> dict[str, Any]:
    """Hold the seats, all or none."""
    connection = _open()
    types, rows, numbers = (list(column) for column in zip(*seats, strict=True))
    with connection.transaction():
        found = connection.execute(
            """
            SELECT s.status, s.held_until, t.price, clock_timestamp()
              FROM unnest(%s::int[], %s::int[], %s::int[]) AS k (ticket_type_id, row_number, seat_number)
              JOIN seat s USING (ticket_type_id, row_number, seat_number)
              JOIN ticket t USING (event_id, ticket_type_id)
             WHERE s.event_id = %s
             ORDER BY s.ticket_type_id, s.row_number, s.seat_number
               FOR UPDATE OF s
            """,
            (types, rows, numbers, event_id),
        ).fetchall()
        if len(found) < len(seats) or any(
            status == "booked" or (status == "reserved" and until > now) for status, until, _, now in found
        ):
            return _answer({"status": "failed", "code": "seats_taken"})
        now = found[0][3]
        total = sum(row[2] for row in found)
        reservation_id = uuid.uuid4()
        connection.execute(
            """
            UPDATE seat s SET status = 'reserved', reservation_id = %s, held_until = %s
              FROM unnest(%s::int[], %s::int[], %s::int[]) AS k (ticket_type_id, row_number, seat_number)
             WHERE s.event_id = %s AND s.ticket_type_id = k.ticket_type_id
               AND s.row_number = k.row_number AND s.seat_number = k.seat_number
            """,
            (reservation_id, now + HOLD, types, rows, numbers, event_id),
        )
        connection.execute(
            """
            INSERT INTO reservation (event_id, reservation_id, user_id, ticket_type_ids, row_numbers, seat_numbers,
                                     total_amount, created_at, expires_at, lifetime_ends_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (event_id, reservation_id, user_id, types, rows, numbers, total, now, now + HOLD, now + HOLD),
        )
        connection.execute(
            """
            UPDATE ticket SET available_count = available_count - %s, held_count = held_count + %s
             WHERE event_id = %s AND ticket_type_id = %s
            """,
            (len(seats), len(seats), event_id, types[0]),
        )
        outcome = {"status": "succeeded", "reservationId": str(reservation_id), "totalAmount": total}
        _record(connection, event_id, "reserve", user_id, outcome, now)
    return _answer(outcome)


def checkout(user_id: int, event_id: int, reservation_id: str) -> dict[str, Any]:
    """Buy a hold."""
    connection = _open()
    with connection.transaction():
        hold = connection.execute(
            """
            SELECT user_id, state, ticket_type_ids, row_numbers, seat_numbers, total_amount, expires_at,
                   clock_timestamp()
              FROM reservation WHERE event_id = %s AND reservation_id = %s FOR UPDATE
            """,
            (event_id, reservation_id),
        ).fetchone()
        if hold is None or hold[0] != user_id or hold[1] != "held" or hold[6] < hold[7]:
            return _answer({"status": "failed", "code": "hold_expired"})
        _, _, types, rows, numbers, total, _, now = hold
        purchase_id = uuid.uuid4()
        connection.execute(
            """
            UPDATE seat s SET status = 'booked', reservation_id = NULL, held_until = NULL
              FROM unnest(%s::int[], %s::int[], %s::int[]) AS k (ticket_type_id, row_number, seat_number)
             WHERE s.event_id = %s AND s.ticket_type_id = k.ticket_type_id
               AND s.row_number = k.row_number AND s.seat_number = k.seat_number
            """,
            (types, rows, numbers, event_id),
        )
        connection.execute(
            "UPDATE reservation SET state = 'purchased' WHERE event_id = %s AND reservation_id = %s",
            (event_id, reservation_id),
        )
        connection.execute(
            """
            INSERT INTO purchase (event_id, purchase_id, user_id, reservation_id, total_amount, currency, purchase_at)
            VALUES (%s, %s, %s, %s, %s, 'EUR', %s)
            """,
            (event_id, purchase_id, user_id, reservation_id, total, now),
        )
        codes = [base64.b32encode(os.urandom(10)).decode() for _ in types]
        connection.execute(
            """
            INSERT INTO purchase_detail (event_id, purchase_id, ticket_type_id, row_number, seat_number, amount,
                                         ticket_code)
            SELECT %s, %s, k.* FROM unnest(%s::int[], %s::int[], %s::int[], %s::bigint[], %s::text[]) AS k
            """,
            (event_id, purchase_id, types, rows, numbers, [total // len(types)] * len(types), codes),
        )
        connection.execute(
            "UPDATE ticket SET held_count = held_count - %s WHERE event_id = %s AND ticket_type_id = %s",
            (len(types), event_id, types[0]),
        )
        connection.execute(
            "INSERT INTO outbox (event_id, outbox_id, kind, payload, created_at) VALUES (%s, %s, %s, %s, %s)",
            (event_id, uuid.uuid4(), "purchase.made", Jsonb({"purchaseId": str(purchase_id)}), now),
        )
        outcome = {"status": "succeeded", "purchaseId": str(purchase_id), "totalAmount": total}
        _record(connection, event_id, "checkout", user_id, outcome, now)
    return _answer(outcome)


def _record(
    connection: psycopg.Connection, event_id: int, kind: str, user_id: int, outcome: dict[str, Any], now: dt.datetime
) -> None:
    connection.execute(
        """
        INSERT INTO booking_command (event_id, command_id, kind, user_id, body_hash, outcome, recorded_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        """,
        (event_id, uuid.uuid4(), kind, user_id, b"", Jsonb(outcome), now),
    )
    connection.execute("UPDATE event SET version = version + 1 WHERE event_id = %s", (event_id,))


def noop() -> None:
    """Do nothing, to measure what RQ itself costs."""
