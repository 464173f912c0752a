"""What a seat costs: fee and tax, included or on top, with and without a voucher, rounded once for each seat."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from db.booking.charges import Charge, charge_of, charges_noted, discounted, half_up, noted, plain
from db.booking.results import TaxPart, breakdown
from db.booking.vouchers import Voucher
from db.events.terms import NO_TERMS, Terms

VAT_IN = Terms(tax_basis_points=1900)
VAT_ON_TOP = Terms(tax_basis_points=825, tax_included=False)


@pytest.mark.parametrize(
    ("price", "terms", "expected"),
    [
        (4900, NO_TERMS, Charge(4900, 0, 0, 0, 4900)),
        (4900, Terms(fee_amount=250), Charge(4900, 250, 0, 0, 5150)),
        (4990, Terms(fee_basis_points=250), Charge(4990, 125, 0, 0, 5115)),
        (5000, Terms(fee_amount=100, fee_basis_points=1000), Charge(5000, 600, 0, 0, 5600)),
        (11900, VAT_IN, Charge(11900, 0, 1900, 1900, 11900)),
        (10000, VAT_ON_TOP, Charge(10000, 0, 825, 825, 10825)),
        (10000, Terms(fee_amount=1900, tax_basis_points=1900), Charge(10000, 1900, 1900, 1900, 11900)),
        (1, Terms(tax_basis_points=5000, tax_included=False), Charge(1, 0, 1, 5000, 2)),
        (0, Terms(fee_basis_points=1000, tax_basis_points=1900), Charge(0, 0, 0, 1900, 0)),
    ],
)
def test_a_charge_is_price_fee_and_tax(price: int, terms: Terms, expected: Charge) -> None:
    assert charge_of(price, terms) == expected


@pytest.mark.parametrize(
    ("dividend", "divisor", "quotient"), [(5, 10, 1), (4, 10, 0), (15, 10, 2), (25, 10, 3), (0, 7, 0), (24, 10, 2)]
)
def test_halves_are_rounded_up(dividend: int, divisor: int, quotient: int) -> None:
    assert half_up(dividend, divisor) == quotient


def test_no_rounding_is_off_by_more_than_half_a_minor_unit() -> None:
    dice = random.Random(1)
    for _ in range(2000):
        price, rate = dice.randint(0, 10**10), dice.randint(0, 10_000)
        inside = charge_of(price, Terms(tax_basis_points=rate))
        assert abs(inside.tax - Fraction(price * rate, 10_000 + rate)) <= Fraction(1, 2)
        on_top = charge_of(price, Terms(tax_basis_points=rate, tax_included=False))
        assert abs(on_top.tax - Fraction(price * rate, 10_000)) <= Fraction(1, 2)
        assert on_top.amount == price + on_top.tax
        discount = dice.randint(0, price)
        assert discounted(inside, discount).amount == price - discount
        less = discounted(on_top, discount)
        assert less.amount == price - discount + less.tax


def test_a_discount_lowers_the_price_and_leaves_the_fee() -> None:
    charge = charge_of(10000, Terms(fee_amount=500, tax_basis_points=1000, tax_included=False))
    assert discounted(charge, 4000) == Charge(10000, 500, 650, 1000, 7150, 4000)
    assert discounted(plain(4900), 4900) == Charge(4900, 0, 0, 0, 0, 4900)


def test_what_a_hold_notes_gives_its_charges_again() -> None:
    for terms in (NO_TERMS, VAT_IN, VAT_ON_TOP, Terms(fee_amount=7)):
        charges = (charge_of(4900, terms), charge_of(12900, terms))
        assert charges_noted([charge.amount for charge in charges], noted(charges)) == charges
    assert noted([plain(4900)]) is None


def test_a_breakdown_adds_up_to_the_total() -> None:
    charges = [
        charge_of(11900, VAT_IN),
        charge_of(10000, VAT_ON_TOP),
        discounted(charge_of(10000, Terms(fee_amount=300, tax_basis_points=825, tax_included=False)), 1000),
    ]
    parts = breakdown(charges)
    assert parts is not None
    assert (parts.prices, parts.fees, parts.discounts) == (31900, 300, 1000)
    assert parts.taxes == (TaxPart(825, False, 825 + 767), TaxPart(1900, True, 1900))
    on_top = sum(part.tax for part in parts.taxes if not part.included)
    assert parts.prices - parts.discounts + parts.fees + on_top == sum(charge.amount for charge in charges)
    assert breakdown([plain(4900)]) is None


def voucher(**changes: object) -> Voucher:
    facts = {"uses": 0, "uses_max": 1, "basis_points": 0, "amount": 0, "ticket_type_ids": None, "ends_at": None}
    return Voucher(1, b"hash", is_revoked=False, **(facts | changes))  # type: ignore[arg-type]


def test_a_voucher_lowers_the_seats_of_its_types() -> None:
    seats = [(1, 1, 1), (2, 1, 1)]
    charges = [plain(4900), plain(12900)]
    percent = voucher(basis_points=2500, ticket_type_ids=(2,)).applied(seats, charges)
    assert [charge.amount for charge in percent] == [4900, 9675]
    off = voucher(amount=5000).applied(seats, charges)
    assert [charge.amount for charge in off] == [0, 7900], "no price falls below 0"
