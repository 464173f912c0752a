"""Payments as a booking batch reads and writes them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from db.payments.states import OPEN_PAYMENTS, PaymentState, RefundCause

OPEN: Final = "state IN (" + ", ".join(f"'{state}'" for state in OPEN_PAYMENTS) + ")"
"""SQL: nobody knows yet what becomes of the payment."""

_COLUMNS: Final = """p.event_id, p.payment_id, p.reservation_id, p.user_id, p.provider, p.state, p.amount, p.currency,
       p.expires_at, p.captured_amount, p.captured_currency, p.closed_at, p.purchase_id,
       p.voucher_hash, p.discounts, p.processing_at"""


@dataclass(slots=True)
class PaymentJob:
    """A checkout that waits for a payment. ``outcome`` is what was recorded of it, in JSON; None while it waits."""

    command_id: uuid.UUID
    user_id: int
    body_hash: bytes
    outcome: bytes | None = None


@dataclass(slots=True)
class Payment:
    """The payment of a hold (`db.tables.payments.Payment`), with the checkouts that wait for it. ``discounts`` has one
    for each seat of the hold; None where it is paid without a voucher. ``processing_at``: since then the fan's bank
    works on it, for the event's payment term.
    """

    event_id: int
    payment_id: uuid.UUID
    reservation_id: uuid.UUID
    user_id: int
    provider: str
    state: PaymentState
    amount: int
    currency: str
    expires_at: dt.datetime
    captured_amount: int | None = None
    captured_currency: str = ""
    closed_at: dt.datetime | None = None
    purchase_id: uuid.UUID | None = None
    voucher_hash: bytes | None = None
    discounts: list[int] | None = None
    processing_at: dt.datetime | None = None
    jobs: list[PaymentJob] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_PAYMENTS

    @property
    def is_right(self) -> bool:
        """Whether what was paid is what was asked."""
        return (self.captured_amount, self.captured_currency) == (self.amount, self.currency)


@dataclass(frozen=True, slots=True)
class NewRefund:
    """Money that is to go back."""

    event_id: int
    refund_id: uuid.UUID
    payment_id: uuid.UUID
    amount: int
    cause: RefundCause


def payment_row(row: Sequence[Any]) -> Payment:
    event_id, payment_id, reservation_id, user_id, provider, state, *rest = row
    return Payment(event_id, payment_id, reservation_id, user_id, provider, PaymentState(state), *rest)


READ_PAYMENTS: Final = f"""
SELECT {_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, payment_id uuid)
  JOIN payment p USING (event_id, payment_id)
 ORDER BY p.payment_id
   FOR UPDATE OF p
"""  # noqa: S608 - of constants alone
"""The payments are locked, because the cashier notes what was paid without the event's lock."""

READ_PAYMENTS_OF_HOLDS: Final = f"""
SELECT {_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, reservation_id uuid)
  JOIN payment p ON p.event_id = k.event_id AND p.reservation_id = k.reservation_id AND p.{OPEN}
 ORDER BY p.payment_id
   FOR UPDATE OF p
"""  # noqa: S608 - of constants alone
"""Of each hold the payment that is under way."""

READ_KEPT_SEATS: Final = """
SELECT p.event_id, sum(cardinality(r.seat_numbers))::bigint
  FROM payment p
  JOIN reservation r ON r.event_id = p.event_id AND r.reservation_id = p.reservation_id
 WHERE p.event_id = ANY (%(event_ids)s::bigint[]) AND p.due_at IS NOT NULL AND p.state = 'open'
   AND p.processing_at IS NOT NULL
 GROUP BY p.event_id
"""
"""The seats of each event that are kept for banks that take days. Payments under way are due at some time, and found by
that.
"""

READ_JOBS: Final = """
SELECT j.payment_id, j.command_id, j.user_id, j.body_hash, c.outcome::text
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, payment_id uuid)
  JOIN payment_job j USING (event_id, payment_id)
  LEFT JOIN booking_command c ON c.event_id = j.event_id AND c.command_id = j.command_id
 ORDER BY j.command_id
"""

