"""An event as fans see it: its facts, its ticket types with their counts, and its seats.

Call `begin_snapshot` first, and then any of the reads on the same connection: all of them see the hall at one moment.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from sqlalchemy import ColumnElement, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from db.booking.seats import LAPSED, TAKEN
from db.events.sale import EventState, sale_end
from db.events.terms import TERMS, Terms, terms_of
from db.tables.events import Event, Seat, Ticket

FACT_COLUMNS: Final[tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...]] = (
    Event.event_id,
    Event.name,
    Event.artist,
    Event.date,
    Event.time_zone,
    Event.venue,
    Event.on_sale_at,
    literal_column(sale_end()),
    Event.state,
    Event.currency,
    Event.seats_per_fan_max,
    Event.notice,
    Event.doors_at,
    Event.picture_hash,
    Event.picture_alt,
    Event.account_required,
    Event.payments,
    Event.town,
    Event.tags,
    Event.asks,
)

SeatKey = tuple[int, int, int]
"""(ticket_type_id, row_number, seat_number)."""


@dataclass(frozen=True, slots=True)
class EventFacts:
    """The facts of an event; its fields are `FACT_COLUMNS`."""

    event_id: int
    name: str
    artist: str
    date: dt.datetime
    time_zone: str
    venue: str
    on_sale_at: dt.datetime
    off_sale_at: dt.datetime
    event_state: EventState
    currency: str
    seats_per_fan_max: int
    notice: str
    doors_at: dt.datetime | None
    picture_hash: str | None
    picture_alt: str
    account_required: bool
    payments: str
    town: str
    tags: tuple[str, ...]
    asks: dict[str, Any] | None

    def __post_init__(self) -> None:
        # Postgres gives text, and a list.
        object.__setattr__(self, "event_state", EventState(self.event_state))
        object.__setattr__(self, "tags", tuple(self.tags))


def event_facts(row: Sequence[Any]) -> EventFacts:
    """A row of `FACT_COLUMNS`."""
    return EventFacts(*row)


@dataclass(frozen=True, slots=True)
class HallRow:
    """``rehearsal_of`` is the original's id where the event is a rehearsal's copy."""

    facts: EventFacts
    version: int
    revision: int
    rehearsal_of: int | None


@dataclass(frozen=True, slots=True)
class TicketTypeCounts:
    """A ticket type. Seats in holds that have lapsed count as available, whether or not they were swept."""

    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class HallSeatRow:
    """The seats of one row, in order."""

    ticket_type_id: int
    row_number: int
    seat_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """The seats of one row in one section, where a hall plan says what they are called. ``seat_labels`` is None where
    all of them are called by their numbers.
    """

    ticket_type_id: int
    row_number: int
    row_label: str | None
    section: str | None
    seat_numbers: tuple[int, ...]
    seat_labels: tuple[str | None, ...] | None


async def begin_snapshot(connection: AsyncConnection) -> None:
    """Begin a transaction whose reads all see one moment."""
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


async def hall_row(connection: AsyncConnection, event_id: int) -> HallRow | None:
    """The event's facts and its version; None where there is no such event."""
    query = select(*FACT_COLUMNS, Event.version, Event.revision, Event.rehearsal_of).where(Event.event_id == event_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    *facts, version, revision, rehearsal_of = row
    return HallRow(event_facts(facts), version, revision, rehearsal_of)


async def ticket_type_counts(connection: AsyncConnection, event_id: int) -> list[TicketTypeCounts]:
    """The event's ticket types, by id."""
    lapsed_rows = await connection.execute(
        select(Seat.ticket_type_id, func.count())
        .where(Seat.event_id == event_id, text(LAPSED))
        .group_by(Seat.ticket_type_id)
    )
    lapsed = {row[0]: row[1] for row in lapsed_rows}
    rows = await connection.execute(
        select(
            Ticket.ticket_type_id,
            Ticket.ticket_type,
            Ticket.price,
            Ticket.quantity,
            Ticket.available_count,
            Ticket.held_count,
            *[getattr(Ticket, name) for name in TERMS],
        )
        .where(Ticket.event_id == event_id)
        .order_by(Ticket.ticket_type_id)
    )
    return [
        TicketTypeCounts(
            ticket_type_id=row.ticket_type_id,
            ticket_type=row.ticket_type,
            price=row.price,
            quantity=row.quantity,
            available_count=row.available_count + lapsed.get(row.ticket_type_id, 0),
            held_count=row.held_count - lapsed.get(row.ticket_type_id, 0),
            terms=terms_of(tuple(row[6:])),
        )
        for row in rows
    ]


async def taken_seats(connection: AsyncConnection, event_id: int) -> dict[SeatKey, str]:
    """The seats that nobody can take now, each ``reserved`` or ``booked``."""
    rows = await connection.execute(
        select(Seat.ticket_type_id, Seat.row_number, Seat.seat_number, Seat.status).where(
            Seat.event_id == event_id, text(TAKEN)
        )
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


async def seat_rows(connection: AsyncConnection, event_id: int) -> list[HallSeatRow]:
    """The rows of the hall, by ticket type and number."""
    rows = await connection.execute(
        select(
            Seat.ticket_type_id,
            Seat.row_number,
            func.array_agg(Seat.seat_number).label("seat_numbers"),
        )
        .where(Seat.event_id == event_id)
        .group_by(Seat.ticket_type_id, Seat.row_number)
        .order_by(Seat.ticket_type_id, Seat.row_number)
    )
    return [HallSeatRow(row.ticket_type_id, row.row_number, tuple(sorted(row.seat_numbers))) for row in rows]


LABELLED_ROWS: Final = """
SELECT s.ticket_type_id, s.row_number, s.row_label, s.section, array_agg(s.seat_number),
       CASE WHEN count(s.seat_label) > 0 THEN array_agg(s.seat_label) END
  FROM event_plan p
  JOIN seat s USING (event_id)
 WHERE p.event_id = %(event_id)s
   AND (s.row_label IS NOT NULL OR s.seat_label IS NOT NULL OR s.section IS NOT NULL)
 GROUP BY s.ticket_type_id, s.row_number, s.row_label, s.section
"""


async def labelled_rows(connection: AsyncConnection, event_id: int) -> list[LabelledRow]:
    """What the plan that the event was given calls its rows and seats; nothing, and at no cost, without a plan."""
    rows: Any = await connection.exec_driver_sql(LABELLED_ROWS, {"event_id": event_id})
    return [
        LabelledRow(type_id, number, label, section, tuple(seats), None if labels is None else tuple(labels))
        for type_id, number, label, section, seats, labels in rows
    ]


READ_VERSIONS: Final[LiteralString] = "SELECT event_id, version FROM event WHERE event_id = ANY (%(event_ids)s)"
"""The version of each of these events that still exists."""
