"""Every currency of ISO 4217 is written with as many digits as its minor unit has, in every language."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

import pytest
from babel import Locale

from db.currencies import MINOR_DIGITS, minor_digits
from db.languages import LANGUAGE_TAGS
from messages.money import money_in

CURRENCIES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
        CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR
        ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV
        MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD
        SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DIGITS = {currency: digits for digits, these in CURRENCIES.items() for currency in these.split()}


def test_the_table_is_that_of_iso_4217() -> None:
    assert {currency: minor_digits(currency) for currency in DIGITS} == DIGITS
    assert MINOR_DIGITS.keys() <= DIGITS.keys()


@pytest.mark.parametrize("tag", LANGUAGE_TAGS)
def test_an_amount_is_written_with_all_its_digits(tag: str) -> None:
    locale = Locale.parse(tag, sep="-")
    for currency, digits in DIGITS.items():
        for amount in (0, 1, 12_345_678):
            words = money_in(locale, amount, currency)
            written = number_in(words)
            assert written == Decimal(amount).scaleb(-digits), (currency, words)
            assert -int(written.as_tuple().exponent) == digits, (currency, words)


def number_in(words: str) -> Decimal:
    """The number in an amount's words. Their last separator is the decimal one, where three digits do not follow it
    as in a group of thousands; the amounts of the test have two groups at least.
    """
    latin = "".join(str(unicodedata.digit(char)) if char.isdecimal() else char for char in words)
    found = re.search(r"\d[\d.,\u00a0\u202f\u066b\u066c\u2019 ]*\d|\d", latin)
    assert found is not None, words
    separators = [char for char in found[0] if not char.isdigit()]
    decimal = separators[-1] if separators and separators.count(separators[-1]) == 1 else ""
    return Decimal("".join("." if char == decimal else char for char in found[0] if char.isdigit() or char == decimal))


@pytest.mark.parametrize(("currency", "words"), [("CLF", "CLF1.2345"), ("UYW", "UYW1.2345")])
def test_a_currency_of_four_digits_is_not_told_in_hundredths(currency: str, words: str) -> None:
    assert money_in(Locale("en"), 12_345, currency) == words
