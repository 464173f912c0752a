"""Sentences for the operator: what follows from the times of an event, and from a change of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from db.events.edits import Edited
from db.events.sale import EventState, HasSale, SaleState, sale_state


class Dated(HasSale, Protocol):
    """An event's times, and the time now by the clock that judges them."""

    @property
    def date(self) -> dt.datetime: ...
    @property
    def now(self) -> dt.datetime: ...


@dataclass(frozen=True, slots=True)
class SaleTimes:
    """The times of an event that is yet to be made."""

    date: dt.datetime
    on_sale_at: dt.datetime
    off_sale_at: dt.datetime
    now: dt.datetime
    event_state: EventState = EventState.PUBLISHED


def standing_notes(event: Dated) -> tuple[str, ...]:
    """Sentences on why the event sells nothing, if it does not and is not about to."""
    sale = sale_state(event, event.now)
    if sale is SaleState.OVER and event.date <= event.now:
        return ("The event has begun already, and its sale is over: no seat is sold.",)
    if sale is SaleState.OVER:
        return ("The sale is over: no seat is sold.",)
    if sale is SaleState.UNPUBLISHED:
        return ("The event is not published: fans do not find it, and no seat is sold.",)
    if sale is SaleState.CANCELLED:
        return ("A cancelled event cannot be brought back: no seat of it is sold, and every ticket is void.",)
    return ()


def change_notes(edited: Edited, in_line: int, *, pays_back: bool) -> tuple[str, ...]:
    """Sentences on what follows from a change that was made, or that would be.

    Args:
        in_line: how many fans are in line, called or admitted.
        pays_back: the event takes payments, so what was paid goes back by itself.
    """
    notes = []
    if edited.cancelled is not None:
        had = edited.cancelled
        notes.append(
            f"Cancelling voids {_count(had.purchases, 'purchase')} with {_count(had.seats, 'ticket')}, ends "
            f"{_count(had.holds, 'hold')}, and closes the line for {_count(in_line, 'fan')}."
        )
        if had.purchases:
            notes.append(
                "What was paid here goes back by itself, whole, the way it was paid."
                if pays_back
                else "No money moves here: the venue pays the fans back."
            )
    if edited.shortened:
        notes.append(
            f"The earlier date takes time to cancel from {_count(edited.shortened, 'purchase')}: nobody can cancel "
            "once the event has begun. Tell these fans."
        )
    return tuple(notes)


def _count(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"
