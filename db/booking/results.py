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

from db.booking.charges import Charge
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


class SeatCharge(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """What a seat's ``amount`` is made of: the price without the discount of a voucher, the booking fee, and the tax.
    The tax is in them where these make up the amount, and otherwise on top. ``taxBasisPoints`` is its rate in
    hundredths of a percent.
    """

    price: int
    fee: int
    tax: int
    tax_basis_points: int
    discount: int = 0


class TaxPart(msgspec.Struct, rename="camel", frozen=True):
    """The tax of all seats of one rate. ``included``: it is in their prices and fees, and not on top."""

    basis_points: int
    included: bool
    tax: int


class Breakdown(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """What a total is made of: prices without the discounts of a voucher, booking fees, and the tax by rate. Of the
    tax, what is not included comes on top.
    """

    prices: int
    fees: int
    taxes: tuple[TaxPart, ...]
    discounts: int = 0


def seat_charge(charge: Charge) -> SeatCharge | None:
    """What of a seat's amount is fee and tax; None where there is neither."""
    return None if charge.is_plain else SeatCharge(*charge[:4], charge.discount)


def breakdown(charges: Sequence[Charge]) -> Breakdown | None:
    """What these charges add up to; None where they are prices alone."""
    if all(charge.is_plain for charge in charges):
        return None
    taxes: dict[tuple[int, bool], int] = {}
    for charge in charges:
        if charge.tax_basis_points:
            rate = charge.tax_basis_points, charge.amount == charge.price - charge.discount + charge.fee
            taxes[rate] = taxes.get(rate, 0) + charge.tax
    return Breakdown(
        sum(charge.price for charge in charges),
        sum(charge.fee for charge in charges),
        tuple(TaxPart(*rate, tax) for rate, tax in sorted(taxes.items())),
        sum(charge.discount for charge in charges),
    )


class HeldSeat(NamedSeat, frozen=True, omit_defaults=True):
    """A seat of a hold. ``amount`` is what it cost when it was held, even if its ticket type has another price by now.
    ``charge`` says what of it is fee and tax, and is missing where there is neither.

    ``rowLabel`` and ``seatLabel`` are there where the event's hall plan calls the row or the seat by something else
    than its number, and ``section`` is the part of the hall. They say what the seat is called now: gateways add them to
    an answer, and no result is recorded with them.
    """

    amount: int
    row_label: str | None = None
    seat_label: str | None = None
    section: str | None = None
    charge: SeatCharge | None = None


class BoughtSeat(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """A seat that was bought, and the code of its ticket. It is called as a `HeldSeat` is, and charged as one.

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
    charge: SeatCharge | None = None


def named_seats(seats: Iterable[Seat]) -> tuple[NamedSeat, ...]:
    return tuple([NamedSeat(*seat) for seat in seats])


def held_seats(seats: Sequence[Seat], charges: Sequence[Charge]) -> tuple[HeldSeat, ...]:
    return tuple(
        [
            HeldSeat(*seat, charge.amount, charge=seat_charge(charge))
            for seat, charge in zip(seats, charges, strict=True)
        ]
    )


class HoldResult(Result, kw_only=True, omit_defaults=True):
    """The hold: a new one, or the fan's live hold of exactly these seats, whose end does not change. ``breakdown`` says
    what of the total is fee and tax, and is missing where there is neither.
    """

    reservation_id: uuid.UUID
    event_id: int
    expires_at: Moment
    total_amount: int
    currency: str
    seats: tuple[HeldSeat, ...]
    breakdown: Breakdown | None = None


class PurchaseResult(Result, kw_only=True, omit_defaults=True):
    """The purchase: a new one, or, if the hold was bought before, what is left of that purchase. ``breakdown`` is as of
    a hold.
    """

    purchase_id: uuid.UUID
    event_id: int
    user_id: int
    total_amount: int
    currency: str
    purchase_at: Moment
    status: str
    details: tuple[BoughtSeat, ...]
    breakdown: Breakdown | None = None


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


class CancelResult(Result, kw_only=True, omit_defaults=True):
    """``details`` are the seats that this command cancelled. ``refund_amount`` is their sum without ``fee_amount``,
    which the event's rules keep; ``total_amount`` is what is left of the purchase, and ``status`` is ``cancelled`` once
    nothing is.
    """

    purchase_id: uuid.UUID
    event_id: int
    status: str
    total_amount: int
    refund_amount: int
    currency: str
    cancelled_at: Moment
    details: tuple[CancelledSeat, ...]
    fee_amount: int = 0


class WaitResult(Result, kw_only=True):
    """The entry: a new one, or the fan's own of the same wish. ``number`` is its place in the order of entering, and
    ``link`` chains it to the entry before (hexadecimal).
    """

    event_id: int
    number: int
    ticket_type_id: int
    quantity: int
    entered_at: Moment
    link: str


class LeaveResult(Result, kw_only=True):
    """The entry that ended. ``seats`` were offered and are declined; empty where nothing was offered yet."""

    event_id: int
    number: int
    seats: tuple[NamedSeat, ...]


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


class SettleResult(Result, kw_only=True):
    """A payment's end was looked at. No client gets it, and it is not recorded: the checkouts that waited are."""


class SweepResult(Result, kw_only=True):
    """How many holds were swept. No client gets it, and it is not recorded."""

    holds: int


class MergeResult(Result, kw_only=True):
    """How many held seats were given back because the fan would have too many. No client gets it, and it is not
    recorded.
    """

    seats: int


RESULTS: Final[Mapping[str, type[Result]]] = {
    "reserve": HoldResult,
    "checkout": PurchaseResult,
    "release": ReleaseResult,
    "extend": ExtendResult,
    "cancel": CancelResult,
    "take": TakeResult,
    "wait": WaitResult,
    "leave": LeaveResult,
    "give": PurchaseResult,
}
"""Result by the kind of command. These are the kinds whose outcomes are recorded."""
