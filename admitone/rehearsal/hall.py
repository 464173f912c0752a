"""The hall as one generator's fans see it: each of them asks for it, one of them reads it."""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec

TRIES_MAX: Final = 12
FRONT_ROWS: Final = 3
"""Of all rows that have enough free seats, those that who wants the front chooses from."""

Seat = tuple[int, int, int]


class Hall:
    """Free seats, kept up from ``GET …/seats`` and the frames of ``GET …/live``."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._rows: list[tuple[int, int, tuple[int, ...]]] = []
        self._free: list[set[int]] = []
        self._index: dict[tuple[int, int], int] = {}
        self.version = -1

    def read(self, seats: dict[str, Any]) -> None:
        """The answer of ``GET …/seats``."""
        self._rows = [
            (section["ticketTypeId"], row["rowNumber"], tuple(sorted(row["seatNumbers"])))
            for section in seats["sections"]
            for row in section["rows"]
        ]
        self._index = {(kind, row): at for at, (kind, row, _) in enumerate(self._rows)}
        self.snapshot(seats)

    def snapshot(self, told: dict[str, Any]) -> None:
        """``taken`` of an answer or of a ``snapshot`` frame, which replaces all that was known."""
        self._free = [set(numbers) for _, _, numbers in self._rows]
        for kind, row, number, _ in told["taken"]:
            self._take((kind, row, number))
        self.version = told["version"]

    def hear(self, event: str, data: str) -> None:
        """A frame of the live stream."""
        told = msgspec.json.decode(data, type=dict[str, Any])
        if event == "snapshot":
            self.snapshot(told)
        elif event == "seats" and told["version"] > self.version:
            self.version = told["version"]
            for kind, row, number, status in told["seats"]:
                if status == "available":
                    at = self._index.get((kind, row))
                    if at is not None:
                        self._free[at].add(number)
                else:
                    self._take((kind, row, number))

    def taken(self, seats: list[Seat]) -> None:
        """One of ours has them, or was told that somebody has."""
        for seat in seats:
            self._take(seat)

    @property
    def free(self) -> int:
        return sum(map(len, self._free))

    def choose(self, count: int, *, front: bool) -> list[Seat]:
        """``count`` seats side by side, fewer where no row has so many; none where nothing is free."""
        if front:
            found = 0
            for at in range(len(self._rows)):
                run = self._run(at, count)
                if run:
                    found += 1
                    if found >= FRONT_ROWS or self._chance.random() < 1 / FRONT_ROWS:
                        return run
        else:
            for _ in range(TRIES_MAX if self._rows else 0):
                run = self._run(self._chance.randrange(len(self._rows)), count)
                if run:
                    return run
        for wanted in range(count, 0, -1):
            begin = self._chance.randrange(len(self._rows)) if self._rows else 0
            for offset in range(len(self._rows)):
                run = self._run((begin + offset) % len(self._rows), wanted)
                if run:
                    return run
        return []

    def _run(self, at: int, count: int) -> list[Seat]:
        free = self._free[at]
        if len(free) < count:
            return []
        kind, row, numbers = self._rows[at]
        starts = [
            begin
            for begin in range(len(numbers) - count + 1)
            if all(number in free for number in numbers[begin : begin + count])
        ]
        if not starts:
            return []
        begin = self._chance.choice(starts)
        return [(kind, row, number) for number in numbers[begin : begin + count]]

    def _take(self, seat: Seat) -> None:
        at = self._index.get(seat[:2])
        if at is not None:
            self._free[at].discard(seat[2])
