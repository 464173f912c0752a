"""Amounts as providers write them. Here an amount is in the minor units of ISO 4217 (`db.currencies`)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from db.currencies import minor_digits
from payments.provider import ProviderRefusedError

STRIPE_DIGITS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Stripe counts these in other units than ISO 4217 does."""
STRIPE_UNKNOWN: Final = frozenset({"CLF", "UYW", "UYI", "IQD", "LYD"})
"""Currencies with a minor unit of their own that Stripe takes no payments in."""
STRIPE_STEP: Final = 10
"""Of currencies with three digits, Stripe takes amounts whose last one is 0."""
THREE_DIGITS: Final = 3


def to_stripe(amount: int, currency: str) -> int:
    """The amount as Stripe counts it.

    Raises:
        ProviderRefusedError: Stripe cannot take this amount, or this currency.
    """
    if currency in STRIPE_UNKNOWN:
        raise ProviderRefusedError(f"Stripe takes no payments in {currency}")
    digits = minor_digits(currency)
    scaled = Decimal(amount).scaleb(STRIPE_DIGITS.get(currency, digits) - digits)
    if scaled != int(scaled) or (digits == THREE_DIGITS and scaled % STRIPE_STEP):
        raise ProviderRefusedError(f"Stripe takes no such fraction of {currency}")
    return int(scaled)


def from_stripe(amount: int, currency: str) -> int:
    """The amount of `to_stripe`, counted as we do."""
    digits = minor_digits(currency)
    return int(Decimal(amount).scaleb(digits - STRIPE_DIGITS.get(currency, digits)))


def to_decimal(amount: int, currency: str) -> str:
    """The amount in the currency's major unit, with all of its digits, as Mollie writes it: ``49.00``, ``4900``."""
    return str(Decimal(amount).scaleb(-minor_digits(currency)))


def from_decimal(value: str, currency: str) -> int:
    """The amount of `to_decimal`, in minor units."""
    return int(Decimal(value).scaleb(minor_digits(currency)))
