"""Give a hold back before its end."""

from __future__ import annotations

from booking_lane.commands import Release
from db.booking.results import ReleaseResult, named_seats
from db.booking.states import HoldState
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.refused import Refused


def needs(command: Release, batch: Needs) -> None:
    batch.holds.setdefault((command.event_id, command.reservation_id))


def decide(book: Book, command: Release) -> ReleaseResult:
    hold = book.holds.get(command.reservation_id)
    if hold is None or hold.event_id != command.event_id:
        raise Refused("hold_mismatch")
    if hold.user_id != command.user_id:
        raise Refused("not_your_hold")
    if hold.state == HoldState.PURCHASED:
        raise Refused("hold_mismatch", "This hold was bought already.")
    if hold.is_open:
        book.give_back(hold, HoldState.RELEASED)
    return ReleaseResult(
        reservation_id=hold.reservation_id,
        event_id=hold.event_id,
        seats=named_seats(hold.seats),
        version=0,
    )


RULE = Rule(needs, decide)