WRITE_NEW_PAYMENTS: Final = """
INSERT INTO payment (event_id, payment_id, reservation_id, user_id, provider, state, amount, currency, created_at,
                     expires_at, due_at, voucher_hash, discounts)
SELECT k.event_id, k.payment_id, k.reservation_id, k.user_id, k.provider, k.state, k.amount, k.currency, %(now)s,
       k.expires_at, %(now)s, k.voucher_hash, k.discounts
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, payment_id uuid, reservation_id uuid, user_id bigint, provider text, state text,
             amount bigint, currency text, expires_at timestamptz, voucher_hash bytea, discounts bigint[])
"""


def new_payment(payment: Payment) -> dict[str, Any]:
    """A row of `WRITE_NEW_PAYMENTS`."""
    return {
        "event_id": payment.event_id,
        "payment_id": payment.payment_id,
        "reservation_id": payment.reservation_id,
        "user_id": payment.user_id,
        "provider": payment.provider,
        "state": payment.state,
        "amount": payment.amount,
        "currency": payment.currency,
        "expires_at": payment.expires_at,
        "voucher_hash": None if payment.voucher_hash is None else "\\x" + payment.voucher_hash.hex(),
        "discounts": payment.discounts,
    }


WRITE_PAYMENTS: Final = f"""
UPDATE payment p
   SET state = k.state, expires_at = k.expires_at, purchase_id = k.purchase_id, processing_at = k.processing_at,
       ended_at = CASE WHEN k.{OPEN} THEN NULL ELSE %(now)s::timestamptz END,
       due_at = CASE WHEN k.{OPEN} THEN %(now)s::timestamptz END
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, payment_id uuid, state text, expires_at timestamptz, purchase_id uuid,
             processing_at timestamptz)
 WHERE p.event_id = k.event_id AND p.payment_id = k.payment_id
"""  # noqa: S608 - of constants alone
"""One that is still open was given up, and the cashier is to close it; or its bank works on it."""


def payment_change(payment: Payment) -> dict[str, Any]:
    """A row of `WRITE_PAYMENTS`."""
    return {
        "event_id": payment.event_id,
        "payment_id": payment.payment_id,
        "state": payment.state,
        "expires_at": payment.expires_at,
        "purchase_id": payment.purchase_id,
        "processing_at": payment.processing_at,
    }


WRITE_JOBS: Final = """
INSERT INTO payment_job (event_id, command_id, payment_id, user_id, body_hash)
SELECT k.event_id, k.command_id, k.payment_id, k.user_id, k.body_hash
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, command_id uuid, payment_id uuid, user_id bigint, body_hash bytea)
    ON CONFLICT DO NOTHING
"""


def new_job(payment: Payment, job: PaymentJob) -> dict[str, Any]:
    """A row of `WRITE_JOBS`."""
    return {
        "event_id": payment.event_id,
        "command_id": job.command_id,
        "payment_id": payment.payment_id,
        "user_id": job.user_id,
        "body_hash": "\\x" + job.body_hash.hex(),
    }


WRITE_REFUNDS: Final = """
INSERT INTO refund (event_id, refund_id, payment_id, amount, cause, created_at, due_at)
SELECT k.event_id, k.refund_id, k.payment_id, k.amount, k.cause, %(now)s, %(now)s
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, refund_id uuid, payment_id uuid, amount bigint, cause text)
"""


def new_refund(refund: NewRefund) -> dict[str, Any]:
    """A row of `WRITE_REFUNDS`."""
    return {
        "event_id": refund.event_id,
        "refund_id": refund.refund_id,
        "payment_id": refund.payment_id,
        "amount": refund.amount,
        "cause": refund.cause,
    }


WRITE_REFUNDS_OF_PURCHASES: Final = f"""
INSERT INTO refund (event_id, refund_id, payment_id, amount, cause, created_at, due_at)
SELECT p.event_id, k.refund_id, p.payment_id, k.amount, '{RefundCause.CANCELLED}', %(now)s, %(now)s
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, refund_id uuid, purchase_id uuid, amount bigint)
  JOIN payment p ON p.event_id = k.event_id AND p.purchase_id = k.purchase_id
"""  # noqa: S608 - of constants alone
"""What goes back for cancelled seats, for purchases that were paid."""
