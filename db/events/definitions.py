"""Events as they are defined: facts, ticket types with their counts, and halls as blocks of seats."""

from __future__ import annotations

import datetime as dt
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.rows import dict_row

from db.events.blocks import SeatBlock, blocks_of_rows
from db.events.sale import EventState, SaleState, sale_end, sale_state
from db.events.terms import NO_TERMS, TERM_COLUMNS, TERMS, Terms

EVENTS_LISTED_MAX: Final = 200

READ_EVENT: Final = f"""
SELECT e.name, e.artist, e.venue, e.date, e.time_zone, e.on_sale_at, {sale_end("e")} AS off_sale_at,
       e.off_sale_at AS off_sale_set, e.state AS event_state, e.currency, e.seats_per_fan_max, e.version, e.revision,
       e.ticket_types_made, e.notice, e.doors_at, e.picture_hash, e.picture_alt, e.account_required,
       e.payments, e.town, e.tags,
       clock_timestamp() AS now,
       d.event_id IS NOT NULL AS has_draw
  FROM event e
  LEFT JOIN draw d USING (event_id)
 WHERE e.event_id = %(event_id)s
"""  # noqa: S608 - of constants alone

READ_TICKET_TYPES: Final = f"""
SELECT ticket_type_id, ticket_type, price, quantity, available_count, held_count, entrance, {TERM_COLUMNS}
  FROM ticket
 WHERE event_id = %(event_id)s
 ORDER BY ticket_type_id
"""  # noqa: S608 - of constants alone

READ_ROWS: Final = """
SELECT ticket_type_id, row_number, array_agg(seat_number)
  FROM seat
 WHERE event_id = %(event_id)s
 GROUP BY ticket_type_id, row_number
"""

READ_LIST: Final = f"""
SELECT e.event_id, e.name, e.artist, e.venue, e.date, e.time_zone, e.on_sale_at, {sale_end("e")},
       e.state, e.currency, e.revision,
       coalesce(t.quantity, 0), coalesce(t.sold, 0), coalesce(t.held, 0), clock_timestamp()
  FROM event e
  LEFT JOIN LATERAL (
       SELECT sum(quantity)::bigint AS quantity, sum(held_count)::bigint AS held,
              sum(quantity - available_count - held_count)::bigint AS sold
         FROM ticket
        WHERE ticket.event_id = e.event_id) AS t ON true
 WHERE e.event_id < %(before)s AND e.rehearsal_of IS NULL
   AND NOT EXISTS (SELECT FROM shop WHERE shop.event_id = e.event_id)
   AND (%(event_ids)s::bigint[] IS NULL OR e.event_id = ANY (%(event_ids)s))
 ORDER BY e.event_id DESC
 LIMIT %(rows_max)s
"""  # noqa: S608 - of constants alone


class UnknownEventError(LookupError):
    """There is no such event."""


@dataclass(frozen=True, slots=True)
class TicketTypeRow:
    """A ticket type, its counts and, of an event read whole, its seats."""

    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int
    entrance: str = ""
    terms: Terms = NO_TERMS
    blocks: tuple[SeatBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as defined; ``revision`` goes up by one with each change by an operator, ``now`` is Postgres' clock.

    ``off_sale_set`` is the end of the sale that an operator set; without one the sale ends at the event's date.
    ``notice`` is the operators' sentence to the event's fans, empty where there is none.
    """

    event_id: int
    name: str
    artist: str
    venue: str
    date: dt.datetime
    time_zone: str
    on_sale_at: dt.datetime
    off_sale_at: dt.datetime
    off_sale_set: dt.datetime | None
    event_state: EventState
    currency: str
    seats_per_fan_max: int
    version: int
    revision: int
    ticket_types_made: int
    notice: str
    doors_at: dt.datetime | None
    picture_hash: str | None
    picture_alt: str
    account_required: bool
    payments: str
    town: str
    tags: tuple[str, ...]
    now: dt.datetime
    has_draw: bool
    ticket_types: tuple[TicketTypeRow, ...]

    def __post_init__(self) -> None:
        # Postgres gives text, and a list.
        object.__setattr__(self, "event_state", EventState(self.event_state))
        object.__setattr__(self, "tags", tuple(self.tags))

    @property
    def sale_has_begun(self) -> bool:
        return self.on_sale_at <= self.now


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event in the operators' list, with the counts of its seats; ``now`` is Postgres' clock."""

    event_id: int
    name: str
    artist: str
    venue: str
    date: dt.datetime
    time_zone: str
    on_sale_at: dt.datetime
    off_sale_at: dt.datetime
    event_state: EventState
    currency: str
    revision: int
    quantity: int
    sold: int
    held: int
    now: dt.datetime

    @property
    def sale(self) -> SaleState:
        return sale_state(self, self.now)


def read_event(connection: psycopg.Connection, event_id: int, *, with_seats: bool = True) -> EventRow:
    """The event as it is defined. A caller that needs seats and counts of one moment begins a transaction of one
    snapshot.

    Raises:
        UnknownEventError: there is no such event.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        facts = cursor.execute(READ_EVENT, {"event_id": event_id}).fetchone()
        if facts is None:
            raise UnknownEventError(event_id)
        type_rows = cursor.execute(READ_TICKET_TYPES, {"event_id": event_id}).fetchall()
    rows: dict[int, list[tuple[int, list[int]]]] = {}
    if with_seats:
        for ticket_type_id, row_number, seat_numbers in connection.execute(READ_ROWS, {"event_id": event_id}):
            rows.setdefault(ticket_type_id, []).append((row_number, seat_numbers))
    types = []
    for row in type_rows:
        terms = Terms(**{name: row.pop(name) for name in TERMS})
        blocks = blocks_of_rows(rows.get(row["ticket_type_id"], ()))
        types.append(TicketTypeRow(**row, terms=terms, blocks=blocks))
    return EventRow(event_id=event_id, **facts, ticket_types=tuple(types))


def list_events(
    connection: psycopg.Connection, before: int, limit: int, only: Set[int] | None = None
) -> list[ListedEvent]:
    """Events with an id below ``before``, the newest first, but no rehearsals and no shops' rooms; ``limit`` is cut to
    `EVENTS_LISTED_MAX`. ``only``: none but these.
    """
    which = None if only is None else list(only)
    rows = connection.execute(
        READ_LIST, {"before": before, "rows_max": min(limit, EVENTS_LISTED_MAX), "event_ids": which}
    )
    return [ListedEvent(*row) for row in rows]
