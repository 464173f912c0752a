"""Offers to those who wait: seats that are free go to the first entry whom they suffice for.

The offers of a batch are made at its end, in the transaction that freed the seats. An offer is a hold of its fan with
an end of its own, so its seats are as safe as those of any other hold.
"""

from __future__ import annotations

import datetime as dt

from booking_lane.commands import UNSTAMPED, Proof, Reserve
from db.events.sale import SaleState, sale_state
from db.plans.best_seats import FreeSeats, Wish
from db.waiting.states import EntryState
from workers.engine.awaited import end
from workers.engine.book import Book
from workers.engine.commands.reserve import hold_seats


def make_offers(book: Book) -> None:
    """Hold what is free for those who wait: each entry whole, in the order of their numbers."""
    for (event_id, ticket_type_id), turns in sorted(book.turns.items(), key=lambda item: item[0]):
        event = book.events[event_id]
        if sale_state(event, book.now) is not SaleState.ON_SALE:
            continue
        rows = book.free_rows[event_id, ticket_type_id]
        while entry := turns.first(rows.ordinary_count):
            turns.remove(entry)
            had = book.seats_had(event_id, entry.user_id) if (event_id, entry.user_id) in book.fans else entry.had
            if had + entry.quantity > event.seats_per_fan_max:
                end(book, entry, EntryState.PASSED)
                continue
            command = Reserve(
                **UNSTAMPED,
                event_id=event_id,
                user_id=entry.user_id,
                network=entry.network,
                proof=Proof.STANDS if entry.proven else Proof.NONE,
            )
            seats = tuple(sorted([(ticket_type_id, *seat) for seat in choose(rows, entry.quantity)]))
            hold = hold_seats(book, command, seats, dt.timedelta(minutes=event.offer_minutes))
            entry.reservation_id = hold.reservation_id
            end(book, entry, EntryState.OFFERED)
            book.changes.offers.append((entry, hold))


def choose(rows: FreeSeats, quantity: int) -> list[tuple[int, int]]:
    """(row_number, seat_number) of the best free seats: side by side where there are so many, else in the largest
    groups that there are. At least so many are free, and they stay free.
    """
    chosen: list[tuple[int, int]] = []
    size = quantity
    while len(chosen) < quantity:
        block = rows.best(Wish(min(size, quantity - len(chosen))))
        if block is None:
            size -= 1
            continue
        for number in block.seats:
            chosen.append((block.row_number, number))
            # Of the base class, because rows of an engine would forget which of their seats still count as held.
            FreeSeats.take(rows, block.row_number, number)
    for row_number, number in chosen:
        FreeSeats.give(rows, row_number, number)
    return chosen
