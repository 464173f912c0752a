"""Checks tickets in, once each, and takes that back. Gateways write these rows.

Two scanners are decided between by the unique index of living entries. An entry and a cancellation of the same ticket
are decided between by the ticket's row: `check_in` reads it through the view `ticket_at_gate`, which locks it, so that
the engine's cancellation waits for the entry, and the other way round (`workers.engine.reading`). Whoever waited sees
what the other wrote: Postgres reads a row again that changed while it was waited for, and the engine looks for entries
after it locked the tickets. The view is there because a gateway's role may read tickets but not lock them (ADR 93).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.seats import Seat
from db.booking.ticket_codes import BEGINNING_CHARS, beginnings_of
from db.entries.outcomes import Outcome
from db.ids import uuid7


class TicketKey(NamedTuple):
    """A seat of a purchase. ``issue_number`` is what the shown ticket says; None where the seat itself was named."""

    purchase_id: uuid.UUID
    seat: Seat
    issue_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One reading of a ticket. ``device`` and ``scan_id`` name it for good. ``offline_at`` is the device's clock, where
    it read the ticket without a network and let it in.
    """

    event_id: int
    gate: str
    device: str
    scan_id: uuid.UUID
    operator: str
    offline_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry that is living."""

    entry_id: uuid.UUID
    gate: str
    device: str
    operator: str
    is_offline: bool
    scanned_at: dt.datetime
    entered_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a scan: the ticket's seat and its living entry, where it has them."""

    outcome: Outcome
    purchase_id: uuid.UUID | None = None
    seat: Seat | None = None
    entry: EntryRow | None = None


_NAMED: Final[LiteralString] = """
       d.purchase_id = %(purchase_id)s AND d.ticket_type_id = %(ticket_type_id)s AND d.row_number = %(row_number)s
   AND d.seat_number = %(seat_number)s"""
_CODED: Final[LiteralString] = f"left(d.ticket_code, {BEGINNING_CHARS}) = ANY (%(beginnings)s)"

_CHECK_IN: Final[LiteralString] = """
WITH shown AS (
    SELECT d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number, d.cancelled_at IS NOT NULL AS is_cancelled,
           e.state = 'cancelled' AS is_off,
           coalesce(%(issue_number)s::int, d.issue_number) <> d.issue_number AS is_dead,
           EXISTS (
               SELECT FROM entry x
                WHERE x.device = %(device)s AND x.scan_id = %(scan_id)s AND x.event_id = %(event_id)s
                  AND (x.undone_at IS NOT NULL
                       OR (x.purchase_id, x.ticket_type_id, x.row_number, x.seat_number)
                          <> (d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number))) AS is_repeated
      FROM ticket_at_gate d
      JOIN event e USING (event_id)
     WHERE d.event_id = %(event_id)s AND e.event_id = %(event_id)s AND {which}
     LIMIT 1
), made AS (
    INSERT INTO entry AS e (event_id, entry_id, purchase_id, ticket_type_id, row_number, seat_number, gate, device,
                            scan_id, operator, is_offline, scanned_at)
    SELECT %(event_id)s, %(entry_id)s, t.purchase_id, t.ticket_type_id, t.row_number, t.seat_number, %(gate)s,
           %(device)s, %(scan_id)s, %(operator)s, %(offline_at)s::timestamptz IS NOT NULL,
           coalesce(%(offline_at)s::timestamptz, clock_timestamp())
      FROM shown t
     WHERE NOT (t.is_cancelled OR t.is_off OR t.is_dead OR t.is_repeated)
    ON CONFLICT (purchase_id, ticket_type_id, row_number, seat_number, event_id) WHERE undone_at IS NULL
    DO UPDATE SET shown_again = e.shown_again
                                + ((e.device, e.scan_id) <> (excluded.device, excluded.scan_id))::int
    RETURNING e.entry_id, e.gate, e.device, e.operator, e.is_offline, e.scanned_at, e.entered_at, e.scan_id
)
SELECT t.purchase_id, t.ticket_type_id, t.row_number, t.seat_number, t.is_off, t.is_cancelled, t.is_dead, t.is_repeated,
       m.scan_id, m.entry_id, m.gate, m.device, m.operator, m.is_offline, m.scanned_at, m.entered_at
  FROM shown t
  LEFT JOIN made m ON true
"""

_CHECK_IN_NAMED: Final[LiteralString] = _CHECK_IN.format(which=_NAMED)
_CHECK_IN_CODED: Final[LiteralString] = _CHECK_IN.format(which=_CODED)

_UNDO: Final[LiteralString] = """
UPDATE entry SET undone_at = now(), undone_by = %(operator)s
 WHERE entry_id = %(entry_id)s AND event_id = %(event_id)s AND undone_at IS NULL
"""
_IS_THERE: Final[LiteralString] = """
SELECT EXISTS (SELECT 1 FROM entry WHERE entry_id = %(entry_id)s AND event_id = %(event_id)s)
"""

