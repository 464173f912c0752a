"""Buy a hold."""

from __future__ import annotations

from collections.abc import Sequence

from booking_lane.commands import Checkout, Proof
from db.booking import purchases as sql
from db.booking.charges import Charge
from db.booking.holds import Hold
from db.booking.purchases import Detail, Purchase, cancellable_until
from db.booking.results import BoughtSeat, PurchaseResult, breakdown, seat_charge
from db.booking.seats import SeatNow
from db.booking.states import HoldState, SeatStatus
from db.booking.ticket_codes import new_code
from db.booking.vouchers import WRITE_VOUCHER_USES, voucher_uses
from db.ids import id_of_event
from db.outbox.kinds import OutboxKind, PurchaseMade
from db.outbox.writer import insert_news
from workers.engine import payments
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.conduct import refuse_unproven_mass
from workers.engine.needs import Needs
from workers.engine.prices import count_use, price_of
from workers.engine.refused import Refused
from workers.engine.statements import Connection, run, run_on
from workers.engine.terms import refuse_beyond_type_limits


def needs(command: Checkout, batch: Needs) -> None:
    batch.fans.add((command.event_id, command.user_id))
    batch.seats.update([(command.event_id, *seat) for seat in command.seats])
    if command.reservation_id is not None:
        batch.holds[command.event_id, command.reservation_id] = command.user_id
    batch.vouchers.update([(command.event_id, one) for one in command.vouchers])
    if command.network and not command.proof:
        batch.bought_unproven.add(command.event_id)


def decide(book: Book, command: Checkout) -> PurchaseResult:
    book.refuse_if_cancelled(command.event_id)
    hold = _hold_named(book, command)
    payment = book.payments_of_holds.get(hold.reservation_id)
    if payment is not None:
        payments.join(book, command, payment)
    if hold.state == HoldState.PURCHASED:
        bought = book.purchases_of_holds.get(hold.reservation_id)
        if bought is None or not bought.live:
            raise Refused("hold_mismatch", "This hold was bought, and the purchase cancelled.")
        return purchase_result(book, bought)
    if not book.keeps_seats(hold) or not book.has_its_seats(hold):
        raise Refused("hold_expired")
    if not hold.is_live(book.now):
        _refuse_beyond_limit(book, hold)
    refuse_unproven_mass(book, command, hold)
    charges, voucher = price_of(book, hold, command.vouchers)
    pay_until = payments.pay_until(book, hold, charges)
    if command.proof > Proof.NONE and not hold.proven:
        book.count_with_network(hold, -len(hold.seats))
        hold.proven = True
    if pay_until is not None:
        payments.begin(book, command, hold, pay_until, charges, voucher)
    if voucher is None:
        return purchase_result(book, buy(book, hold, charges))
    count_use(book, hold.event_id, voucher.code_hash, 1)
    return purchase_result(book, buy(book, hold, charges, voucher.code_hash))


def buy(
    book: Book,
    hold: Hold,
    charges: Sequence[Charge],
    voucher_hash: bytes | None = None,
    *,
    given_by: str | None = None,
) -> Purchase:
    """Make the purchase of a hold whose seats are its own or free, for these charges; ``given_by`` is the operator who
    gave complimentary seats. The voucher's use is counted already.
    """
    event = book.events[hold.event_id]
    purchase = Purchase(
        event_id=hold.event_id,
        purchase_id=id_of_event(hold.event_id),
        user_id=hold.user_id,
        reservation_id=hold.reservation_id,
        total_amount=sum([charge.amount for charge in charges]),
        currency=event.currency,
        purchase_at=book.now,
        details=[Detail(seat, charge, new_code()) for seat, charge in zip(hold.seats, charges, strict=True)],
        cancel_until=cancellable_until(None, event.date, event.cancel_hours or book.settings.cancel_until_hours),
        voucher_hash=voucher_hash,
        given_by=given_by,
    )
    for seat in hold.seats:
        book.move(hold.event_id, seat, SeatNow(SeatStatus.BOOKED))
    book.count_again(hold)
    book.close(hold, HoldState.PURCHASED)
    book.count_bought(hold.event_id, hold.user_id, hold.seats)
    book.purchases_of_holds[hold.reservation_id] = purchase
    book.changes.purchases.append(purchase)
    return purchase


