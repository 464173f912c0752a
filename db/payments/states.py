"""The states of payments and refunds."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

NONE: Final = ""
"""The provider of an event that takes no payments."""
TEST: Final = "test"
"""The built-in provider, for the demo and for tests."""
STRIPE: Final = "stripe"
MOLLIE: Final = "mollie"
PROVIDERS: Final = (NONE, TEST, STRIPE, MOLLIE)


class PaymentState(StrEnum):
    """``new``: the engine wrote it, and no provider knows it yet. ``open``: the fan can pay. ``booked``: it is paid,
    and its purchase exists. ``failed``: nothing was paid, and nothing can be any more. ``returned``: it was paid, and
    all of it goes back, because the seats were gone or it was not the amount.
    """

    NEW = "new"
    OPEN = "open"
    BOOKED = "booked"
    FAILED = "failed"
    RETURNED = "returned"


OPEN_PAYMENTS: Final = (PaymentState.NEW, PaymentState.OPEN)
"""In these states nobody knows yet what becomes of it."""


class RefundState(StrEnum):
    """``dead``: the provider refused it, or was tried too often; an operator must look at it."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


class RefundCause(StrEnum):
    """Why money goes back."""

    CANCELLED = "cancelled"
    EVENT_CANCELLED = "event_cancelled"
    SEATS_GONE = "seats_gone"
    WRONG_AMOUNT = "wrong_amount"
    PAID_TWICE = "paid_twice"
    GIVEN_UP = "given_up"
