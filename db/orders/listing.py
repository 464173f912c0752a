"""The orders of an event as its office reads them: a page at a time, the newest first, or those that a search finds."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.order_codes import code_of, number_of
from db.booking.seats import Seat
from db.booking.states import STATUS_OF_CANCELLED_EVENT, PurchaseStatus
from db.booking.ticket_codes import beginnings_of
from db.events.sale import EventState
from db.messages.addresses import hash_of, opened
from db.orders.answers import Content, open_content, words_of
from db.sealing.keyring import SealError

NUMBER_MAX: Final = 2**62
_parts: Final = re.compile(r"[\s,;/]+")
_SEAT_WORDS: Final = frozenset({"row", "seat"})

_ORDER: Final[LiteralString] = f"""
SELECT p.order_number, p.purchase_id, p.event_id, p.user_id, p.reservation_id,
       CASE WHEN e.state = '{EventState.CANCELLED}' AND p.status = '{PurchaseStatus.CONFIRMED}'
            THEN '{STATUS_OF_CANCELLED_EVENT}' ELSE p.status END,
       p.total_amount, p.currency, p.purchase_at, p.given_by,
       (SELECT count(*)
          FROM purchase_detail d
         WHERE d.purchase_id = p.purchase_id AND d.event_id = p.event_id AND d.cancelled_at IS NULL),
       coalesce(a.address, c.address), coalesce(a.language, c.language), a.content, coalesce(a.terms_version, 0)
"""  # noqa: S608 - of constants alone

_JOINED: Final[LiteralString] = """
  JOIN event e ON e.event_id = p.event_id
  LEFT JOIN order_answers a ON a.reservation_id = p.reservation_id AND a.event_id = p.event_id
  LEFT JOIN contact c ON c.event_id = p.event_id AND c.user_id = p.user_id AND c.channel = 'mail'
"""

LIST: Final[LiteralString] = f"""
{_ORDER}
  FROM (SELECT *
          FROM purchase
         WHERE event_id = %(event_id)s AND order_number < %(before)s
         ORDER BY order_number DESC
         LIMIT %(rows_max)s) AS p
{_JOINED}
 ORDER BY p.order_number DESC
"""  # noqa: S608 - of constants alone

FIND: Final[LiteralString] = f"""
WITH found AS (
    SELECT purchase_id
      FROM purchase
     WHERE event_id = %(event_id)s AND order_number = %(number)s::bigint
     UNION
    SELECT purchase_id
      FROM purchase
     WHERE purchase_id = %(purchase_id)s::uuid AND event_id = %(event_id)s
     UNION
    SELECT p.purchase_id
      FROM order_answers a
      JOIN purchase p ON p.user_id = a.user_id AND p.event_id = a.event_id AND p.reservation_id = a.reservation_id
     WHERE a.event_id = %(event_id)s AND (a.address_hash = ANY (%(hashes)s::bytea[]) OR a.words @> %(words)s::bytea[])
     UNION
    SELECT p.purchase_id
      FROM contact c
      JOIN purchase p ON p.user_id = c.user_id AND p.event_id = c.event_id
     WHERE c.event_id = %(event_id)s AND c.address_hash = ANY (%(hashes)s::bytea[])
     UNION
    SELECT purchase_id
      FROM purchase_detail
     WHERE left(ticket_code, 16) = ANY (%(codes)s::text[]) AND event_id = %(event_id)s
     UNION
    SELECT d.purchase_id
      FROM seat s
      JOIN purchase_detail d USING (event_id, ticket_type_id, row_number, seat_number)
     WHERE s.event_id = %(event_id)s AND d.cancelled_at IS NULL
       AND lower(coalesce(s.row_label, s.row_number::text)) = %(row)s
       AND lower(coalesce(s.seat_label, s.seat_number::text)) = %(seat)s
)
{_ORDER}
  FROM found f
  JOIN purchase p ON p.purchase_id = f.purchase_id AND p.event_id = %(event_id)s
{_JOINED}
 WHERE p.order_number < %(before)s
 ORDER BY p.order_number DESC
 LIMIT %(rows_max)s
"""  # noqa: S608 - of constants alone

ONE: Final[LiteralString] = f"""
{_ORDER}
  FROM purchase p
{_JOINED}
 WHERE p.purchase_id = %(purchase_id)s AND p.event_id = %(event_id)s
"""

PAYMENTS: Final[LiteralString] = """
SELECT p.provider, p.captured_amount, p.currency, p.captured_at
  FROM payment p
  JOIN purchase b ON b.user_id = p.user_id AND b.event_id = p.event_id AND b.reservation_id = p.reservation_id
 WHERE b.purchase_id = %(purchase_id)s AND b.event_id = %(event_id)s AND p.purchase_id = b.purchase_id
   AND p.captured_at IS NOT NULL
