"""Amounts of money as words."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from babel import Locale
from babel.numbers import format_currency

from db.currencies import minor_digits

_DECIMALS: Final = re.compile(r"(?<=0)\.0+")


def money_in(locale: Locale, amount: int, currency: str) -> str:
    """``amount`` minor units of an ISO 4217 currency, e.g. 4500 EUR is ``€45.00``, 4500 JPY is ``¥4,500``."""
    digits = minor_digits(currency)
    pattern = _DECIMALS.sub(f".{'0' * digits}" if digits else "", locale.currency_formats["standard"].pattern)
    value = Decimal(amount).scaleb(-digits)
    return str(format_currency(value, currency, format=pattern, locale=locale, currency_digits=False))
