"""Reads what stewards at the gates need: tickets by what a fan can tell, all valid tickets, counts and conflicts."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.seats import Seat
from db.booking.ticket_codes import BEGINNING_CHARS

FOUND_MAX: Final = 50
CONFLICTS_MAX: Final = 200
FIRST: Final[Seat] = (0, -1, -1)
"""Before every seat."""

_LIVING: Final[LiteralString] = """
  LEFT JOIN entry x
    ON (x.purchase_id, x.ticket_type_id, x.row_number, x.seat_number, x.event_id)
     = (d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number, d.event_id)
   AND x.undone_at IS NULL"""

_FOUND: Final[LiteralString] = f"""
SELECT d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number, d.cancelled_at IS NOT NULL,
       x.entry_id, x.entered_at, x.gate
  FROM found f
  JOIN purchase_detail d
    ON (d.purchase_id, d.event_id) = (f.purchase_id, %(event_id)s)
   AND (f.ticket_type_id IS NULL OR (d.ticket_type_id, d.row_number, d.seat_number)
                                  = (f.ticket_type_id, f.row_number, f.seat_number))
{_LIVING}
 ORDER BY d.cancelled_at NULLS FIRST, d.ticket_type_id, d.row_number, d.seat_number
 LIMIT {FOUND_MAX}
"""  # noqa: S608 - of constants alone

BY_ORDER: Final[LiteralString] = f"""
WITH found AS (SELECT %(sought)s::uuid AS purchase_id, NULL::int AS ticket_type_id, 0 AS row_number, 0 AS seat_number)
{_FOUND}"""

BY_ADDRESS: Final[LiteralString] = f"""
WITH found AS (
    SELECT p.purchase_id, NULL::int AS ticket_type_id, 0 AS row_number, 0 AS seat_number
      FROM contact c
      JOIN purchase p USING (user_id, event_id)
     WHERE c.address_hash = %(sought)s AND c.event_id = %(event_id)s
     UNION
    SELECT d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number
      FROM contact c
      JOIN purchase_detail d ON (d.holder_user_id, d.event_id) = (c.user_id, c.event_id)
     WHERE c.address_hash = %(sought)s AND c.event_id = %(event_id)s
)
{_FOUND}"""  # noqa: S608 - of constants alone

BY_CODE: Final[LiteralString] = f"""
WITH found AS (
    SELECT purchase_id, ticket_type_id, row_number, seat_number
      FROM purchase_detail
     WHERE left(ticket_code, {BEGINNING_CHARS}) = ANY (%(sought)s) AND event_id = %(event_id)s
)
{_FOUND}"""  # noqa: S608 - of constants alone

BY_SEAT: Final[LiteralString] = f"""
WITH found AS (
    SELECT d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number
      FROM json_to_recordset(%(sought)s) AS k (ticket_type_id int, row_number int, seat_number int)
      JOIN purchase_detail d USING (ticket_type_id, row_number, seat_number)
     WHERE d.event_id = %(event_id)s AND d.cancelled_at IS NULL
)
{_FOUND}"""  # noqa: S608 - of constants alone

_LISTED: Final[LiteralString] = f"""
SELECT d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number, d.issue_number, d.ticket_code,
       x.scanned_at, x.gate
  FROM (SELECT s.event_id, s.ticket_type_id, s.row_number, s.seat_number
          FROM seat s
         WHERE s.event_id = %(event_id)s AND s.status = 'booked'
           AND (s.ticket_type_id, s.row_number, s.seat_number)
             > (%(ticket_type_id)s::int, %(row_number)s::int, %(seat_number)s::int)
         ORDER BY s.ticket_type_id, s.row_number, s.seat_number
         LIMIT %(tickets_max)s) AS s
  JOIN purchase_detail d USING (ticket_type_id, row_number, seat_number, event_id)
{_LIVING}
 WHERE d.cancelled_at IS NULL
 ORDER BY d.ticket_type_id, d.row_number, d.seat_number
"""  # noqa: S608 - of constants alone

_COUNTS: Final[LiteralString] = """
SELECT t.ticket_type_id, t.ticket_type, t.quantity - t.available_count - t.held_count, e.gate, coalesce(e.entries, 0),
       e.latest_at
  FROM ticket t
  LEFT JOIN (SELECT ticket_type_id, gate, count(*) AS entries, max(entered_at) AS latest_at
               FROM entry
              WHERE event_id = %(event_id)s AND undone_at IS NULL
              GROUP BY ticket_type_id, gate) e USING (ticket_type_id)
 WHERE t.event_id = %(event_id)s
 ORDER BY t.ticket_type_id, e.gate
