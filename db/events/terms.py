"""The terms on which a ticket type is sold: fee and tax beside its price, its own sale window and limit for a fan."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

BASIS_POINTS: Final = 10_000
"""One hundred percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of a ticket type; without any, a seat costs its price, and is sold whenever the event is.

    Attributes:
        fee_amount: a booking fee for each seat, in minor units.
        fee_basis_points: a booking fee in hundredths of a percent of the price; it comes beside ``fee_amount``.
        tax_basis_points: the rate of the tax on price and fee, in hundredths of a percent: 1900 is 19 %.
        tax_included: the tax is in price and fee already; otherwise it comes on top.
        sold_from: nothing of it is sold before, though the event may be on sale.
        sold_until: nothing of it is sold from then on.
        seats_per_fan_max: one fan may have so many seats of it; None: as many as of the event.
    """

    fee_amount: int = 0
    fee_basis_points: int = 0
    tax_basis_points: int = 0
    tax_included: bool = True
    sold_from: dt.datetime | None = None
    sold_until: dt.datetime | None = None
    seats_per_fan_max: int | None = None

    @property
    def has_charges(self) -> bool:
        """Whether a seat has a fee or a tax."""
        return bool(self.fee_amount or self.fee_basis_points or self.tax_basis_points)

    def is_sold_at(self, now: dt.datetime) -> bool:
        """Whether the ticket type's own window is open."""
        return (self.sold_from is None or self.sold_from <= now) and (self.sold_until is None or now < self.sold_until)


NO_TERMS: Final = Terms()

TERMS: Final = tuple(field.name for field in dataclasses.fields(Terms))
"""The names of the terms; the columns of ``ticket`` are named the same."""

TERM_COLUMNS: Final = ", ".join(TERMS)

RECORD_COLUMNS: Final = (
    "fee_amount bigint, fee_basis_points int, tax_basis_points int, tax_included boolean, "
    "sold_from timestamptz, sold_until timestamptz, seats_per_fan_max int"
)
"""SQL: the terms in a recordset."""

_NONE: Final = tuple(getattr(NO_TERMS, name) for name in TERMS)


def terms_of(values: tuple[Any, ...]) -> Terms:
    """The terms of a row's columns `TERM_COLUMNS`."""
    return NO_TERMS if values == _NONE else Terms(**dict(zip(TERMS, values, strict=True)))


def terms_row(terms: Terms) -> dict[str, Any]:
    """The terms as a part of a row of a statement's JSON parameter."""
    return {
        name: value.isoformat() if isinstance(value, dt.datetime) else value
        for name in TERMS
        if (value := getattr(terms, name)) is not None
    }
