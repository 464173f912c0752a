"""What a hold costs and what a cancelled seat gives back: the one place where they are added up."""

from __future__ import annotations

from collections.abc import Iterable

from db.booking.charges import Charge
from db.booking.purchases import Detail


def amount_to_pay(charges: Iterable[Charge]) -> int:
    """What the fan pays for a hold with these charges, in minor units."""
    return sum(charge.amount for charge in charges)


def amount_to_refund(details: Iterable[Detail]) -> int:
    """What goes back for these seats, in minor units: all but what the event's rules keep."""
    return sum(detail.amount - detail.cancel_fee for detail in details)
