"""Writes a decided book: its difference and the outcomes, in one round trip with the commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from booking_lane.commands import Outcome
from booking_lane.results import Count, EventChange, SeatChange
from db.booking import events, holds, outcomes, seats
from workers.engine.book import Book
from workers.engine.commands import RULES
from workers.engine.statements import Connection, run, run_on

_WRITERS: Final = [
    rule.write for rule in sorted(RULES.values(), key=lambda rule: not rule.gives_back) if rule.write is not None
]


def write(connection: Connection, book: Book) -> None:
    """Send the statements that write the book's difference. The caller commits."""
    changes = book.changes
    if changes.seats:
        rows = [seats.seat_change(key, book.seats[key]) for key in sorted(changes.seats)]
        run_on(connection, seats.WRITE_SEATS, rows)
    if changes.new_holds:
        rows = [holds.new_hold(hold) for hold in changes.new_holds.values()]
        run_on(connection, holds.WRITE_NEW_HOLDS, rows, now=book.now)
    closed = [holds.hold_state(hold) for key, hold in changes.hold_states.items() if key not in changes.new_holds]
    if closed:
        run_on(connection, holds.WRITE_HOLD_STATES, closed, now=book.now)
    for write_own in _WRITERS:
        write_own(connection, book)
    counts = [
        {"event_id": key[0], "ticket_type_id": key[1], "available_change": available, "held_change": held}
        for key, (available, held) in sorted(changes.counts.items())
        if available or held
    ]
    if counts:
        run_on(connection, events.WRITE_COUNTS, counts)
    if event_ids := sorted(changes.event_ids()):
        run(connection, events.WRITE_VERSIONS, event_ids=event_ids)


def write_outcomes(connection: Connection, book: Book, new: Sequence[Outcome]) -> None:
    """Send the statement that records the new outcomes. The caller commits."""
    if new:
        run_on(connection, outcomes.WRITE_OUTCOMES, [_outcome_row(outcome) for outcome in new], now=book.now)


def record(connection: Connection, outcome: Outcome) -> Outcome:
    """Record an outcome that did not come from a decision. Returns the recorded one, which may be an earlier one."""
    now = run(connection, events.CLOCK).fetchone()
    assert now is not None
    run_on(connection, outcomes.RECORD_OUTCOMES, [_outcome_row(outcome)], now=now[0])
    key = {"event_id": outcome.event_id, "command_id": outcome.command_id}
    row = run_on(connection, outcomes.READ_OUTCOMES, [key]).fetchone()
    return outcome if row is None else Outcome(*outcomes.outcome_row(row))


def _outcome_row(outcome: Outcome) -> dict[str, object]:
    return outcomes.new_outcome(
        outcome.command_id, outcome.event_id, outcome.user_id, outcome.kind, outcome.body_hash, outcome.body
    )


def event_changes(book: Book) -> tuple[EventChange, ...]:
    """The changes of a committed book, for gateways: seats, counts and the new version of each event."""
    changed_seats: dict[int, list[SeatChange]] = defaultdict(list)
    for key in sorted(book.changes.seats):
        event_id, ticket_type_id, row_number, seat_number = key
        change = SeatChange(ticket_type_id, row_number, seat_number, book.seats[key].status)
        changed_seats[event_id].append(change)
    counts: dict[int, list[Count]] = defaultdict(list)
    for (event_id, ticket_type_id), ticket in sorted(book.tickets.items()):
        counts[event_id].append(Count(ticket_type_id, ticket.available_count, ticket.held_count))
    return tuple(
        EventChange(
            event_id, book.events[event_id].version + 1, tuple(changed_seats[event_id]), tuple(counts[event_id])
        )
        for event_id in sorted(book.changes.event_ids())
    )
