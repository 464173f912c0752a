"""The one rule that says which seats of a row are side by side.

Seats stand in a row's order. Two that follow one another are neighbours, unless more than `NEIGHBOURS_APART_MAX` lies
between them: there is an aisle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeVar

NEIGHBOURS_APART_MAX: Final = 15
"""In tenths of a seat's pitch, from the middle of one seat to the middle of the next."""


class Positioned(Protocol):
    """A thing with a position."""

    @property
    def x(self) -> int: ...
    @property
    def y(self) -> int: ...


S = TypeVar("S", bound=Positioned)


def are_neighbours(one: Positioned, next_: Positioned) -> bool:
    """Whether two seats that follow one another in their row are side by side."""
    return (one.x - next_.x) ** 2 + (one.y - next_.y) ** 2 <= NEIGHBOURS_APART_MAX**2


def runs(seats: Iterable[S]) -> list[list[S]]:
    """A row's seats, in order, in parts between which there are aisles."""
    found: list[list[S]] = []
    for seat in seats:
        if found and are_neighbours(found[-1][-1], seat):
            found[-1].append(seat)
        else:
            found.append([seat])
    return found


def ordinals(seats: Sequence[Positioned], first: int = 0) -> list[int]:
    """A number for each seat of a row, in order: those of neighbours differ by one, those across an aisle by two.

    So whoever knows the ordinals alone, as the booking engine does, knows which seats are side by side.
    """
    found: list[int] = []
    number = first
    for part in runs(seats):
        found.extend(range(number, number + len(part)))
        number += len(part) + 1
    return found
