"""Blocks of rows × seats, the short form of a hall's seats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatBlock:
    """``rows`` rows of ``seats_per_row`` seats each, numbered from ``first_row`` and ``first_seat`` on."""

    rows: int
    seats_per_row: int
    first_row: int = 1
    first_seat: int = 1

    @property
    def quantity(self) -> int:
        return self.rows * self.seats_per_row

    def seats(self) -> Iterator[tuple[int, int]]:
        """(row_number, seat_number) of each."""
        for row in range(self.first_row, self.first_row + self.rows):
            for seat in range(self.first_seat, self.first_seat + self.seats_per_row):
                yield row, seat


def blocks_of_rows(rows: Iterable[tuple[int, Iterable[int]]]) -> tuple[SeatBlock, ...]:
    """Rows with their seat numbers as blocks that do not overlap.

    Rows that follow one another and have the same seats become one block, or one a run where they have gaps.
    """
    found: list[SeatBlock] = []
    runs: list[tuple[int, int]] = []
    first_row, height = 0, 0

    def end() -> None:
        found.extend(
            SeatBlock(rows=height, seats_per_row=last - first + 1, first_row=first_row, first_seat=first)
            for first, last in runs
        )

    for row, numbers in sorted((row, sorted(set(numbers))) for row, numbers in rows):
        these = _runs(numbers)
        if these == runs and row == first_row + height:
            height += 1
            continue
        end()
        runs, first_row, height = these, row, 1
    end()
    return tuple(found)


def blocks_of_seats(seats: Iterable[tuple[int, int]]) -> tuple[SeatBlock, ...]:
    """(row_number, seat_number) in any order as `blocks_of_rows`."""
    rows: dict[int, list[int]] = {}
    for row, seat in seats:
        rows.setdefault(row, []).append(seat)
    return blocks_of_rows(rows.items())


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """(first, last) of each run of numbers that follow one another."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