"""

REFUNDS: Final[LiteralString] = """
SELECT r.amount, r.cause, r.state, r.created_at, r.done_at
  FROM refund r
  JOIN payment p ON p.payment_id = r.payment_id AND p.event_id = r.event_id
 WHERE p.event_id = %(event_id)s AND p.purchase_id = %(purchase_id)s
 ORDER BY r.created_at
"""


SEATS: Final[LiteralString] = """
SELECT ticket_type_id, row_number, seat_number
  FROM purchase_detail
 WHERE purchase_id = %(purchase_id)s AND event_id = %(event_id)s
"""


class OrderRow(NamedTuple):
    """An order: its purchase, and what its fan answered. ``seats`` are those not given back.

    ``mail`` is the address of the answers, or else the one that the fan gave for the event; None without one, or where
    no key of this site opens it. ``content`` is None where the event asked for nothing.
    """

    order_number: int
    purchase_id: uuid.UUID
    event_id: int
    user_id: int
    reservation_id: uuid.UUID
    status: str
    total_amount: int
    currency: str
    purchase_at: dt.datetime
    given_by: str | None
    seats: int
    mail: str | None
    language: str | None
    content: Content | None
    terms_version: int

    @property
    def code(self) -> str:
        return code_of(self.order_number)


class PaymentRow(NamedTuple):
    """What was paid for an order."""

    provider: str
    amount: int
    currency: str
    paid_at: dt.datetime


class RefundRow(NamedTuple):
    """What goes back, or has gone back, for an order."""

    amount: int
    cause: str
    state: str
    created_at: dt.datetime
    done_at: dt.datetime | None


def _row(row: Any) -> OrderRow:
    *first, mail, language, content, terms_version = row
    return OrderRow._make((*first, _opened_mail(mail), language, _opened_content(content), terms_version))


def _opened_mail(sealed: str | None) -> str | None:
    try:
        return None if sealed is None else opened(sealed)
    except SealError:
        return None


def _opened_content(sealed: str | None) -> Content | None:
    try:
        return None if sealed is None else open_content(sealed)
    except SealError:
        return None


async def list_orders(connection: AsyncConnection, event_id: int, before: int, rows_max: int) -> list[OrderRow]:
    """Orders whose numbers are below ``before``, the newest first."""
    which = {"event_id": event_id, "before": before, "rows_max": rows_max}
    return [_row(row) for row in await connection.exec_driver_sql(LIST, which)]


async def find_orders(
    connection: AsyncConnection, event_id: int, text: str, before: int, rows_max: int
) -> list[OrderRow]:
    """The orders that a text may mean: an order's code or id, a mail address, whole words of a name, a ticket's code,
    or a row and a seat. Those whose numbers are below ``before``, the newest first.
    """
    words = words_of([text])
    parts = [part for part in _parts.split(text.lower().strip()) if part not in _SEAT_WORDS]
    row, seat = parts if len(parts) == 2 else (None, None)
    which = {
        "event_id": event_id,
        "before": before,
        "rows_max": rows_max,
        "number": number_of(text),
        "purchase_id": _uuid(text),
        "hashes": [hash_of(one) for one in {text.strip(), text.strip().lower()}] if "@" in text else [],
        "words": words or None,
        "codes": beginnings_of(text.strip().upper()),
        "row": row,
        "seat": seat,
    }
    return [_row(row) for row in await connection.exec_driver_sql(FIND, which)]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None


async def read_order(connection: AsyncConnection, event_id: int, purchase_id: uuid.UUID) -> OrderRow | None:
    """One order of the event; None if it has no such purchase."""
    row = (await connection.exec_driver_sql(ONE, {"event_id": event_id, "purchase_id": purchase_id})).first()
    return None if row is None else _row(row)


async def seats_of(connection: AsyncConnection, event_id: int, purchase_id: uuid.UUID) -> set[Seat]:
    """The seats of an order, those that were given back too."""
    rows = await connection.exec_driver_sql(SEATS, {"event_id": event_id, "purchase_id": purchase_id})
    found: list[Any] = list(rows.all())
    return {(row[0], row[1], row[2]) for row in found}


async def money_of(
    connection: AsyncConnection, event_id: int, purchase_id: uuid.UUID
) -> tuple[list[PaymentRow], list[RefundRow]]:
    """What was paid for an order, and what goes back."""
    which = {"event_id": event_id, "purchase_id": purchase_id}
    payments = [PaymentRow._make(row) for row in await connection.exec_driver_sql(PAYMENTS, which)]
    return payments, [RefundRow._make(row) for row in await connection.exec_driver_sql(REFUNDS, which)]
