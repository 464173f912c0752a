"""Book a hold whose payment came; or pay it back, where its seats are gone."""

from __future__ import annotations

from booking_lane.commands import Confirm
from db.booking.holds import Hold
from db.booking.results import SettleResult
from db.booking.states import HoldState
from db.events.sale import EventState
from db.payments.rows import Payment
from db.payments.states import PaymentState, RefundCause
from workers.engine import payments
from workers.engine.book import Book
from workers.engine.commands.checkout import buy, purchase_result
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.prices import price_agreed


def needs(command: Confirm, batch: Needs) -> None:
    batch.payments.add((command.event_id, command.payment_id))
    batch.holds.setdefault((command.event_id, command.reservation_id))
    batch.fans.add((command.event_id, command.user_id))
    # A hold that has lapsed may find its seats still free.
    batch.seats.update([(command.event_id, *seat) for seat in command.seats])


def decide(book: Book, command: Confirm) -> SettleResult:
    payment = book.payments.get(command.payment_id)
    if payment is None:
        return SettleResult(version=0)
    if payment.state in (PaymentState.BOOKED, PaymentState.RETURNED):
        payments.repeat(book, payment)
    elif payment.captured_amount is not None:
        _settle(book, payment)
    return SettleResult(version=0)


def _settle(book: Book, payment: Payment) -> None:
    hold = book.holds.get(payment.reservation_id)
    cause = _why_not(book, payment, hold)
    if cause is not None:
        payments.hold_again(book, payment)
        payments.give_back(book, payment, cause)
        return
    assert hold is not None
    purchase = buy(book, hold, price_agreed(hold, payment), payment.voucher_hash)
    payment.purchase_id = purchase.purchase_id
    payments.end(book, payment, PaymentState.BOOKED, purchase_result(book, purchase))


def _why_not(book: Book, payment: Payment, hold: Hold | None) -> RefundCause | None:
    """Why the payment cannot buy its hold; None where it can."""
    if not payment.is_right:
        return RefundCause.WRONG_AMOUNT
    if book.events[payment.event_id].event_state is EventState.CANCELLED:
        return RefundCause.EVENT_CANCELLED
    if hold is None or payment.state is PaymentState.FAILED:
        # The fan was told that nothing was paid, and may have gone elsewhere.
        return RefundCause.SEATS_GONE
    if hold.state is HoldState.PURCHASED:
        return RefundCause.PAID_TWICE
    if hold.state is HoldState.RELEASED:
        return RefundCause.GIVEN_UP
    if hold.is_open and book.payments_of_holds.get(hold.reservation_id) is not payment:
        return RefundCause.PAID_TWICE
    if hold.is_open and book.has_its_seats(hold):
        return None
    seats = [book.seats.get((hold.event_id, *key)) for key in hold.seats]
    if not all(seat is not None and seat.is_free(book.now) for seat in seats):
        return RefundCause.SEATS_GONE
    had = book.seats_had(hold.event_id, hold.user_id)
    if had + len(hold.seats) > book.events[hold.event_id].seats_per_fan_max:
        return RefundCause.SEATS_GONE
    return None


RULE = Rule(needs, decide, payments.write)
