"""Payments in the open book: how a checkout begins one, how it ends, and what is written of both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NoReturn

from booking_lane.commands import Checkout, command_id_new
from booking_lane.problems import problem
from db.booking.amounts import amount_to_pay
from db.booking.charges import Charge
from db.booking.holds import Hold
from db.booking.results import Result
from db.booking.states import HoldState
from db.booking.vouchers import Voucher
from db.payments import rows as sql
from db.payments.rows import NewRefund, Payment, PaymentJob
from db.payments.states import PaymentState, RefundCause
from workers.engine.awaits import AwaitsPayment
from workers.engine.book import Book
from workers.engine.prices import count_use
from workers.engine.refused import Refused
from workers.engine.statements import Connection, run_on


def pay_until(book: Book, hold: Hold, charges: Sequence[Charge]) -> dt.datetime | None:
    """Until when the hold lasts if its payment begins now; None where nothing is to be paid.

    Raises:
        Refused: ``hold_expired``, where the hold may last no longer.
    """
    if not book.events[hold.event_id].payments or amount_to_pay(charges) == 0:
        return None
    longer = book.now + dt.timedelta(seconds=book.settings.paying_seconds)
    last = hold.created_at + dt.timedelta(seconds=book.settings.life_seconds_max)
    until = max(hold.expires_at, min(longer, last))
    if until <= book.now:
        raise Refused("hold_expired")
    return until


def begin(
    book: Book,
    command: Checkout,
    hold: Hold,
    until: dt.datetime,
    charges: Sequence[Charge],
    voucher: Voucher | None,
) -> NoReturn:
    """Begin the hold's payment for these charges, and let the hold last until then.

    The voucher's use counts from now on: of two fans who pay with its last use one would have to be paid back.

    Raises:
        AwaitsPayment: always.
    """
    book.stretch(hold, until)
    if hold.state is not HoldState.PAYING:
        book.close(hold, HoldState.PAYING)
    event = book.events[hold.event_id]
    payment = Payment(
        event_id=hold.event_id,
        payment_id=command_id_new(),
        reservation_id=hold.reservation_id,
        user_id=hold.user_id,
        provider=event.payments,
        state=PaymentState.NEW,
        amount=amount_to_pay(charges),
        currency=event.currency,
        expires_at=hold.expires_at,
    )
    if voucher is not None:
        payment.voucher_hash = voucher.code_hash
        payment.discounts = [charge.discount for charge in charges]
        count_use(book, hold.event_id, voucher.code_hash, 1)
    book.payments[payment.payment_id] = book.payments_of_holds[hold.reservation_id] = payment
    book.changes.new_payments.append(payment)
    join(book, command, payment)


def join(book: Book, command: Checkout, payment: Payment) -> NoReturn:
    """Let the checkout wait for a payment that is under way.

    Raises:
        AwaitsPayment: it waits.
        Refused: ``voucher_not_for_these``, where it names a voucher and the payment was begun without it.
    """
    if command.vouchers and payment.voucher_hash not in command.vouchers:
        raise Refused(
            "voucher_not_for_these", "A payment without this voucher is under way. Let it end, or give the seats back."
        )
    job = PaymentJob(command.command_id, command.user_id, command.body_hash)
    if all(one.command_id != job.command_id for one in payment.jobs):
        payment.jobs.append(job)
        book.changes.payment_jobs.append((payment, job))
    raise AwaitsPayment(payment.payment_id)


def end(book: Book, payment: Payment, state: PaymentState, answer: Result | dict[str, Any]) -> None:
    """End the payment, and all checkouts that wait for it with the same answer."""
    if payment.voucher_hash is not None and payment.is_open and state is not PaymentState.BOOKED:
        count_use(book, payment.event_id, payment.voucher_hash, -1)
    payment.state = state
    book.changes.payments[payment.payment_id] = payment
    for job in payment.jobs:
        if job.outcome is None:
            book.changes.settled.append((payment.event_id, job, answer))


def give_back(book: Book, payment: Payment, cause: RefundCause) -> None:
    """End a payment that was paid and buys nothing: all of it goes back, and the fan is told."""
    assert payment.captured_amount is not None
    refund = NewRefund(payment.event_id, command_id_new(), payment.payment_id, payment.captured_amount, cause)
    book.changes.refunds.append(refund)
    words = "Your payment came, but it cannot buy these seats any more; all of it is paid back by itself."
    refused = problem("payment_failed", words, refundAmount=payment.captured_amount, refundCause=cause)
    end(book, payment, PaymentState.RETURNED, refused)


def repeat(book: Book, payment: Payment) -> None:
    """Publish the outcomes again, which were recorded when the payment ended."""
    book.changes.settled += [(payment.event_id, job, {}) for job in payment.jobs if job.outcome is not None]


def hold_again(book: Book, payment: Payment) -> None:
    """Let the fan pay the hold anew, where this payment was the one under way."""
    hold = book.holds.get(payment.reservation_id)
    if hold is None or hold.state is not HoldState.PAYING:
        return
    if book.payments_of_holds.get(hold.reservation_id) is payment:
        book.close(hold, HoldState.HELD)
        del book.payments_of_holds[hold.reservation_id]


def free(book: Book, payment: Payment) -> None:
    """Give the seats back that were kept for a bank: days later the fan is not there to pay anew."""
    hold = book.holds.get(payment.reservation_id)
    if hold is not None and book.payments_of_holds.get(hold.reservation_id) is payment:
        book.give_back(hold, HoldState.LAPSED)


def write(connection: Connection, book: Book) -> None:
    """Write payments, the checkouts that wait for them, and refunds."""
    changes = book.changes
    if new := changes.new_payments:
        run_on(connection, sql.WRITE_NEW_PAYMENTS, [sql.new_payment(one) for one in new], now=book.now)
    new_ids = {one.payment_id for one in changes.new_payments}
    if changed := [one for one in changes.payments.values() if one.payment_id not in new_ids]:
        run_on(connection, sql.WRITE_PAYMENTS, [sql.payment_change(one) for one in changed], now=book.now)
    if jobs := changes.payment_jobs:
        run_on(connection, sql.WRITE_JOBS, [sql.new_job(payment, job) for payment, job in jobs])
    if refunds := changes.refunds:
        run_on(connection, sql.WRITE_REFUNDS, [sql.new_refund(one) for one in refunds], now=book.now)
