"""Give bought seats back: a purchase, or some of its seats."""

from __future__ import annotations

from booking_lane.commands import Cancel, command_id_new
from db.booking import purchases as sql
from db.booking.purchases import Detail, cancel_fee, cancellable_until
from db.booking.results import CancelResult, named_seats
from db.booking.seats import SeatNow
from db.booking.states import PurchaseStatus, SeatStatus
from db.outbox.kinds import CancelledSeat, OutboxKind, PurchaseCancelled
from db.outbox.writer import insert_news
from db.payments.rows import WRITE_REFUNDS_OF_PURCHASES
from workers.engine.book import Book, Cancellation
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.refused import Refused
from workers.engine.statements import Connection, run, run_on


def needs(command: Cancel, batch: Needs) -> None:
    batch.fans.add((command.event_id, command.user_id))
    batch.purchases.add((command.event_id, command.purchase_id))


def decide(book: Book, command: Cancel) -> CancelResult:
    purchase = book.purchases.get(command.purchase_id)
    if purchase is None or (purchase.event_id, purchase.user_id) != (command.event_id, command.user_id):
        raise Refused("unknown_purchase")
    book.refuse_if_cancelled(command.event_id, "This event was cancelled, and all its tickets with it.")
    live = {detail.seat: detail for detail in purchase.own}
    if not live:
        all_seats = named_seats(detail.seat for detail in purchase.details)
        sentence = "These tickets were handed on." if purchase.live else "This purchase is cancelled already."
        raise Refused("not_cancellable", sentence, seats=all_seats)
    seats = command.seats or tuple(live)
    if others := [seat for seat in seats if seat not in live]:
        raise Refused("not_cancellable", seats=named_seats(others))
    if used := [seat for seat in seats if (purchase.purchase_id, seat) in book.used_tickets]:
        raise Refused("not_cancellable", "Somebody was let in with these tickets.", seats=named_seats(used))
    event = book.events[command.event_id]
    hours = event.cancel_hours or book.settings.cancel_until_hours
    until = cancellable_until(purchase.cancel_until, event.date, hours)
    if book.now >= until and not command.by_venue:
        raise Refused("cancel_closed", cancelUntil=until)
    details = [live[seat] for seat in seats]
    for detail in details:
        detail.cancelled_at = book.now
        if not command.by_venue:
            detail.cancel_fee = cancel_fee(detail.amount, event.cancel_fee_percent, event.cancel_fee_amount)
        book.move(purchase.event_id, detail.seat, SeatNow(SeatStatus.AVAILABLE))
        purchase.total_amount -= detail.amount
    if not purchase.live:
        purchase.status = PurchaseStatus.CANCELLED
    book.count_bought(purchase.event_id, purchase.user_id, [detail.seat for detail in details], -1)
    cancellation = Cancellation(purchase, details, purchase.status, purchase.total_amount)
    book.changes.cancellations.append(cancellation)
    return CancelResult(
        purchase_id=purchase.purchase_id,
        event_id=purchase.event_id,
        status=cancellation.status,
        total_amount=cancellation.total_amount,
        refund_amount=cancellation.refund_amount,
        currency=purchase.currency,
        cancelled_at=book.now,
        details=_seats(details),
        fee_amount=cancellation.fee_amount,
        version=0,
    )


def _seats(details: list[Detail]) -> tuple[CancelledSeat, ...]:
    """The seats with the amount of each, without their ticket codes, which are not valid any more."""
    return tuple(
        [
            CancelledSeat(
                ticket_type_id=detail.seat[0],
                row_number=detail.seat[1],
                seat_number=detail.seat[2],
                amount=detail.amount,
            )
            for detail in details
        ]
    )


def write(connection: Connection, book: Book) -> None:
    """Write what is left of the purchases, their cancelled details, what is paid back, and the news of each."""
    made = book.changes.cancellations
    if not made:
        return
    purchases = {one.purchase.purchase_id: one.purchase for one in made}
    run_on(
        connection,
        sql.WRITE_CANCELLED_PURCHASES,
        [sql.cancelled_purchase(purchase) for purchase in purchases.values()],
    )
    run_on(
        connection,
        sql.WRITE_CANCELLED_DETAILS,
        [sql.cancelled_detail(one.purchase, detail) for one in made for detail in one.details],
        now=book.now,
    )
    news = [
        PurchaseCancelled(
            event_id=one.purchase.event_id,
            purchase_id=one.purchase.purchase_id,
            user_id=one.purchase.user_id,
            seats=len(one.details),
            details=_seats(one.details),
            refund_amount=one.refund_amount,
            fee_amount=one.fee_amount,
            total_amount=one.total_amount,
            currency=one.purchase.currency,
            status=one.status,
        )
        for one in made
    ]
    paid = [
        {
            "event_id": one.purchase.event_id,
            "refund_id": command_id_new(),
            "purchase_id": one.purchase.purchase_id,
            "amount": one.refund_amount,
        }
        for one in made
        if one.refund_amount and book.events[one.purchase.event_id].payments
    ]
    if paid:
        run_on(connection, WRITE_REFUNDS_OF_PURCHASES, paid, now=book.now)
    statement, parameters = insert_news(OutboxKind.PURCHASE_CANCELLED, news, at=book.now)
    run(connection, statement, **parameters)


RULE = Rule(needs, decide, write, gives_back=True)
