"""Purchases and their seats as a batch reads and writes them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.booking.charges import Charge, plain
from db.booking.seats import Seat
from db.booking.states import PurchaseStatus

_COLUMNS: Final = """p.event_id, p.reservation_id, p.purchase_id, p.user_id, p.total_amount, p.currency, p.purchase_at,
       p.cancel_until, p.status, d.ticket_type_id, d.row_number, d.seat_number, d.amount, d.ticket_code,
       d.cancelled_at, d.issue_number, d.holder_user_id, d.price, d.fee, d.tax, d.tax_basis_points, d.discount"""


@dataclass(slots=True)
class Detail:
    """One seat of a purchase. Once it is cancelled, anybody can buy the seat. ``ticket_code`` is as it is stored
    (`db.booking.ticket_codes`). ``issue_number`` rises each time the ticket is handed on; ``holder_user_id`` is the fan
    who has it then, None as long as it is the fan who bought. ``cancel_fee`` is what the event's rules keep of the
    amount of a cancelled seat.
    """

    seat: Seat
    charge: Charge
    ticket_code: str
    cancelled_at: dt.datetime | None = None
    issue_number: int = 1
    holder_user_id: int | None = None
    cancel_fee: int = 0

    @property
    def amount(self) -> int:
        """What its fan paid."""
        return self.charge.amount


@dataclass(slots=True)
class Purchase:
    """A purchase. ``total_amount`` is the sum of its details that are not cancelled. ``cancel_until`` is what its fan
    was promised when it was made; None for a purchase of a release before 0.2. ``voucher_hash`` is set of a new one
    that is bought with a voucher, and ``given_by`` of a new one that an operator gave away. ``order_number`` is set of
    a new one on Citus, whose nodes do not count a site's orders.
    """

    event_id: int
    purchase_id: uuid.UUID
    user_id: int
    reservation_id: uuid.UUID
    total_amount: int
    currency: str
    purchase_at: dt.datetime
    details: list[Detail]
    cancel_until: dt.datetime | None = None
    status: PurchaseStatus = PurchaseStatus.CONFIRMED
    voucher_hash: bytes | None = None
    given_by: str | None = None
    order_number: int | None = None

    @property
    def live(self) -> list[Detail]:
        return [detail for detail in self.details if detail.cancelled_at is None]

    @property
    def own(self) -> list[Detail]:
        """The live details whose tickets the fan who bought still has."""
        return [detail for detail in self.live if detail.holder_user_id is None]


def purchase_rows(rows: Iterable[Sequence[Any]]) -> list[Purchase]:
    """Purchases with their details, from one row of `_COLUMNS` for each detail."""
    found: dict[Hashable, Purchase] = {}
    for row in rows:
        event_id, reservation_id, purchase_id, user_id, total_amount, currency, at, until, status, *detail = row
        purchase = found.get(purchase_id)
        if purchase is None:
            purchase = found[purchase_id] = Purchase(
                event_id,
                purchase_id,
                user_id,
                reservation_id,
                total_amount,
                currency,
                at,
                [],
                until,
                PurchaseStatus(status),
            )
        (
            ticket_type_id,
            row_number,
            seat_number,
            amount,
            ticket_code,
            cancelled_at,
            issue_number,
            holder_user_id,
            price,
            fee,
            tax,
            rate,
            discount,
        ) = detail
        charge = plain(amount) if price is None else Charge(price, fee, tax, rate, amount, discount)
        seat = ticket_type_id, row_number, seat_number
        purchase.details.append(Detail(seat, charge, ticket_code, cancelled_at, issue_number, holder_user_id))
    return list(found.values())


READ_PURCHASES_OF_HOLDS: Final = f"""
SELECT {_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, user_id bigint, reservation_id uuid)
 CROSS JOIN LATERAL (
       SELECT *
         FROM purchase p
        WHERE p.user_id = k.user_id AND p.event_id = k.event_id AND p.reservation_id = k.reservation_id
       OFFSET 0) AS p
 CROSS JOIN LATERAL (
       SELECT *
         FROM purchase_detail d
        WHERE d.purchase_id = p.purchase_id AND d.event_id = p.event_id
       OFFSET 0) AS d
 WHERE d.cancelled_at IS NULL
 ORDER BY d.ticket_type_id, d.row_number, d.seat_number
