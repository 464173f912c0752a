"""What a seat costs: price, discount, booking fee, tax, and the sum that its fan pays.

Every amount is in the currency's minor units and rounded once, for each seat by itself, half up. So the amounts of a
purchase add up to its total, and a seat that is given back is worth exactly what was charged for it (ADR 84).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from db.events.terms import BASIS_POINTS, Terms

AMOUNT_MAX: Final = 10**10
"""The most that a seat costs, in minor units: a thousand seats' total must still be exact in a browser."""


class Charge(NamedTuple):
    """What is charged for one seat.

    ``amount`` is what its fan pays: the price without the ``discount`` of a voucher, and the fee. ``tax`` is what of it
    is tax, at ``tax_basis_points``; where price and fee do not contain it, it is a part of the sum too.
    """

    price: int
    fee: int
    tax: int
    tax_basis_points: int
    amount: int
    discount: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the price is all there is to tell."""
        return not (self.fee or self.tax_basis_points or self.discount)


@lru_cache(maxsize=1_000)
def plain(amount: int) -> Charge:
    """The charge for a seat without fee and tax. An event has few prices, and a batch asks for each of its seats."""
    return Charge(amount, 0, 0, 0, amount)


def charge_of(price: int, terms: Terms) -> Charge:
    """What one seat costs at a price."""
    if not terms.has_charges:
        return plain(price)
    fee = terms.fee_amount + half_up(price * terms.fee_basis_points, BASIS_POINTS)
    return _taxed(price, fee, terms.tax_basis_points, 0, is_included=terms.tax_included)


def discounted(charge: Charge, discount: int) -> Charge:
    """The charge with a discount on its price. The fee stays, and the tax is that of what is left."""
    is_included = charge.amount == charge.price + charge.fee
    return _taxed(charge.price, charge.fee, charge.tax_basis_points, discount, is_included=is_included)


def _taxed(price: int, fee: int, rate: int, discount: int, *, is_included: bool) -> Charge:
    paid = price - discount + fee
    if is_included:
        return Charge(price, fee, half_up(paid * rate, BASIS_POINTS + rate), rate, paid, discount)
    tax = half_up(paid * rate, BASIS_POINTS)
    return Charge(price, fee, tax, rate, paid + tax, discount)


def half_up(dividend: int, divisor: int) -> int:
    """The quotient of two numbers that are not negative, rounded to the nearest, halves up."""
    return (2 * dividend + divisor) // (2 * divisor)


Noted = tuple[tuple[int, int, int, int], ...]
"""Price, fee, tax and rate of each seat, as a hold notes them beside the amounts."""


def noted(charges: Iterable[Charge]) -> Noted | None:
    """The charges as a hold notes them; None where its amounts say all."""
    kept = tuple(charges)
    return None if all(charge.is_plain for charge in kept) else tuple(charge[:4] for charge in kept)


def charges_noted(amounts: Iterable[int], note: Iterable[Sequence[int]] | None) -> tuple[Charge, ...]:
    """The charges of a hold's seats from its amounts and `noted`."""
    if note is None:
        return tuple([plain(amount) for amount in amounts])
    return tuple(
        [Charge(price, fee, tax, rate, amount) for (price, fee, tax, rate), amount in zip(note, amounts, strict=True)]
    )


CHARGED: Final = (
    "amount IN (price - discount + fee, price - discount + fee + tax) AND tax <= amount"
    " AND discount BETWEEN 0 AND price"
)
"""SQL: a row's amount is price and fee without the discount, with the tax in them or on top."""
