"""Give free seats away as complimentary tickets."""

from __future__ import annotations

import datetime as dt

from booking_lane.commands import Give
from db.booking.charges import plain
from db.booking.results import PurchaseResult
from workers.engine.book import Book
from workers.engine.commands.checkout import buy, purchase_result
from workers.engine.commands.reserve import hold_seats, refuse_unless_free
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.refused import Refused


def needs(command: Give, batch: Needs) -> None:
    batch.fans.add((command.event_id, command.user_id))
    batch.seats.update([(command.event_id, *seat) for seat in command.seats])


def decide(book: Book, command: Give) -> PurchaseResult:
    """The venue gives its own seats: no sale window, limit or waiting list stands in the way, but a fan's hold does."""
    book.refuse_if_cancelled(command.event_id)
    if book.now >= book.events[command.event_id].date:
        raise Refused("sale_over")
    refuse_unless_free(book, command.event_id, command.seats)
    charges = tuple([plain(0) for _ in command.seats])
    lasts = dt.timedelta(seconds=book.settings.seconds)
    hold = hold_seats(book, command, command.seats, lasts, charges=charges, reservation_id=command.reservation_id)
    return purchase_result(book, buy(book, hold, charges, given_by=command.given_by))


RULE = Rule(needs, decide)
"""A purchase is written by the checkout's rule, whichever command made it."""