"""  # noqa: S608 - of constants alone

READ_PURCHASES: Final = f"""
SELECT {_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid)
  JOIN purchase p USING (event_id, purchase_id)
 CROSS JOIN LATERAL (
       SELECT *
         FROM purchase_detail d
        WHERE d.purchase_id = k.purchase_id AND d.event_id = k.event_id
       OFFSET 0) AS d
 ORDER BY d.ticket_type_id, d.row_number, d.seat_number
"""  # noqa: S608 - of constants alone

WRITE_PURCHASES: Final = """
INSERT INTO purchase (event_id, purchase_id, user_id, reservation_id, total_amount, currency, purchase_at,
                      cancel_until, voucher_hash, given_by, order_number)
SELECT k.event_id, k.purchase_id, k.user_id, k.reservation_id, k.total_amount, k.currency, %(now)s, k.cancel_until,
       decode(k.voucher, 'hex'), k.given_by, coalesce(k.order_number, nextval('purchase_order_number_seq'))
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, user_id bigint, reservation_id uuid, total_amount bigint,
             currency text, cancel_until timestamptz, voucher text, given_by text, order_number bigint)
"""
COUNT_ORDERS: Final = """
SELECT nextval('purchase_order_number_seq') FROM generate_series(1, %(orders)s::int)
"""
"""Takes as many numbers for orders."""


def new_purchase(purchase: Purchase) -> dict[str, Any]:
    """A row of `WRITE_PURCHASES`."""
    row = {
        "event_id": purchase.event_id,
        "purchase_id": purchase.purchase_id,
        "user_id": purchase.user_id,
        "reservation_id": purchase.reservation_id,
        "total_amount": purchase.total_amount,
        "currency": purchase.currency,
        "cancel_until": None if purchase.cancel_until is None else purchase.cancel_until.isoformat(),
    }
    if purchase.given_by is not None:
        row["given_by"] = purchase.given_by
    if purchase.order_number is not None:
        row["order_number"] = purchase.order_number
    return row if purchase.voucher_hash is None else row | {"voucher": purchase.voucher_hash.hex()}


def cancellable_until(promised: dt.datetime | None, date: dt.datetime, hours: float) -> dt.datetime:
    """Until when the seats of a purchase can be given back: ``hours`` before the event, and not earlier than was
    promised when it was bought, though never once the event has begun.
    """
    by_date = date - dt.timedelta(hours=hours)
    return by_date if promised is None else min(date, max(promised, by_date))


def cancel_fee(amount: int, percent: int, fixed: int) -> int:
    """What is kept of a seat's ``amount`` when it is cancelled: the percentage, rounded down, and the fixed part."""
    return min(amount, amount * percent // 100 + fixed)


COUNT_SHORTENED: Final = """
SELECT count(*)
  FROM purchase p
 CROSS JOIN LATERAL (
       SELECT least(%(before)s, greatest(p.cancel_until, %(before)s - %(closed)s::interval)) AS before,
              least(%(after)s, greatest(p.cancel_until, %(after)s - %(closed)s::interval)) AS after) AS u
 WHERE p.event_id = %(event_id)s AND p.status = 'confirmed'
   AND u.before > clock_timestamp() AND u.after < least(u.before, coalesce(p.cancel_until, u.before))
"""
"""How many purchases lose of the time until which they may be cancelled, as `cancellable_until` has it, where the event
moves from the date ``before`` to ``after``; what was never promised and came with a later date is no loss.
"""

WRITE_PURCHASE_DETAILS: Final = """
INSERT INTO purchase_detail (event_id, purchase_id, ticket_type_id, row_number, seat_number, amount,
                             ticket_code, price, fee, tax, tax_basis_points, discount)
SELECT k.event_id, k.purchase_id, k.ticket_type_id, k.row_number, k.seat_number, k.amount, k.ticket_code,
       k.price, coalesce(k.fee, 0), coalesce(k.tax, 0), coalesce(k.tax_basis_points, 0),
       coalesce(k.discount, 0)
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, ticket_type_id int, row_number int,
             seat_number int, amount bigint, ticket_code text, price bigint, fee bigint, tax bigint,
             tax_basis_points int, discount bigint)
"""


def new_detail(purchase: Purchase, detail: Detail) -> dict[str, Any]:
    """A row of `WRITE_PURCHASE_DETAILS`."""
    row = {
        **detail_key(purchase, detail),
        "amount": detail.amount,
        "ticket_code": detail.ticket_code,
    }
    return row if detail.charge.is_plain else row | detail.charge._asdict()


WRITE_CANCELLED_DETAILS: Final = """
UPDATE purchase_detail d
   SET cancelled_at = %(now)s, cancel_fee = k.cancel_fee
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, ticket_type_id int, row_number int, seat_number int, cancel_fee bigint)
 WHERE d.event_id = k.event_id AND d.purchase_id = k.purchase_id AND d.ticket_type_id = k.ticket_type_id
   AND d.row_number = k.row_number AND d.seat_number = k.seat_number
"""


def cancelled_detail(purchase: Purchase, detail: Detail) -> dict[str, Any]:
    """A row of `WRITE_CANCELLED_DETAILS`."""
    return {**detail_key(purchase, detail), "cancel_fee": detail.cancel_fee}


def detail_key(purchase: Purchase, detail: Detail) -> dict[str, Any]:
    """What names a seat of a purchase."""
    ticket_type_id, row_number, seat_number = detail.seat
    return {
        "event_id": purchase.event_id,
        "purchase_id": purchase.purchase_id,
        "ticket_type_id": ticket_type_id,
        "row_number": row_number,
        "seat_number": seat_number,
    }


WRITE_CANCELLED_PURCHASES: Final = """
UPDATE purchase p
   SET status = k.status, total_amount = k.total_amount
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, status text, total_amount bigint)
 WHERE p.event_id = k.event_id AND p.purchase_id = k.purchase_id
"""


def cancelled_purchase(purchase: Purchase) -> dict[str, Any]:
    """A row of `WRITE_CANCELLED_PURCHASES`."""
    return {
        "event_id": purchase.event_id,
        "purchase_id": purchase.purchase_id,
        "status": purchase.status,
        "total_amount": purchase.total_amount,
    }


WRITE_HANDED_ON: Final = """
UPDATE purchase_detail d
   SET ticket_code = k.ticket_code, issue_number = k.issue_number, holder_user_id = k.holder_user_id
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, ticket_type_id int, row_number int, seat_number int, ticket_code text,
             issue_number int, holder_user_id bigint)
 WHERE d.event_id = k.event_id AND d.purchase_id = k.purchase_id AND d.ticket_type_id = k.ticket_type_id
   AND d.row_number = k.row_number AND d.seat_number = k.seat_number
"""


def handed_on(purchase: Purchase, detail: Detail) -> dict[str, Any]:
    """A row of `WRITE_HANDED_ON`."""
    return {
        **detail_key(purchase, detail),
        "ticket_code": detail.ticket_code,
        "issue_number": detail.issue_number,
        "holder_user_id": detail.holder_user_id,
    }


WRITE_ISSUES: Final = """
INSERT INTO ticket_issue (event_id, purchase_id, ticket_type_id, row_number, seat_number, issue_number, user_id,
                          issued_at)
SELECT k.event_id, k.purchase_id, k.ticket_type_id, k.row_number, k.seat_number, k.issue_number, k.user_id, %(now)s
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, ticket_type_id int, row_number int, seat_number int, issue_number int,
             user_id bigint)
"""


def new_issue(purchase: Purchase, detail: Detail, user_id: int) -> dict[str, Any]:
    """A row of `WRITE_ISSUES`: the fan who has this issue of the ticket."""
    return {**detail_key(purchase, detail), "issue_number": detail.issue_number, "user_id": user_id}