def _hold_named(book: Book, command: Checkout) -> Hold:
    """The hold that the command names. If several holds have the named seats, it is the one that still keeps them."""
    if command.reservation_id is not None:
        hold = book.holds.get(command.reservation_id)
        if hold is None or hold.event_id != command.event_id:
            raise Refused("hold_mismatch")
        if hold.user_id != command.user_id:
            raise Refused("not_your_hold")
        return hold
    own = book.holds_of(command.event_id, command.user_id)
    of_these_seats = [hold for hold in own if hold.seats == command.seats]
    for hold in of_these_seats:
        if book.keeps_seats(hold):
            return hold
    if of_these_seats:
        return of_these_seats[-1]
    own_ids = {hold.reservation_id for hold in own}
    for key in command.seats:
        seat = book.seats.get((command.event_id, *key))
        is_held = seat is not None and seat.status == SeatStatus.RESERVED and not seat.is_free(book.now)
        if seat is not None and is_held and seat.reservation_id not in own_ids:
            raise Refused("not_your_hold")
    raise Refused("hold_mismatch")


def _refuse_beyond_limit(book: Book, hold: Hold) -> None:
    """Refuse the checkout if the fan would have too many seats. A hold in its grace does not count against the limit,
    so the fan may have taken other seats meanwhile.
    """
    limit = book.events[hold.event_id].seats_per_fan_max
    had = book.seats_had(hold.event_id, hold.user_id)
    if had + len(hold.seats) > limit:
        raise Refused(
            "limit_exceeded",
            f"This hold has ended, and you have {had} other seats since; one fan may have {limit} of this event.",
            seatsPerFanMax=limit,
        )
    refuse_beyond_type_limits(book, hold.event_id, hold.user_id, hold.seats)


def purchase_result(book: Book, purchase: Purchase) -> PurchaseResult:
    """The purchase as its checkout is told of it."""
    return PurchaseResult(
        purchase_id=purchase.purchase_id,
        event_id=purchase.event_id,
        user_id=purchase.user_id,
        total_amount=purchase.total_amount,
        currency=purchase.currency,
        purchase_at=purchase.purchase_at,
        status=purchase.status,
        details=tuple(
            [
                BoughtSeat(
                    ticket_type_id=detail.seat[0],
                    ticket_type=book.tickets[purchase.event_id, detail.seat[0]].ticket_type,
                    row_number=detail.seat[1],
                    seat_number=detail.seat[2],
                    amount=detail.amount,
                    ticket_code=detail.ticket_code,
                    charge=seat_charge(detail.charge),
                )
                for detail in purchase.own
            ]
        ),
        breakdown=breakdown([detail.charge for detail in purchase.live]),
        version=0,
    )


def write(connection: Connection, book: Book) -> None:
    """Write the purchases with their details, the uses of vouchers, and the news of each."""
    if uses := sorted((key, count) for key, count in book.changes.voucher_uses.items() if count):
        rows = [voucher_uses(event_id, code_hash, count) for (event_id, code_hash), count in uses]
        run_on(connection, WRITE_VOUCHER_USES, rows)
    made = book.changes.purchases
    if not made:
        return
    run_on(connection, sql.WRITE_PURCHASES, [sql.new_purchase(purchase) for purchase in made], now=book.now)
    run_on(
        connection,
        sql.WRITE_PURCHASE_DETAILS,
        [sql.new_detail(purchase, detail) for purchase in made for detail in purchase.details],
    )
    news = [
        PurchaseMade(
            event_id=purchase.event_id,
            purchase_id=purchase.purchase_id,
            user_id=purchase.user_id,
            seats=len(purchase.details),
            total_amount=purchase.total_amount,
            currency=purchase.currency,
        )
        for purchase in made
    ]
    statement, parameters = insert_news(OutboxKind.PURCHASE_MADE, news, at=book.now)
    run(connection, statement, **parameters)


RULE = Rule(needs, decide, write)
