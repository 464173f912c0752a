"""Amounts of money as words."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from babel import Locale
from babel.numbers import format_currency

# ISO 4217: currencies whose minor unit is not a hundredth.
EXPONENTS: Final = dict.fromkeys(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ],
    0,
) | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)

_DECIMALS: Final = re.compile(r"(?<=0)\.0+")


def money_in(locale: Locale, amount: int, currency: str) -> str:
    """``amount`` minor units of an ISO 4217 currency, e.g. 4500 EUR is ``€45.00``, 4500 JPY is ``¥4,500``."""
    exponent = EXPONENTS.get(currency, 2)
    pattern = _DECIMALS.sub(f".{'0' * exponent}" if exponent else "", locale.currency_formats["standard"].pattern)
    value = Decimal(amount).scaleb(-exponent)
    return str(format_currency(value, currency, format=pattern, locale=locale, currency_digits=False))
