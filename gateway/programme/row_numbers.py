"""Numbers for rows and seats that a file names by letters: keys are numbers, and the names become labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from db.texts import tidy, with_plain_digits
from gateway.contract.values import HALL_NUMBER_MAX

_number = re.compile("[0-9]{1,5}").fullmatch


def number_of(name: str) -> int | None:
    """The number that a name is, if it is one."""
    plain = with_plain_digits(tidy(name))
    return int(plain) if _number(plain) and int(plain) <= HALL_NUMBER_MAX else None


def row_numbers(names: Sequence[str], seats: Sequence[Sequence[int]]) -> list[int]:
    """A number for each row of one ticket type.

    The rows keep their names as numbers if all of them are numbers, and no seat then stands in two rows. Else they are
    numbered 1, 2, 3… in their order.

    Args:
        seats: the seat numbers of each row.
    """
    numbers = [number for name in names if (number := number_of(name)) is not None]
    if len(numbers) == len(names):
        keys = [(number, seat) for number, row in zip(numbers, seats, strict=True) for seat in row]
        if len(set(keys)) == len(keys):
            return numbers
    return list(range(1, len(names) + 1))


def seat_numbers(names: Sequence[str]) -> list[int]:
    """A number for each seat of a row: its name if all are numbers and no two are the same, else 1, 2, 3… in order."""
    numbers = [number for name in names if (number := number_of(name)) is not None]
    if len(numbers) == len(names) == len(set(numbers)):
        return numbers
    return list(range(1, len(names) + 1))
