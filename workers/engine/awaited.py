"""Seats for which fans wait: they are kept from everybody else until they were offered."""

from __future__ import annotations

from collections.abc import Iterable

from db.booking.seats import Seat
from db.waiting.entries import Entry
from db.waiting.states import EntryState
from workers.engine.book import Book
from workers.engine.refused import Refused


def refuse_what_others_await(book: Book, event_id: int, ticket_type_ids: Iterable[int], own: Iterable[Seat]) -> None:
    """Return if nobody waits whom the free seats of these ticket types suffice for.

    Args:
        own: seats of the fan's own ended holds that still keep their seats. They count as free, because nobody is to
            renew a hold while others wait.

    Raises:
        Refused: ``kept_for_waiting``.
    """
    if not book.turns:
        return
    kept = list(own)
    for ticket_type_id in sorted(set(ticket_type_ids)):
        key = event_id, ticket_type_id
        turns = book.turns.get(key)
        if turns is None:
            continue
        free = book.free_rows[key].ordinary_count + sum(seat[0] == ticket_type_id for seat in kept)
        if turns.are_wanted(free):
            raise Refused("kept_for_waiting", ticketTypeId=ticket_type_id)


def end(book: Book, entry: Entry, state: EntryState) -> None:
    """The entry does not wait any more."""
    entry.state = state
    if entry not in book.changes.new_entries:
        book.changes.ended_entries.append(entry)
