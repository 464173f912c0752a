"""The free seats of one ticket type, row by row, from which the best block is chosen; they are kept between batches."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Final

EVENTS_KEPT_MAX: Final = 16


class FreeRows:
    """Rows in order from the stage, each with its free seat numbers in order.

    Args:
        free: (row_number, seat_number, lapsed) of every seat that may be held now, in any order; ``lapsed``
            marks a seat that still counts as held by a hold that has ended.
    """

    def __init__(self, free: Iterable[tuple[int, int, bool]]) -> None:
        self._rows: dict[int, list[int]] = {}
        self._order: list[int] = []
        self._lapsed: set[tuple[int, int]] = set()
        self.count = 0
        for row, seat, lapsed in sorted(free):
            self._rows.setdefault(row, []).append(seat)
            self.count += 1
            if lapsed:
                self._lapsed.add((row, seat))
        self._order = list(self._rows)

    def is_lapsed(self, row: int, seat: int) -> bool:
        return (row, seat) in self._lapsed

    def take(self, row: int, seat: int) -> None:
        seats = self._rows.get(row, [])
        index = bisect_left(seats, seat)
        if index < len(seats) and seats[index] == seat:
            del seats[index]
            self.count -= 1
            if not seats:
                del self._rows[row]
                del self._order[bisect_left(self._order, row)]
        self._lapsed.discard((row, seat))

    def give(self, row: int, seat: int) -> None:
        seats = self._rows.get(row)
        if seats is None:
            seats = self._rows[row] = []
            insort(self._order, row)
        index = bisect_left(seats, seat)
        if index == len(seats) or seats[index] != seat:
            insort(seats, seat)
            self.count += 1
        self._lapsed.discard((row, seat))

    def best(self, quantity: int) -> tuple[int, list[int]] | None:
        """The block of adjacent seats in the row nearest to the stage, or None.

        A block that leaves a single seat beside it is taken only if no row has a better one, because a single seat
        between sold ones is hard to sell.
        """
        second: tuple[int, list[int]] | None = None
        for row in self._order:
            if len(self._rows[row]) < quantity:
                continue
            for run in _runs(self._rows[row]):
                left_over = len(run) - quantity
                if left_over < 0:
                    continue
                block = (row, run[:quantity])
                if left_over != 1:
                    return block
                second = second or block
        return second


class KeptRows:
    """Keeps free rows from one batch to the next. They are exact, because they are used only under the event's lock and
    only if the event has the version that they were kept with. A batch takes them out, and puts them back only after
    its commit.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[int, dict[tuple[int, int], FreeRows]]] = {}

    def take(self, event_id: int, version: int) -> dict[tuple[int, int], FreeRows]:
        """The event's rows by (event_id, ticket_type_id) as of ``version``; empty if there are none of this version."""
        kept_version, rows = self._kept.pop(event_id, (-1, {}))
        return rows if kept_version == version else {}

    def keep(self, event_id: int, version: int, rows: dict[tuple[int, int], FreeRows]) -> None:
        if rows:
            while len(self._kept) >= EVENTS_KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[event_id] = (version, rows)


def _runs(seats: list[int]) -> Iterable[list[int]]:
    run: list[int] = []
    for seat in seats:
        if run and seat != run[-1] + 1:
            yield run
            run = []
        run.append(seat)
    if run:
        yield run
