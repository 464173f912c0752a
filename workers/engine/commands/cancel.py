"""Give bought seats back: a purchase, or some of its seats."""

from __future__ import annotations

from booking_lane.commands import Cancel
from db.booking import purchases as sql
from db.booking.purchases import Detail, cancellable_until
from db.booking.results import CancelResult, named_seats
from db.booking.seats import SeatNow
from db.booking.states import PurchaseStatus, SeatStatus
from db.outbox.kinds import CancelledSeat, OutboxKind, PurchaseCancelled
from db.outbox.writer import insert_news
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
    live = {detail.seat: detail for detail in purchase.live}
    if not live:
        all_seats = named_seats(detail.seat for detail in purchase.details)
        raise Refused("not_cancellable", "This purchase is cancelled already.", seats=all_seats)
    seats = command.seats or tuple(live)
    if others := [seat for seat in seats if seat not in live]:
        raise Refused("not_cancellable", seats=named_seats(others))
    event = book.events[command.event_id]
    until = cancellable_until(purchase.cancel_until, event.date, book.settings.cancel_until_hours)
    if book.now >= until:
        raise Refused("cancel_closed", cancelUntil=until)
    details = [live[seat] for seat in seats]
    for detail in details:
        detail.cancelled_at = book.now
        book.move(purchase.event_id, detail.seat, SeatNow(SeatStatus.AVAILABLE))
        purchase.total_amount -= detail.amount
    if len(details) == len(live):
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
    """Write what is left of the purchases, their cancelled details, and the news of each cancellation."""
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
        [sql.detail_key(one.purchase, detail) for one in made for detail in one.details],
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
            total_amount=one.total_amount,
            currency=one.purchase.currency,
            status=one.status,
        )
        for one in made
    ]
    statement, parameters = insert_news(OutboxKind.PURCHASE_CANCELLED, news, at=book.now)
    run(connection, statement, **parameters)


RULE = Rule(needs, decide, write, gives_back=True)
