"""What stands on an invoice: it is made of what was charged and noted at the sale, and nothing is computed by the
prices of today.

All amounts are in the currency's minor units. Tax is rounded for each seat by itself, as it was charged (ADR 84).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from db.booking.charges import half_up
from db.invoices.settings import InvoiceSettings
from db.sealing.keyring import SealedField, keyring

DIGITS: Final = 5
"""A number is filled up with zeros to so many digits, so that numbers sort as they count."""
ADDRESS_LINES_BETWEEN: Final = ";"
EVENT_SERIES: Final = "E{event}-"
"""The series of an event with a seller of its own: no two sellers count in one series."""


class InvoiceKind(StrEnum):
    """A credit note says what of an invoice went back."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class Seller(msgspec.Struct, frozen=True, rename="camel"):
    """Who sells. ``series`` and ``credit_series`` are what its numbers begin with (`InvoiceSettings`)."""

    name: str
    address: str = ""
    tax_id: str = ""
    note: str = ""
    series: str = EVENT_SERIES
    credit_series: str = ""

    @classmethod
    def of_site(cls, settings: InvoiceSettings) -> Seller | None:
        """The seller of events that name none; None where the site names none either."""
        if not settings.seller:
            return None
        return cls(
            name=settings.seller,
            address=settings.address,
            tax_id=settings.tax_id,
            note=settings.note,
            series=settings.series,
            credit_series=settings.credit_series,
        )

    def series_of(self, kind: InvoiceKind, event_id: int, year: int) -> str:
        """The series in which a document of this kind gets the next number."""
        form = (self.credit_series if kind is InvoiceKind.CREDIT_NOTE else "") or self.series
        return form.replace("{year}", str(year)).replace("{event}", str(event_id))


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """Seats of one type that were charged alike.

    ``price``, ``discount`` and ``fee`` are each seat's; ``amount`` and ``tax`` are of all of them together, ``tax`` is
    a part of ``amount``. ``kept`` is what a credit note does not give back of them; it is not in ``amount``.
    """

    ticket_type: str
    quantity: int
    price: int
    discount: int
    fee: int
    tax_basis_points: int
    tax_included: bool
    amount: int
    tax: int
    kept: int = 0


class Content(msgspec.Struct, frozen=True, rename="camel"):
    """All of an invoice but its number, its dates and its payer."""

    seller: Seller
    event_name: str
    venue: str
    event_date: dt.datetime
    time_zone: str
    order_code: str
    purchase_at: dt.datetime
    lines: tuple[Line, ...]


class Payer(msgspec.Struct, frozen=True, rename="camel"):
    """Whom an invoice is for. Both are empty where the event asked for nothing; an address has several lines."""

    name: str = ""
    address: str = ""


def seal_payer(payer: Payer) -> str:
    """The payer as it is stored."""
    return keyring().seal(SealedField.INVOICE, msgspec.json.encode(payer).decode())


def open_payer(sealed: str) -> str:
    """The payer of a row as JSON; empty once it was forgotten.

    Raises:
        SealError: no key of this site opens it.
    """
    return keyring().open(SealedField.INVOICE, sealed) if sealed else ""


class Charged(NamedTuple):
    """A seat as it was charged; ``price`` is None where the amount is the price alone. ``kept`` is the fee of its
    cancellation.
    """

    ticket_type: str
    amount: int
    price: int | None
    fee: int
    tax: int
    tax_basis_points: int
    discount: int
    kept: int = 0

    @property
    def returned(self) -> int:
        """What goes back for it."""
        return self.amount - self.kept

    @property
    def tax_returned(self) -> int:
        """What of that is tax: the same part of it as of the whole."""
        return half_up(self.tax * self.returned, self.amount) if self.amount else 0


def lines_of(seats: Iterable[Charged], kind: InvoiceKind) -> tuple[Line, ...]:
    """The seats as lines, those together that were charged alike."""
    alike: dict[tuple[Any, ...], list[Charged]] = {}
    for seat in seats:
        price = seat.amount if seat.price is None else seat.price
        is_included = seat.tax == 0 or seat.amount == price - seat.discount + seat.fee
        key = (seat.ticket_type, price, seat.discount, seat.fee, seat.tax_basis_points, is_included)
        alike.setdefault(key, []).append(seat)
    is_credit = kind is InvoiceKind.CREDIT_NOTE
    return tuple(
        Line(
            ticket_type=ticket_type,
            quantity=len(group),
            price=price,
            discount=discount,
            fee=fee,
            tax_basis_points=tax_basis_points,
            tax_included=is_included,
            amount=sum(seat.returned if is_credit else seat.amount for seat in group),
            tax=sum(seat.tax_returned if is_credit else seat.tax for seat in group),
            kept=sum(seat.kept for seat in group) if is_credit else 0,
        )
        for (ticket_type, price, discount, fee, tax_basis_points, is_included), group in alike.items()
    )


class TaxLine(NamedTuple):
    """What of an invoice is at one rate: ``amount`` contains ``tax``."""

    tax_basis_points: int
    amount: int
    tax: int

    @property
    def net(self) -> int:
        return self.amount - self.tax


def taxes_of(lines: Iterable[Line]) -> list[TaxLine]:
    """The sums of each rate of tax, the lowest first."""
    found: dict[int, TaxLine] = {}
    for line in lines:
        _, amount, tax = found.get(line.tax_basis_points, (0, 0, 0))
        found[line.tax_basis_points] = TaxLine(line.tax_basis_points, amount + line.amount, tax + line.tax)
    return [found[rate] for rate in sorted(found)]


def code_of(series: str, number: int) -> str:
    """An invoice's number as it is written, e.g. ``2027-00042``."""
    return f"{series}{number:0{DIGITS}}"


def address_lines(address: str) -> list[str]:
    """The lines of an address: of a seller's as it is set, or of a payer's as it was typed."""
    parts = address.replace(ADDRESS_LINES_BETWEEN, "\n").split("\n")
    return [part.strip() for part in parts if part.strip()]
