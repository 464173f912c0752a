"""Give a fan all that another fan has of an event, because the accounts of the two were joined."""

from __future__ import annotations

from booking_lane.commands import Merge
from db.booking import merging as sql
from db.booking.holds import Hold
from db.booking.results import MergeResult
from db.booking.states import HoldState
from db.waiting.entries import Entry
from db.waiting.states import EntryState
from workers.engine.awaited import end
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.statements import Connection, run_on


def needs(command: Merge, batch: Needs) -> None:
    for user_id in (command.from_user_id, command.user_id):
        batch.fans.add((command.event_id, user_id))
        batch.waiting_fans.add((command.event_id, user_id))


def decide(book: Book, command: Merge) -> MergeResult:
    """What was bought, or is being paid, stays whatever the limit says, and counts. Of the seats that are only held,
    those beyond the limit are given back, so that the two never buy more together than they had bought apart.
    """
    event_id, old, new = command.event_id, command.from_user_id, command.user_id
    # Of an event at which the other fan has no seats, the fan's own holds are as they were.
    comes_along = bool(book.seats_had(event_id, old))
    held = [*_held(book, event_id, old), *_held(book, event_id, new)]
    book.merge(event_id, old, new)
    given_back = 0
    for hold in held if comes_along else ():
        if _is_beyond_limit(book, hold):
            book.give_back(hold, HoldState.RELEASED)
            given_back += len(hold.seats)
    _merge_entries(book, command)
    return MergeResult(seats=given_back, version=0)


def _held(book: Book, event_id: int, user_id: int) -> list[Hold]:
    """The fan's live holds that nobody pays yet, the newest first."""
    live = [hold for hold in book.holds_of(event_id, user_id) if hold.is_live(book.now)]
    unpaid = [hold for hold in live if hold.state is HoldState.HELD]
    return sorted(unpaid, key=lambda hold: (hold.created_at, hold.reservation_id), reverse=True)


def _is_beyond_limit(book: Book, hold: Hold) -> bool:
    """Whether the hold's fan has too many seats of the event, or of a ticket type that the hold has seats of."""
    if book.seats_had(hold.event_id, hold.user_id) > book.events[hold.event_id].seats_per_fan_max:
        return True
    for ticket_type_id in {seat[0] for seat in hold.seats}:
        limit = book.tickets[hold.event_id, ticket_type_id].terms.seats_per_fan_max
        if limit is not None and book.seats_had_of(hold.event_id, hold.user_id, ticket_type_id) > limit:
            return True
    return False


def _merge_entries(book: Book, command: Merge) -> None:
    """A person waits once: what is offered stays, and else the earlier of two entries."""
    old, own = (_entry(book, command.event_id, fan) for fan in (command.from_user_id, command.user_id))
    if old is None:
        return
    del book.entries[command.event_id, command.from_user_id]
    old.user_id = command.user_id
    kept = old if own is None else min(old, own, key=lambda entry: (entry.state is EntryState.WAITING, entry.number))
    book.entries[command.event_id, command.user_id] = kept
    for entry in (old, own):
        if entry is not None and entry is not kept and entry.state is EntryState.WAITING:
            end(book, entry, EntryState.LEFT)
            if (turns := book.turns.get((entry.event_id, entry.ticket_type_id))) is not None:
                turns.remove(entry)


def _entry(book: Book, event_id: int, user_id: int) -> Entry | None:
    """The fan's entry that waits, or whose offer is under way."""
    entry = book.entries.get((event_id, user_id))
    if entry is None or entry.state is EntryState.WAITING:
        return entry
    hold = None if entry.reservation_id is None else book.holds.get(entry.reservation_id)
    if hold is not None and hold.is_live(book.now):
        return entry
    del book.entries[event_id, user_id]
    return None


def write(connection: Connection, book: Book) -> None:
    """Write whose the rows are now, after all other rows of the batch."""
    rows = [sql.merged_row(*merged) for merged in book.changes.merged]
    if not rows:
        return
    run_on(connection, sql.WRITE_MERGED_HOLDS, rows)
    run_on(connection, sql.WRITE_MERGED_PURCHASES, rows)
    run_on(connection, sql.WRITE_MERGED_TICKETS, rows)
    run_on(connection, sql.WRITE_MERGED_ISSUES, rows)
    run_on(connection, sql.WRITE_MERGED_PAYMENTS, rows)
    run_on(connection, sql.WRITE_MERGED_ENTRIES, rows)
    run_on(connection, sql.WRITE_MERGED_ANSWERS, rows)


RULE = Rule(needs, decide, write)
