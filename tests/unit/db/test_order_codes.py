"""Each number has a code of its own, which can be read out and typed in any way."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from db.booking.order_codes import CODE_CHARS, LETTERS, code_of, number_of

NUMBERS = 32**CODE_CHARS


@given(st.integers(0, NUMBERS - 1))
def test_a_code_says_its_number_however_it_is_typed(number: int) -> None:
    code = code_of(number)
    assert len(code) == CODE_CHARS
    assert set(code) <= set(LETTERS)
    assert number_of(code) == number
    assert number_of(f" {code[:4].lower()}-{code[4:]} ") == number


def test_codes_in_a_row_have_hardly_a_letter_alike() -> None:
    codes = [code_of(number) for number in range(1, 2001)]
    assert len(set(codes)) == len(codes)
    alike = [sum(a == b for a, b in zip(one, other, strict=True)) for one, other in itertools.pairwise(codes)]
    assert sum(alike) / len(alike) < 1


def test_what_is_no_code_stands_for_nothing() -> None:
    assert not {"0", "O", "1", "I"} & set(LETTERS)
    for text in ("", "ABC", "OOOOOOOO", "ABCDEFGHJ", "lovelace!"):
        assert number_of(text) is None
