"""Writing ticket types and seats.

Seats travel as blocks of rows × seats in one JSON parameter, and Postgres makes the seats of them: so a stadium costs a
gateway no more than a club.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

import psycopg

from db.events.blocks import SeatBlock
from db.events.terms import RECORD_COLUMNS, TERM_COLUMNS, Terms, terms_row

TICKET_TYPES_MAX: Final = 1000

ADD_TICKET_TYPES: Final = f"""
INSERT INTO ticket (event_id, ticket_type_id, ticket_type, price, entrance, quantity, available_count, {TERM_COLUMNS})
SELECT %(event_id)s, k.ticket_type_id, k.ticket_type, k.price, k.entrance, 0, 0, {TERM_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (ticket_type_id int, ticket_type text, price bigint, entrance text, {RECORD_COLUMNS})
"""  # noqa: S608 - of constants alone

ADD_SEATS: Final = """
WITH added AS (
    INSERT INTO seat (event_id, ticket_type_id, row_number, seat_number)
    SELECT %(event_id)s, k.ticket_type_id, r.row_number, n.seat_number
      FROM json_to_recordset(%(blocks)s)
            AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
      CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
      CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
    RETURNING ticket_type_id
)
UPDATE ticket t
   SET quantity = t.quantity + c.seats, available_count = t.available_count + c.seats
  FROM (SELECT ticket_type_id, count(*)::int AS seats FROM added GROUP BY ticket_type_id) AS c
 WHERE t.event_id = %(event_id)s AND t.ticket_type_id = c.ticket_type_id
"""


def add_ticket_types(
    connection: psycopg.Connection,
    event_id: int,
    first_id: int,
    types: Iterable[tuple[str, int, str, Terms, Sequence[SeatBlock]]],
) -> None:
    """Write ticket types (name, price, entrance, terms, blocks), numbered from ``first_id`` on, with their seats and
    counts.

    Raises:
        psycopg.errors.CheckViolation: a price below 0.
        psycopg.errors.UniqueViolation: a seat stands in two blocks.
    """
    numbered = list(enumerate(types, first_id))
    rows = [
        {"ticket_type_id": number, "ticket_type": name, "price": price, "entrance": entrance, **terms_row(terms)}
        for number, (name, price, entrance, terms, _) in numbered
    ]
    connection.execute(ADD_TICKET_TYPES, {"event_id": event_id, "rows": json.dumps(rows)})
    add_seats(connection, event_id, [(number, blocks) for number, (*_, blocks) in numbered])


def add_seats(connection: psycopg.Connection, event_id: int, types: Iterable[tuple[int, Sequence[SeatBlock]]]) -> None:
    """Add seats to ticket types, (id, blocks) of each, and to their counts."""
    blocks = [block_row(0, ticket_type_id, block) for ticket_type_id, these in types for block in these]
    connection.execute(ADD_SEATS, {"event_id": event_id, "blocks": json.dumps(blocks)})


def describe(ticket_type: str, price: int, blocks: Iterable[SeatBlock]) -> str:
    """A ticket type in the log's words."""
    return f"{ticket_type}, {sum(block.quantity for block in blocks)} seats at {price}"


def block_row(item: int, ticket_type_id: int, block: SeatBlock) -> dict[str, int]:
    """A block as a row of a statement's JSON parameter."""
    return {
        "item": item,
        "ticket_type_id": ticket_type_id,
        "first_row": block.first_row,
        "rows": block.rows,
        "first_seat": block.first_seat,
        "seats_per_row": block.seats_per_row,
    }
