"""The state of an event's sale: one function of the event's facts and a clock.

Pages, lists, the API, the booking engine and the line's Python all ask `sale_state`. The line's scripts are given the
sale's beginning and end in milliseconds, and compare them with Redis' clock (``room.lua``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Protocol


class EventState(StrEnum):
    """What the operators made of an event. A cancelled event stays cancelled."""

    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    CANCELLED = "cancelled"


class SaleState(StrEnum):
    """Where the sale of an event stands."""

    COMING = "coming"
    ON_SALE = "on_sale"
    OVER = "over"
    UNPUBLISHED = "unpublished"
    CANCELLED = "cancelled"


WITHDRAWN: Final = frozenset({SaleState.OVER, SaleState.UNPUBLISHED, SaleState.CANCELLED})
"""Nothing is sold, and nothing is about to be."""


class HasSale(Protocol):
    """The facts of an event that its sale depends on."""

    @property
    def event_state(self) -> EventState: ...
    @property
    def on_sale_at(self) -> dt.datetime: ...
    @property
    def off_sale_at(self) -> dt.datetime: ...


REASONS: Final[Mapping[SaleState, str]] = {
    SaleState.COMING: "The sale has not begun yet.",
    SaleState.ON_SALE: "",
    SaleState.OVER: "The sale of this event is over.",
    SaleState.UNPUBLISHED: "The organiser has taken this event off sale for now.",
    SaleState.CANCELLED: "This event was cancelled.",
}
"""Why nothing is sold in each state, as fans are told; empty where something is."""
PROBLEMS: Final[Mapping[SaleState, str]] = {
    SaleState.COMING: "not_on_sale",
    SaleState.OVER: "sale_over",
    SaleState.UNPUBLISHED: "event_unpublished",
    SaleState.CANCELLED: "event_cancelled",
}
"""The code of the problem with which the engine refuses to hold a seat in each state."""


def sale_end(event: str = "event") -> str:
    """SQL: when the sale of ``event`` (a table's name or alias) ends: at its date unless an operator set a time."""
    return f"coalesce({event}.off_sale_at, {event}.date)"


def sale_state(event: HasSale, now: dt.datetime) -> SaleState:
    """Where the event's sale stands at ``now``: seats are sold from ``on_sale_at`` on and until ``off_sale_at``."""
    if event.event_state == EventState.CANCELLED:
        return SaleState.CANCELLED
    if event.event_state == EventState.UNPUBLISHED:
        return SaleState.UNPUBLISHED
    if now >= event.off_sale_at:
        return SaleState.OVER
    return SaleState.COMING if now < event.on_sale_at else SaleState.ON_SALE