_READ_CONFLICT: Final[LiteralString] = """
SELECT c.why, c.purchase_id, c.ticket_type_id, c.row_number, c.seat_number,
       x.entry_id, x.gate, x.device, x.operator, x.is_offline, x.scanned_at, x.entered_at
  FROM entry_conflict c
  LEFT JOIN entry x USING (entry_id, event_id)
 WHERE c.device = %(device)s AND c.scan_id = %(scan_id)s AND c.event_id = %(event_id)s
"""
_WRITE_CONFLICT: Final[LiteralString] = """
INSERT INTO entry_conflict (event_id, device, scan_id, purchase_id, ticket_type_id, row_number, seat_number, gate,
                            operator, scanned_at, why, entry_id)
VALUES (%(event_id)s, %(device)s, %(scan_id)s, %(purchase_id)s, %(ticket_type_id)s, %(row_number)s, %(seat_number)s,
        %(gate)s, %(operator)s, %(offline_at)s, %(why)s, %(entry_id)s)
ON CONFLICT DO NOTHING
"""


def _of_scan(scan: Scan) -> dict[str, Any]:
    return {
        "event_id": scan.event_id,
        "gate": scan.gate,
        "device": scan.device,
        "scan_id": scan.scan_id,
        "operator": scan.operator,
        "offline_at": scan.offline_at,
    }


def _of_ticket(purchase_id: uuid.UUID | None, seat: Seat | None) -> dict[str, Any]:
    ticket_type_id, row_number, seat_number = seat or (None, None, None)
    return {
        "purchase_id": purchase_id,
        "ticket_type_id": ticket_type_id,
        "row_number": row_number,
        "seat_number": seat_number,
    }


async def check_in(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], ticket: TicketKey | str, scan: Scan
) -> Checked:
    """Let a ticket in, if it is valid and nobody was let in by it. The same scan once more has the same outcome.

    It is one statement, which writes nothing unless the outcome is ``admitted`` or ``used``. On a connection that
    commits each statement it is one round trip.

    Args:
        ticket: a seat of a purchase, or a ticket's code.
    """
    issue_number = ticket.issue_number if isinstance(ticket, TicketKey) else None
    which = _of_scan(scan) | {"entry_id": uuid7(), "issue_number": issue_number}
    if isinstance(ticket, TicketKey):
        statement, which = _CHECK_IN_NAMED, which | _of_ticket(ticket.purchase_id, ticket.seat)
    else:
        statement, which = _CHECK_IN_CODED, which | {"beginnings": beginnings_of(ticket)}
    try:
        row = await (await connection.execute(statement, which, prepare=True)).fetchone()
    except psycopg.errors.UniqueViolation:
        # The same device sends the same scan twice at the same moment, for two tickets.
        return Checked(Outcome.REPEATED)
    if row is None:
        return Checked(Outcome.UNKNOWN)
    purchase_id, seat = row[0], (row[1], row[2], row[3])
    is_off, is_cancelled, is_dead, is_repeated = row[4:8]
    checked = Checked(Outcome.ADMITTED, purchase_id, seat)
    for is_wrong, outcome in (
        (is_cancelled, Outcome.CANCELLED),
        (is_off, Outcome.EVENT_CANCELLED),
        (is_dead, Outcome.HANDED_ON),
        (is_repeated, Outcome.REPEATED),
    ):
        if is_wrong:
            return replace(checked, outcome=outcome)
    scan_id, *of_entry = row[8:]
    entry = EntryRow(*of_entry)
    is_of_scan = (entry.device, scan_id) == (scan.device, scan.scan_id)
    return replace(checked, outcome=Outcome.ADMITTED if is_of_scan else Outcome.USED, entry=entry)


async def undo(connection: AsyncConnection, event_id: int, entry_id: uuid.UUID, operator: str) -> bool:
    """Take an entry back, so that the ticket can be checked in again; once more changes nothing. False: there is no
    such entry.
    """
    which = {"event_id": event_id, "entry_id": entry_id, "operator": operator}
    if (await connection.exec_driver_sql(_UNDO, which)).rowcount:
        return True
    return bool((await connection.exec_driver_sql(_IS_THERE, which)).scalar_one())


async def recorded_conflict(connection: AsyncConnection, scan: Scan) -> Checked | None:
    """What an earlier call recorded of this scan; None: no conflict."""
    found = (await connection.exec_driver_sql(_READ_CONFLICT, _of_scan(scan))).first()
    if found is None:
        return None
    row: Sequence[Any] = found
    purchase_id, of_entry = row[1], row[5:]
    return Checked(
        Outcome(row[0]),
        purchase_id,
        None if purchase_id is None else (row[2], row[3], row[4]),
        None if of_entry[0] is None else EntryRow(*of_entry),
    )


async def record_conflict(connection: AsyncConnection, scan: Scan, checked: Checked) -> None:
    """Record that a scan without a network let in what could not be entered."""
    which = _of_scan(scan) | _of_ticket(checked.purchase_id, checked.seat)
    which |= {"why": checked.outcome, "entry_id": None if checked.entry is None else checked.entry.entry_id}
    await connection.exec_driver_sql(_WRITE_CONFLICT, which)
