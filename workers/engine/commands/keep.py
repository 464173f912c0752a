"""Keep the seats of a hold for the event's payment term, because the fan's bank works on the payment."""

from __future__ import annotations

import datetime as dt

from booking_lane.commands import Keep
from db.booking.results import SettleResult
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs


def needs(command: Keep, batch: Needs) -> None:
    batch.payments.add((command.event_id, command.payment_id))
    batch.holds.setdefault((command.event_id, command.reservation_id))
    batch.kept.add(command.event_id)


def decide(book: Book, command: Keep) -> SettleResult:
    payment = book.payments.get(command.payment_id)
    hold = book.holds.get(command.reservation_id)
    event = book.events[command.event_id]
    if payment is None or hold is None or not payment.is_open or payment.captured_amount:
        return SettleResult(version=0)
    if payment.processing_at:
        # The worker may have died before it told the checkouts that wait.
        book.changes.kept.append(payment)
        return SettleResult(version=0)
    # A hold that was given back, or has lapsed, keeps no seats: the money buys them if they are free, or goes back.
    is_under_way = book.payments_of_holds.get(hold.reservation_id) is payment
    most = event.payment_term_seats_max
    has_room = not most or book.kept_seats[event.event_id] + len(hold.seats) <= most
    if event.payment_term_hours and has_room and is_under_way and book.keeps_seats(hold) and book.has_its_seats(hold):
        term = book.now + dt.timedelta(hours=event.payment_term_hours)
        book.stretch(hold, min(term, event.off_sale_at))
        payment.processing_at = book.now
        payment.expires_at = hold.expires_at
        book.changes.payments[payment.payment_id] = payment
        book.changes.kept.append(payment)
        book.kept_seats[event.event_id] += len(hold.seats)
    return SettleResult(version=0)


RULE = Rule(needs, decide)
