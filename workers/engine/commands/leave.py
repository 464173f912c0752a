"""Leave the waiting list, or decline the seats that were offered."""

from __future__ import annotations

from booking_lane.commands import Leave
from db.booking.results import LeaveResult, named_seats
from db.booking.seats import Seat
from db.booking.states import HoldState
from db.waiting.states import EntryState
from workers.engine.awaited import end
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.refused import Refused


def needs(command: Leave, batch: Needs) -> None:
    fan = (command.event_id, command.user_id)
    batch.fans.add(fan)
    batch.waiting_fans.add(fan)


def decide(book: Book, command: Leave) -> LeaveResult:
    entry = book.entries.get((command.event_id, command.user_id))
    if entry is None:
        raise Refused("not_waiting")
    seats: tuple[Seat, ...] = ()
    if entry.state is EntryState.WAITING:
        end(book, entry, EntryState.LEFT)
        if (turns := book.turns.get((entry.event_id, entry.ticket_type_id))) is not None:
            turns.remove(entry)
    else:
        hold = None if entry.reservation_id is None else book.holds.get(entry.reservation_id)
        if hold is None or not hold.is_open:
            raise Refused("not_waiting")
        seats = hold.seats
        book.give_back(hold, HoldState.RELEASED)
    del book.entries[command.event_id, command.user_id]
    return LeaveResult(event_id=entry.event_id, number=entry.number, seats=named_seats(seats), version=0)


RULE = Rule(needs, decide)
