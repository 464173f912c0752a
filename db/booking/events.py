"""Events and ticket types as a batch reads them, and the counts and versions that it writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.events.sale import EventState, sale_end
from db.events.terms import NO_TERMS, TERM_COLUMNS, Terms, terms_of

ADVISORY_SPACE: Final = 0x0AD0_0000_0000_0000
"""An event's advisory lock has the key space + event_id, so that it is not the lock of anything else."""

LOCK_EVENTS: Final = """
SELECT pg_advisory_xact_lock(%(space)s::bigint + e)
  FROM unnest(%(event_ids)s::bigint[]) AS e
"""

READ_EVENTS: Final = f"""
SELECT event_id, version, on_sale_at, currency, seats_per_fan_max, date, {sale_end()}, state, revision, payments,
       (SELECT ARRAY[r.network_limits_max, r.fan_unbought_max, r.waiting_list::int, r.offer_minutes, r.cancel_hours,
                     r.cancel_fee_percent, r.cancel_fee_amount, r.payment_term_hours, r.payment_term_seats_max]
          FROM room r
         WHERE r.event_id = event.event_id)
  FROM event
 WHERE event_id = ANY (%(event_ids)s::bigint[])
"""  # noqa: S608 - of constants alone


@dataclass(slots=True)
class EventRow:
    """The fields from ``network_limits_max`` on are dials of its room; 0 without a room."""

    event_id: int
    version: int
    on_sale_at: dt.datetime
    currency: str
    seats_per_fan_max: int
    date: dt.datetime
    off_sale_at: dt.datetime
    event_state: EventState
    revision: int = 0
    payments: str = ""
    network_limits_max: int = 0
    fan_unbought_max: int = 0
    waiting_list: int = 0
    offer_minutes: int = 0
    cancel_hours: int = 0
    cancel_fee_percent: int = 0
    cancel_fee_amount: int = 0
    payment_term_hours: int = 0
    payment_term_seats_max: int = 0


def event_row(row: Sequence[Any]) -> EventRow:
    event_id, version, on_sale_at, currency, seats_per_fan_max, date, off_sale_at, state, revision, payments, dials = (
        row
    )
    return EventRow(
        event_id,
        version,
        on_sale_at,
        currency,
        seats_per_fan_max,
        date,
        off_sale_at,
        EventState(state),
        revision,
        payments,
        *(dials or ()),
    )


READ_TICKETS: Final = f"""
SELECT event_id, ticket_type_id, ticket_type, price, available_count, held_count, quantity, {TERM_COLUMNS}
  FROM ticket
 WHERE event_id = ANY (%(event_ids)s::bigint[])
"""  # noqa: S608 - of constants alone


@dataclass(slots=True)
class TicketRow:
    event_id: int
    ticket_type_id: int
    ticket_type: str
    price: int
    available_count: int
    held_count: int
    quantity: int
    terms: Terms = NO_TERMS


def ticket_row(row: tuple[Any, ...]) -> TicketRow:
    event_id, ticket_type_id, ticket_type, price, available_count, held_count, quantity, *terms = row
    return TicketRow(
        event_id, ticket_type_id, ticket_type, price, available_count, held_count, quantity, terms_of(tuple(terms))
    )


CLOCK: Final = "SELECT clock_timestamp()"

WRITE_COUNTS: Final = """
UPDATE ticket t
   SET available_count = t.available_count + k.available_change, held_count = t.held_count + k.held_change
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, ticket_type_id int, available_change int, held_change int)
 WHERE t.event_id = k.event_id AND t.ticket_type_id = k.ticket_type_id
"""

WRITE_VERSIONS: Final = """
UPDATE event SET version = version + 1 WHERE event_id = ANY (%(event_ids)s::bigint[])
"""
