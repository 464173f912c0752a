"""Give back the seats of lapsed holds, and of all holds of a cancelled event."""

from __future__ import annotations

from booking_lane.commands import Sweep
from db.booking.results import SweepResult
from db.booking.states import HoldState
from db.events.sale import EventState
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs


def needs(command: Sweep, batch: Needs) -> None:
    batch.lapsed_of.add(command.event_id)


def decide(book: Book, command: Sweep) -> SweepResult:
    swept = 0
    is_cancelled = book.events[command.event_id].event_state is EventState.CANCELLED
    for reservation_id in book.lapsed.get(command.event_id, ()):
        hold = book.holds[reservation_id]
        if hold.is_open and (is_cancelled or not book.keeps_seats(hold)):
            book.give_back(hold, HoldState.LAPSED)
            swept += 1
    return SweepResult(holds=swept, version=0)


RULE = Rule(needs, decide)
