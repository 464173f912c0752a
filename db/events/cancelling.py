"""The cancellation of a whole event: what it is recorded as, what it strands, and the news of each of its purchases.

The operator's transaction sets the event's state, writes an ``event_cancellation`` and the news of the event. From then
on the engine refuses every booking. What may be much work follows in bounded steps, each of which may run twice: sweeps
close the holds, and the dispatchers tell the outside of the purchases. The purchases themselves stay as they were.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import msgspec
import psycopg

from db.booking.holds import OPEN, live
from db.booking.states import STATUS_OF_CANCELLED_EVENT
from db.citus.walking import Work, execute
from db.outbox.kinds import CancelledSeat, EventCancelled, OutboxKind, PurchaseOfCancelledEvent
from db.outbox.writer import insert_news

EVENTS_IN_ONE_STEP_MAX: Final = 10
PURCHASES_IN_ONE_STEP_MAX: Final = 500
"""Of one event."""

COUNT_BOOKINGS: Final = f"""
SELECT (SELECT count(*)
          FROM purchase
         WHERE event_id = %(event_id)s AND status = 'confirmed'),
       (SELECT coalesce(sum(quantity - available_count - held_count), 0)::bigint
          FROM ticket
         WHERE event_id = %(event_id)s),
       (SELECT count(*)
          FROM reservation r
         WHERE r.event_id = %(event_id)s AND {live("r")})
"""  # noqa: S608 - of constants alone

RECORD: Final = """
INSERT INTO event_cancellation (event_id) VALUES (%(event_id)s)
"""

_TO_DO: Final[LiteralString] = """
  FROM event_cancellation
 WHERE done_at IS NULL /* of one event: AND event_id = @ */
 ORDER BY cancelled_at
 LIMIT %(rows_max)s"""

CANCELLATIONS_TO_DO: Final[LiteralString] = f"""
SELECT event_id, told_through {_TO_DO}
   FOR UPDATE SKIP LOCKED
"""
EVENTS_TO_DO: Final[LiteralString] = f"SELECT event_id {_TO_DO}"

PURCHASES_TO_TELL: Final = """
SELECT p.purchase_id, p.user_id, p.total_amount, p.currency, d.seats
  FROM purchase p
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object('ticketTypeId', d.ticket_type_id, 'rowNumber', d.row_number,
                                         'seatNumber', d.seat_number, 'amount', d.amount)
                       ORDER BY d.ticket_type_id, d.row_number, d.seat_number)::text AS seats
         FROM purchase_detail d
        WHERE d.purchase_id = p.purchase_id AND d.event_id = p.event_id AND d.cancelled_at IS NULL) AS d
 WHERE p.event_id = %(event_id)s AND p.status = 'confirmed' AND p.purchase_id > %(after)s
 ORDER BY p.purchase_id
 LIMIT %(purchases_max)s
"""

NOTE_TOLD: Final = f"""
WITH clock AS MATERIALIZED (SELECT now() AS now)
UPDATE event_cancellation c
   SET told_through = %(told_through)s,
       done_at = CASE WHEN %(all_told)s
                       AND NOT EXISTS (SELECT 1 FROM reservation r WHERE r.event_id = %(event_id)s AND r.{OPEN})
                      THEN clock.now END
  FROM clock
 WHERE c.event_id = %(event_id)s
"""  # noqa: S608 - of constants alone

_read_seats: Final = msgspec.json.Decoder(tuple[CancelledSeat, ...]).decode
_BEFORE_ALL: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Bookings:
    """What fans have of an event: purchases of which a seat is left, these seats, and live holds."""

    purchases: int
    seats: int
    holds: int


def count_bookings(connection: psycopg.Connection, event_id: int) -> Bookings:
    """What fans have of the event now."""
    row = connection.execute(COUNT_BOOKINGS, {"event_id": event_id}).fetchone()
    assert row is not None
    return Bookings(*row)


def record_cancellation(connection: psycopg.Connection, event_id: int, *, notice: str, revision: int) -> Bookings:
    """Record that the event is cancelled, with its news; return what fans had of it.

    The caller holds the event's lock, and sets the event's state in the same transaction.
    """
    had = count_bookings(connection, event_id)
    connection.execute(RECORD, {"event_id": event_id})
    news = EventCancelled(event_id=event_id, notice=notice, purchases=had.purchases, seats=had.seats, revision=revision)
    connection.execute(*insert_news(OutboxKind.EVENT_CANCELLED, [news]))
    return had


async def write_cancellation_news(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], *, is_citus: bool = False
) -> None:
    """Write the news of the next purchases of cancelled events, `PURCHASES_IN_ONE_STEP_MAX` of an event at most.

    The transaction that writes them notes how far they reach, so that each purchase is told of once.

    Raises:
        psycopg.Error: Postgres is away; nothing is written.
    """
    async with connection.transaction():
        work, which = Work(CANCELLATIONS_TO_DO, EVENTS_TO_DO), {"rows_max": EVENTS_IN_ONE_STEP_MAX}
        taken = await execute(connection, work, which, is_citus=is_citus)
        for event_id, told_through in [row for rows in taken for row in await rows.fetchall()]:
            rows = await connection.execute(
                PURCHASES_TO_TELL,
                {
                    "event_id": event_id,
                    "after": told_through or _BEFORE_ALL,
                    "purchases_max": PURCHASES_IN_ONE_STEP_MAX,
                },
                prepare=True,
            )
            news = [_news(event_id, *row) for row in await rows.fetchall()]
            if news:
                await connection.execute(*insert_news(OutboxKind.PURCHASE_OF_CANCELLED_EVENT, news))
            await connection.execute(
                NOTE_TOLD,
                {
                    "event_id": event_id,
                    "told_through": news[-1].purchase_id if news else told_through,
                    "all_told": len(news) < PURCHASES_IN_ONE_STEP_MAX,
                },
                prepare=True,
            )


def _news(
    event_id: int, purchase_id: uuid.UUID, user_id: int, total_amount: int, currency: str, seats: str
) -> PurchaseOfCancelledEvent:
    details = _read_seats(seats)
    return PurchaseOfCancelledEvent(
        event_id=event_id,
        purchase_id=purchase_id,
        user_id=user_id,
        seats=len(details),
        details=details,
        total_amount=total_amount,
        currency=currency,
        status=STATUS_OF_CANCELLED_EVENT,
    )
