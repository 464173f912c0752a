"""Hold seats: those named, or the best available."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from booking_lane.commands import BestAvailable, Give, Proof, Reserve, command_id_new
from db.booking.charges import Charge, charge_of, noted
from db.booking.conduct import LARGE_HOLD_SEATS
from db.booking.events import EventRow
from db.booking.holds import Hold
from db.booking.results import HoldResult, breakdown, held_seats, named_seats
from db.booking.seats import Seat, SeatNow
from db.booking.states import HoldState, SeatStatus
from db.events.sale import PROBLEMS, SaleState, sale_state
from db.plans.best_seats import Wish
from workers.engine.awaited import refuse_what_others_await
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.conduct import refuse_by_conduct
from workers.engine.needs import Needs
from workers.engine.refused import Refused
from workers.engine.terms import refuse_beyond_type_limits, refuse_outside_windows


def needs(command: Reserve, batch: Needs) -> None:
    batch.fans.add((command.event_id, command.user_id))
    batch.seats.update([(command.event_id, *seat) for seat in command.seats])
    if command.best_available is not None:
        batch.free_rows.add((command.event_id, command.best_available.ticket_type_id))
        batch.lapsed_of.add(command.event_id)
    if command.network and not command.proof:
        batch.networks.setdefault(command.event_id, set()).add(command.network)
        best = command.best_available
        if (best.quantity if best is not None else len(command.seats)) >= LARGE_HOLD_SEATS:
            batch.large_holds.add(command.event_id)


def decide(book: Book, command: Reserve) -> HoldResult:
    event = book.events[command.event_id]
    _refuse_unless_on_sale(event, book.now)
    in_grace = []
    for hold in book.holds_of(command.event_id, command.user_id):
        if hold.is_live(book.now):
            if hold.seats == command.seats:
                return _result(book, hold)
        elif book.keeps_seats(hold):
            in_grace.append(hold)
    best = command.best_available
    asked = [best.ticket_type_id] if best is not None else [seat[0] for seat in command.seats]
    refuse_what_others_await(book, command.event_id, asked, (seat for hold in in_grace for seat in hold.seats))
    if best is None:
        refuse_unless_free(book, command.event_id, command.seats, in_grace)
    count = best.quantity if best is not None else len(command.seats)
    had = book.seats_had(command.event_id, command.user_id)
    if had + count > event.seats_per_fan_max:
        raise Refused(
            "limit_exceeded",
            f"One fan may have {event.seats_per_fan_max} seats of this event; you have {had}.",
            seatsPerFanMax=event.seats_per_fan_max,
        )
    wanted = {seat[0] for seat in command.seats} if best is None else {best.ticket_type_id}
    refuse_outside_windows(book, command.event_id, wanted)
    seats = command.seats if best is None else _best_available(book, command, best, in_grace)
    refuse_beyond_type_limits(book, command.event_id, command.user_id, seats)
    try:
        refuse_by_conduct(book, command, count, in_grace)
    except Refused:
        # Who asks for seats anew has given up the hold that ended, also where a proof is asked first. Else it would
        # block its seats while a hoarder's next session takes others.
        for hold in in_grace:
            book.give_back(hold, HoldState.LAPSED)
        raise
    room = event.seats_per_fan_max - had - count
    for hold in in_grace:
        # The fan holds seats of an ended hold again, or could not buy it any more beside the new one: so the ended hold
        # is closed, and its other seats become free. Else a hoarder would block two limits' worth.
        if not set(hold.seats).isdisjoint(seats) or len(hold.seats) > room:
            book.give_back(hold, HoldState.LAPSED)
    lasts = dt.timedelta(seconds=book.settings.seconds)
    return _result(book, hold_seats(book, command, seats, lasts))


def _refuse_unless_on_sale(event: EventRow, now: dt.datetime) -> None:
    state = sale_state(event, now)
    if state is SaleState.ON_SALE:
        return
    if state is SaleState.COMING:
        raise Refused(PROBLEMS[state], onSaleAt=event.on_sale_at)
    if state is SaleState.OVER:
        raise Refused(PROBLEMS[state], offSaleAt=event.off_sale_at)
    raise Refused(PROBLEMS[state])


def hold_seats(
    book: Book,
    command: Reserve | Give,
    seats: tuple[Seat, ...],
    lasts: dt.timedelta,
    *,
    charges: Sequence[Charge] | None = None,
    reservation_id: uuid.UUID | None = None,
) -> Hold:
    """Hold seats that are free for the command's fan, for these charges, or else for what the seats cost."""
    if charges is None:
        tickets = [book.tickets[command.event_id, seat[0]] for seat in seats]
        charges = [charge_of(ticket.price, ticket.terms) for ticket in tickets]
    hold = Hold(
        event_id=command.event_id,
        reservation_id=reservation_id or command_id_new(),
        user_id=command.user_id,
        state=HoldState.HELD,
        seats=seats,
        total_amount=sum([charge.amount for charge in charges]),
        expires_at=book.now + lasts,
        amounts=tuple([charge.amount for charge in charges]),
        network=command.network,
        proven=command.proof > Proof.NONE,
        created_at=book.now,
        charges_note=noted(charges),
    )
    held_until = hold.expires_at + book.grace
    for seat in seats:
        book.move(command.event_id, seat, SeatNow(SeatStatus.RESERVED, hold.reservation_id, held_until))
    book.add_hold(hold)
    book.count_with_network(hold, len(seats))
    book.changes.new_holds[hold.reservation_id] = hold
    return hold


def _result(book: Book, hold: Hold) -> HoldResult:
    charges = hold.charges
    return HoldResult(
        reservation_id=hold.reservation_id,
        event_id=hold.event_id,
        expires_at=hold.expires_at,
        total_amount=hold.total_amount,
        currency=book.events[hold.event_id].currency,
        seats=held_seats(hold.seats, charges),
        breakdown=breakdown(charges),
        version=0,
    )


def refuse_unless_free(book: Book, event_id: int, seats: Sequence[Seat], in_grace: Sequence[Hold] = ()) -> None:
    """Refuse a command unless its seats are free. Those of the fan's own holds in their grace count as free for it."""
    unknown: list[Seat] = []
    taken: list[Seat] = []
    for seat in seats:
        now = book.seats.get((event_id, *seat))
        if now is None:
            unknown.append(seat)
        elif not now.is_free(book.now) and not any(now.reservation_id == hold.reservation_id for hold in in_grace):
            taken.append(seat)
    if unknown:
        raise Refused("unknown_seats", seats=named_seats(unknown))
    if taken:
        raise Refused("seats_taken", seats=named_seats(taken))


def _best_available(book: Book, command: Reserve, wanted: BestAvailable, in_grace: list[Hold]) -> tuple[Seat, ...]:
    ticket_type_id = wanted.ticket_type_id
    ticket = book.tickets.get((command.event_id, ticket_type_id))
    if ticket is None:
        raise Refused("unknown_seats", "There is no such ticket type.")
    rows = book.free_rows[command.event_id, ticket_type_id]
    own = [seat for hold in in_grace if book.has_its_seats(hold) for seat in hold.seats if seat[0] == ticket_type_id]
    for _, row_number, seat_number in own:
        rows.give(row_number, seat_number)
    block = rows.best(Wish(wanted.quantity, command.accessible))
    for _, row_number, seat_number in own:
        rows.take(row_number, seat_number)
    if block is None:
        if rows.count == 0 and ticket.held_count == 0:
            raise Refused("sold_out")
        raise Refused("no_block")
    return tuple(sorted([(ticket_type_id, block.row_number, number) for number in block.seats]))


RULE = Rule(needs, decide)
