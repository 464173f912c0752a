"""The states of holds, seats and purchases, and how a hold goes from one to the next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class HoldState(StrEnum):
    """A hold begins as ``held``, and is ``paying`` while a checkout of it waits for its payment."""

    HELD = "held"
    PAYING = "paying"
    PURCHASED = "purchased"
    RELEASED = "released"
    LAPSED = "lapsed"


class SeatStatus(StrEnum):
    """A seat's status in its row. A reserved seat is free for everybody once its ``held_until`` has passed."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    BOOKED = "booked"


class PurchaseStatus(StrEnum):
    """``cancelled``: no seat of the purchase is left."""

    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


STATUS_OF_CANCELLED_EVENT: Final = "event_cancelled"
"""The status that a confirmed purchase is shown with once its event is cancelled. No row has it: the event says it."""
OPEN_STATES: Final = (HoldState.HELD, HoldState.PAYING)
"""In these states a hold has its seats."""

NEXT_STATES: Final[Mapping[HoldState, frozenset[HoldState]]] = {
    HoldState.HELD: frozenset({HoldState.PAYING, HoldState.PURCHASED, HoldState.RELEASED, HoldState.LAPSED}),
    # A payment that was declined leaves the seats held until the hold ends.
    HoldState.PAYING: frozenset({HoldState.HELD, HoldState.PURCHASED, HoldState.RELEASED, HoldState.LAPSED}),
    HoldState.PURCHASED: frozenset(),
    HoldState.RELEASED: frozenset(),
    # A payment that came late buys the same seats if they are still free.
    HoldState.LAPSED: frozenset({HoldState.PURCHASED}),
}


def ends_at(state: HoldState, expires_at: dt.datetime, grace: dt.timedelta) -> dt.datetime | None:
    """When a hold in this state loses its seats by itself; None where it has none to lose.

    Args:
        expires_at: the end that the fan was shown.
        grace: how much longer the seats are kept for a checkout of the hold that is on its way.
    """
    return expires_at + grace if state in OPEN_STATES else None
