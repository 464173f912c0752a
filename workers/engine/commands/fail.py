"""End a payment of which the provider says that nothing was paid and nothing can be any more."""

from __future__ import annotations

from booking_lane.commands import Fail
from booking_lane.problems import problem
from db.booking.results import SettleResult
from db.payments.states import PaymentState
from workers.engine import payments
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs


def needs(command: Fail, batch: Needs) -> None:
    batch.payments.add((command.event_id, command.payment_id))
    batch.holds.setdefault((command.event_id, command.reservation_id))


def decide(book: Book, command: Fail) -> SettleResult:
    payment = book.payments.get(command.payment_id)
    if payment is None or payment.captured_amount is not None:
        # What was paid is never told as failed: its confirmation is on its way.
        return SettleResult(version=0)
    if payment.is_open:
        if payment.processing_at is None:
            payments.hold_again(book, payment)
        else:
            payments.free(book, payment)
        payments.end(book, payment, PaymentState.FAILED, problem("payment_failed"))
    else:
        payments.repeat(book, payment)
    return SettleResult(version=0)


RULE = Rule(needs, decide)
