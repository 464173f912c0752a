"""Currencies: how many digits the minor unit of each has.

The table is ISO 4217's (list one of the maintenance agency, SIX). Babel and browsers follow the CLDR instead, which
says how prices are usually written, for example the Iraqi dinar without its thousandths; so they are always told the
digits from here.
"""

from __future__ import annotations

from typing import Final

USUAL_DIGITS: Final = 2

MINOR_DIGITS: Final[dict[str, int]] = (
    dict.fromkeys(
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
    )
    | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)
    | dict.fromkeys(["CLF", "UYW"], 4)
)
"""The currencies whose minor unit is not a hundredth."""


def minor_digits(currency: str) -> int:
    """How many digits the minor unit of an ISO 4217 currency has, e.g. 2 for EUR, 0 for JPY; 2 for an unknown one."""
    return MINOR_DIGITS.get(currency, USUAL_DIGITS)
