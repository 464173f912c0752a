"""The results of commands that succeed: the ``result`` of a job on the wire and of a recorded outcome.

The engine makes these structs, the published description shows them, and the audit reads clients' ledgers by them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from db.booking.seats import Seat
from db.outbox.kinds import CancelledSeat

Moment = Annotated[dt.datetime, Meta(tz=True)]


class Result(msgspec.Struct, rename="camel", kw_only=True):
    """Amounts are integer minor units. ``version`` is the event's once the batch is committed: a reader who asks for
    it as ``minVersion`` sees what this command changed.
    """

    version: int


class NamedSeat(msgspec.Struct, rename="camel", frozen=True):
    ticket_type_id: int
    row_number: int
    seat_number: int


class HeldSeat(NamedSeat, frozen=True, omit_defaults=True):
    """A seat of a hold. ``amount`` is its price when it was held, even if its ticket type has another price by now.

    ``rowLabel`` and ``seatLabel`` are there where the event's hall plan calls the row or the seat by something else
    than its number, and ``section`` is the part of the hall. They say what the seat is called now: gateways add them to
    an answer, and no result is recorded with them.
    """

    amount: int
    row_label: str | None = None
    seat_label: str | None = None
    section: str | None = None


class BoughtSeat(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """A seat that was bought, and the code of its ticket. It is called as a `HeldSeat` is.

    In what is recorded, and in Redis, the code is as it is stored; gateways open it for the fan
    (`db.booking.ticket_codes`).
    """

    ticket_type_id: int
    ticket_type: str
    row_number: int
    seat_number: int
    amount: int
    ticket_code: str
    row_label: str | None = None
    seat_label: str | None = None
    section: str | None = None


def named_seats(seats: Iterable[Seat]) -> tuple[NamedSeat, ...]:
    return tuple([NamedSeat(*seat) for seat in seats])


def held_seats(seats: Sequence[Seat], amounts: Sequence[int]) -> tuple[HeldSeat, ...]:
    return tuple([HeldSeat(*seat, amount) for seat, amount in zip(seats, amounts, strict=True)])


class HoldResult(Result, kw_only=True):
    """The hold: a new one, or the fan's live hold of exactly these seats, whose end does not change."""

    reservation_id: uuid.UUID
    event_id: int
    expires_at: Moment
    total_amount: int
    currency: str
    seats: tuple[HeldSeat, ...]


class PurchaseResult(Result, kw_only=True):
    """The purchase: a new one, or, if the hold was bought before, what is left of that purchase."""

    purchase_id: uuid.UUID
    event_id: int
    user_id: int
    total_amount: int
    currency: str
    purchase_at: Moment
    status: str
    details: tuple[BoughtSeat, ...]


class ReleaseResult(Result, kw_only=True):
    """The seats that were given back."""

    reservation_id: uuid.UUID
    event_id: int
    seats: tuple[NamedSeat, ...]


class ExtendResult(Result, kw_only=True):
    """The hold and its new end."""

    reservation_id: uuid.UUID
    event_id: int
    expires_at: Moment


class CancelResult(Result, kw_only=True):
    """``details`` are the seats that this command cancelled, ``refund_amount`` is their sum; ``total_amount`` is what
    is left of the purchase, and ``status`` is ``cancelled`` once nothing is.
    """

    purchase_id: uuid.UUID
    event_id: int
    status: str
    total_amount: int
    refund_amount: int
    currency: str
    cancelled_at: Moment
    details: tuple[CancelledSeat, ...]


class TakeResult(Result, kw_only=True):
    """The ticket that the fan has now. Its purchase opens with the fan's session, and shows the ticket with its new
    code; ``issue_number`` is one more than before.
    """

    purchase_id: uuid.UUID
    event_id: int
    ticket_type_id: int
    row_number: int
    seat_number: int
    issue_number: int


class SweepResult(Result, kw_only=True):
    """How many holds were swept. No client gets it, and it is not recorded."""

    holds: int


RESULTS: Final[Mapping[str, type[Result]]] = {
    "reserve": HoldResult,
    "checkout": PurchaseResult,
    "release": ReleaseResult,
    "extend": ExtendResult,
    "cancel": CancelResult,
    "take": TakeResult,
}
"""Result by the kind of command. These are the kinds whose outcomes are recorded."""
