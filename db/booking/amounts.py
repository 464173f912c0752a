"""What a hold costs and what a cancelled seat gives back: the one place where fees and taxes are added."""

from __future__ import annotations

from collections.abc import Iterable

from db.booking.holds import Hold
from db.booking.purchases import Detail


def amount_to_pay(hold: Hold) -> int:
    """What the fan pays for the hold, in minor units."""
    return hold.total_amount


def amount_to_refund(details: Iterable[Detail]) -> int:
    """What goes back for these seats, in minor units: all but what the event's rules keep."""
    return sum(detail.amount - detail.cancel_fee for detail in details)
