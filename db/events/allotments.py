"""Allotments: seats that are out of the sale under a name, and come back.

A seat of an allotment is no seat of the hall: nothing counts it, and no booking can reach it. It leaves and comes back
between two batches, as any edit (`db.events.editing`), and a given hall plan still knows its place.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

import psycopg

from db.events.edits import NewAllotment, Seat, SeatsOfType, seat_rows

ALLOTMENTS_LISTED_MAX: Final = 1000

_SEAT: Final = "event_id, ticket_type_id, row_number, seat_number"

MAKE: Final = """
INSERT INTO allotment (event_id, allotment_id, name, made_by)
VALUES (%(event_id)s, %(allotment_id)s, %(name)s, %(operator)s)
"""

KEEP: Final = f"""
INSERT INTO allotment_seat ({_SEAT}, allotment_id)
SELECT s.event_id, s.ticket_type_id, s.row_number, s.seat_number, %(allotment_id)s
  FROM json_to_recordset(%(blocks)s)
       AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
 CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
 CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
  JOIN seat s
    ON s.event_id = %(event_id)s AND s.ticket_type_id = k.ticket_type_id
   AND s.row_number = r.row_number AND s.seat_number = n.seat_number
"""  # noqa: S608 - of constants alone

PUT_BACK: Final = f"""
WITH back AS (
    INSERT INTO seat ({_SEAT})
    SELECT {_SEAT}
      FROM allotment_seat
     WHERE allotment_id = %(allotment_id)s AND event_id = %(event_id)s
        ON CONFLICT DO NOTHING
    RETURNING ticket_type_id, row_number, seat_number
), counted AS (
    UPDATE ticket t
       SET quantity = t.quantity + c.seats, available_count = t.available_count + c.seats
      FROM (SELECT ticket_type_id, count(*)::int AS seats FROM back GROUP BY ticket_type_id) AS c
     WHERE t.event_id = %(event_id)s AND t.ticket_type_id = c.ticket_type_id
)
SELECT ticket_type_id, row_number, seat_number FROM back
"""  # noqa: S608 - of constants alone

END: Final = """
DELETE FROM allotment WHERE allotment_id = %(allotment_id)s AND event_id = %(event_id)s RETURNING name
"""

LIST: Final = """
SELECT a.allotment_id, a.name, a.made_at, a.made_by, s.ticket_type_id, s.row_number, s.seat_number
  FROM (SELECT *
          FROM allotment
         WHERE event_id = %(event_id)s
         ORDER BY made_at DESC
         LIMIT %(allotments_max)s) AS a
  LEFT JOIN allotment_seat s USING (event_id, allotment_id)
 ORDER BY a.made_at DESC, a.allotment_id, s.ticket_type_id, s.row_number, s.seat_number
"""


class AllotmentRow(NamedTuple):
    """An allotment with its seats, (ticket_type_id, row_number, seat_number) of each."""

    allotment_id: uuid.UUID
    name: str
    made_at: dt.datetime
    made_by: str
    seats: list[Seat]


def keep_seats(
    connection: psycopg.Connection, event_id: int, new: NewAllotment, parts: Sequence[SeatsOfType], operator: str
) -> int:
    """Note these seats of the hall as an allotment; return how many they are. The caller removes them from the hall."""
    key = {"event_id": event_id, "allotment_id": new.allotment_id}
    connection.execute(MAKE, key | {"name": new.name, "operator": operator})
    return connection.execute(KEEP, key | {"blocks": seat_rows(parts)}).rowcount


def is_allotment(connection: psycopg.Connection, event_id: int, allotment_id: uuid.UUID) -> bool:
    """Whether the event has this allotment."""
    key = (allotment_id, event_id)
    found = connection.execute("SELECT FROM allotment WHERE allotment_id = %s AND event_id = %s", key)
    return found.fetchone() is not None


def put_back(connection: psycopg.Connection, event_id: int, allotment_id: uuid.UUID) -> tuple[str, set[Seat]]:
    """Put the seats of an allotment back into the hall, and end it; return its name and its seats, without those that
    a hall plan has added meanwhile.
    """
    key = {"event_id": event_id, "allotment_id": allotment_id}
    seats = {(row[0], row[1], row[2]) for row in connection.execute(PUT_BACK, key).fetchall()}
    row = connection.execute(END, key).fetchone()
    assert row is not None
    return str(row[0]), seats


def list_allotments(connection: psycopg.Connection, event_id: int) -> list[AllotmentRow]:
    """The event's allotments, the newest first; `ALLOTMENTS_LISTED_MAX` at most."""
    found: dict[uuid.UUID, AllotmentRow] = {}
    for allotment_id, name, made_at, made_by, *seat in connection.execute(
        LIST, {"event_id": event_id, "allotments_max": ALLOTMENTS_LISTED_MAX}
    ):
        row = found.setdefault(allotment_id, AllotmentRow(allotment_id, name, made_at, made_by, []))
        if seat[0] is not None:
            row.seats.append((seat[0], seat[1], seat[2]))
    return list(found.values())
