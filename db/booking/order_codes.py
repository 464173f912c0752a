"""An order's code: eight letters that can be read out, for one purchase of the whole site.

Postgres numbers purchases, and the code is the number in another form. So no two purchases have one code, and neither
the batch nor a search needs anything for it. A code opens nothing.
"""

from __future__ import annotations

from typing import Final

LETTERS: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without those that are taken for one another: 0 and O, 1 and I."""
CODE_CHARS: Final = 8
_BITS: Final = 5
_PAIRS: Final = [first + second for second in LETTERS for first in LETTERS]
_NUMBERS: Final = 1 << _BITS * CODE_CHARS
_FACTOR: Final = 0x9E_3779_B97F
"""An odd factor, so that numbers and codes match one to one; codes of purchases in a row have hardly a letter alike."""
_BACK: Final = pow(_FACTOR, -1, _NUMBERS)


def code_of(order_number: int) -> str:
    """The code of a purchase's number."""
    mixed = order_number * _FACTOR % _NUMBERS
    return "".join([_PAIRS[mixed >> 2 * _BITS * place & len(_PAIRS) - 1] for place in range(CODE_CHARS // 2)])


def number_of(code: str) -> int | None:
    """The number that a code stands for, however it is typed; None for what is no code."""
    letters = [char for char in code.upper() if char not in " -"]
    if len(letters) != CODE_CHARS or not set(letters) <= set(LETTERS):
        return None
    mixed = sum(LETTERS.index(letter) << _BITS * place for place, letter in enumerate(letters))
    return mixed * _BACK % _NUMBERS
