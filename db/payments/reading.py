"""Payments as gateways read them; this module writes nothing."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.payments.overview import AT_THE_BANK
from db.payments.states import OPEN_PAYMENTS, PaymentState

READ_PAYMENT: Final[LiteralString] = f"""
SELECT p.event_id, p.payment_id, p.reservation_id, p.user_id, p.provider, p.state, p.amount, p.currency, p.expires_at,
       p.client_secret, p.captured_at IS NOT NULL, p.purchase_id, p.pay_href,
       p.error = '{AT_THE_BANK}', p.processing_at IS NOT NULL,
       r.ticket_type_ids, r.row_numbers, r.seat_numbers, r.amounts,
       (SELECT j.command_id FROM payment_job j WHERE j.payment_id = p.payment_id AND j.event_id = p.event_id LIMIT 1)
  FROM payment p
  JOIN reservation r ON r.reservation_id = p.reservation_id AND r.event_id = p.event_id
 WHERE p.payment_id = %(payment_id)s
"""  # noqa: S608 - of constants alone

AT_BANKS_OF_FAN: Final[LiteralString] = """
SELECT payment_id
  FROM payment
 WHERE user_id = %(user_id)s AND state = 'open' AND processing_at IS NOT NULL
 ORDER BY processing_at DESC
 LIMIT %(payments_max)s
"""

JOB_AWAITS: Final[LiteralString] = """
SELECT j.event_id, j.payment_id, j.user_id, j.body_hash
  FROM payment_job j
 WHERE j.command_id = %(command_id)s
"""


class PaymentSeen(NamedTuple):
    """A payment as its fan sees it; ``client_secret`` is sealed. The seats are the hold's, as three arrays, and
    ``amounts`` what each costs without a voucher. ``pay_href`` is the provider's own page, where it is open.
    ``is_processing``: a bank works on it, for the event's payment term. ``job_id`` is that of a checkout that waits
    for it.
    """

    event_id: int
    payment_id: uuid.UUID
    reservation_id: uuid.UUID
    user_id: int
    provider: str
    state: str
    amount: int
    currency: str
    expires_at: dt.datetime
    client_secret: str | None
    is_captured: bool
    purchase_id: uuid.UUID | None
    pay_href: str | None
    is_at_bank: bool
    is_processing: bool
    ticket_type_ids: list[int]
    row_numbers: list[int]
    seat_numbers: list[int]
    amounts: list[int]
    job_id: uuid.UUID | None

    @property
    def can_be_paid(self) -> bool:
        return self.state == PaymentState.OPEN and not (self.is_captured or self.is_at_bank or self.is_processing)

    @property
    def is_under_way(self) -> bool:
        return self.state in OPEN_PAYMENTS


class JobAwaiting(NamedTuple):
    """What a checkout that waits for a payment is recorded under."""

    event_id: int
    payment_id: uuid.UUID
    user_id: int
    body_hash: bytes


async def read_payment(connection: AsyncConnection, payment_id: uuid.UUID) -> PaymentSeen | None:
    """The payment of that id; None if there is none."""
    row = (await connection.exec_driver_sql(READ_PAYMENT, {"payment_id": payment_id})).one_or_none()
    return None if row is None else PaymentSeen._make(row)


async def at_banks_of_fan(connection: AsyncConnection, user_id: int, payments_max: int) -> list[uuid.UUID]:
    """The fan's payments that banks work on, the newest first."""
    which = {"user_id": user_id, "payments_max": payments_max}
    return [row[0] for row in await connection.exec_driver_sql(AT_BANKS_OF_FAN, which)]


async def job_awaiting(connection: AsyncConnection, command_id: uuid.UUID) -> JobAwaiting | None:
    """The payment that a checkout waits for, or waited for; None if it is no such checkout."""
    row = (await connection.exec_driver_sql(JOB_AWAITS, {"command_id": command_id})).one_or_none()
    return None if row is None else JobAwaiting._make(row)