"""
_COUNT_CONFLICTS: Final[LiteralString] = """
SELECT count(*) FROM entry_conflict WHERE event_id = %(event_id)s
"""
_CONFLICTS: Final[LiteralString] = """
SELECT c.why, c.ticket_type_id, c.row_number, c.seat_number, c.gate, c.operator, c.scanned_at, c.recorded_at,
       x.gate, x.scanned_at, x.operator
  FROM entry_conflict c
  LEFT JOIN entry x USING (entry_id, event_id)
 WHERE c.event_id = %(event_id)s
 ORDER BY c.recorded_at DESC
 LIMIT %(conflicts_max)s
"""
_EVENTS: Final[LiteralString] = """
SELECT event_id, name, venue, date, time_zone
  FROM event
 WHERE rehearsal_of IS NULL AND state <> 'cancelled' AND date > now() - make_interval(hours => %(hours)s)
   AND NOT EXISTS (SELECT FROM shop WHERE shop.event_id = event.event_id)
   AND (%(event_ids)s::bigint[] IS NULL OR event_id = ANY (%(event_ids)s::bigint[]))
 ORDER BY date, event_id
 LIMIT %(events_max)s
"""


class FoundTicket(NamedTuple):
    """A ticket that a steward may mean, and its living entry, if it was let in."""

    purchase_id: uuid.UUID
    ticket_type_id: int
    row_number: int
    seat_number: int
    is_cancelled: bool
    entry_id: uuid.UUID | None
    entered_at: dt.datetime | None
    gate: str | None


class ListedTicket(NamedTuple):
    """A valid ticket. ``stored_code`` is as Postgres keeps it; ``entered_at`` and ``gate`` are of its living entry."""

    purchase_id: uuid.UUID
    ticket_type_id: int
    row_number: int
    seat_number: int
    issue_number: int
    stored_code: str
    entered_at: dt.datetime | None
    gate: str | None


class CountRow(NamedTuple):
    """How many of a ticket type's ``sold`` tickets were let in at a gate; ``gate`` is None where none was."""

    ticket_type_id: int
    ticket_type: str
    sold: int
    gate: str | None
    entries: int
    latest_at: dt.datetime | None


class ConflictRow(NamedTuple):
    """A scan without a network that could not be entered, and the entry that its ticket had."""

    why: str
    ticket_type_id: int | None
    row_number: int | None
    seat_number: int | None
    gate: str
    operator: str
    scanned_at: dt.datetime
    recorded_at: dt.datetime
    entry_gate: str | None
    entry_scanned_at: dt.datetime | None
    entry_operator: str | None


class GateEvent(NamedTuple):
    """An event that tickets can be checked in for."""

    event_id: int
    name: str
    venue: str
    date: dt.datetime
    time_zone: str


async def find_tickets(
    connection: AsyncConnection, statement: LiteralString, sought: Any, event_id: int
) -> list[FoundTicket]:
    """The tickets that one of this module's ``BY_`` statements finds, at most `FOUND_MAX`, the valid ones first."""
    rows = await connection.exec_driver_sql(statement, {"sought": sought, "event_id": event_id})
    return [FoundTicket._make(row) for row in rows]


async def valid_tickets(
    connection: AsyncConnection, event_id: int, after: Seat, tickets_max: int
) -> list[ListedTicket]:
    """The event's valid tickets behind a seat, in the order of their seats."""
    ticket_type_id, row_number, seat_number = after
    rows = await connection.exec_driver_sql(
        _LISTED,
        {
            "event_id": event_id,
            "ticket_type_id": ticket_type_id,
            "row_number": row_number,
            "seat_number": seat_number,
            "tickets_max": tickets_max,
        },
    )
    return [ListedTicket._make(row) for row in rows]


async def entry_counts(connection: AsyncConnection, event_id: int) -> tuple[list[CountRow], int]:
    """What was let in, by ticket type and gate, and how many conflicts there are."""
    rows = await connection.exec_driver_sql(_COUNTS, {"event_id": event_id})
    counts = [CountRow._make(row) for row in rows]
    conflicts = await connection.exec_driver_sql(_COUNT_CONFLICTS, {"event_id": event_id})
    return counts, int(conflicts.scalar_one())


async def entry_conflicts(connection: AsyncConnection, event_id: int) -> list[ConflictRow]:
    """The conflicts, the newest first."""
    rows = await connection.exec_driver_sql(_CONFLICTS, {"event_id": event_id, "conflicts_max": CONFLICTS_MAX})
    return [ConflictRow._make(row) for row in rows]


async def gate_events(
    connection: AsyncConnection, event_ids: Sequence[int] | None, *, hours: int, events_max: int
) -> list[GateEvent]:
    """The events to come, and those that began at most ``hours`` ago, the next one first.

    Args:
        event_ids: of these alone; None: of all.
    """
    rows = await connection.exec_driver_sql(_EVENTS, {"event_ids": event_ids, "hours": hours, "events_max": events_max})
    return [GateEvent._make(row) for row in rows]
