"""Let a hold last longer, for a fan whom an operator helps."""

from __future__ import annotations

import datetime as dt
from typing import Final

from booking_lane.commands import Extend
from db.booking import holds as sql
from db.booking.results import ExtendResult
from db.booking.states import HoldState
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.refused import Refused
from workers.engine.statements import Connection, run_on

AHEAD_MAX: Final = dt.timedelta(hours=1)
"""No hold is extended further than this from now: its seats are missed by everybody else."""


def needs(command: Extend, batch: Needs) -> None:
    batch.holds.setdefault((command.event_id, command.reservation_id))


def decide(book: Book, command: Extend) -> ExtendResult:
    hold = book.holds.get(command.reservation_id)
    if hold is None or (hold.event_id, hold.user_id) != (command.event_id, command.user_id):
        raise Refused("hold_mismatch", "The fan has no such hold.")
    book.refuse_if_cancelled(command.event_id)
    # In the grace the fan may have taken other seats up to the limit, so what has ended is not begun anew.
    if hold.state != HoldState.HELD or not hold.is_live(book.now):
        raise Refused("hold_expired", "The hold has ended.")
    longer = hold.expires_at + dt.timedelta(seconds=command.seconds)
    book.stretch(hold, min(longer, book.now + AHEAD_MAX))
    return ExtendResult(
        reservation_id=hold.reservation_id, event_id=hold.event_id, expires_at=hold.expires_at, version=0
    )


def write(connection: Connection, book: Book) -> None:
    """Write the new ends."""
    if extended := book.changes.extended_holds:
        run_on(connection, sql.WRITE_HOLD_ENDS, [sql.hold_end(hold) for hold in extended.values()])


RULE = Rule(needs, decide, write)
