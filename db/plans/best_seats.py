"""Finds the best free seats side by side: near the focus of the hall, and without leaving a single seat alone.

Pure and exact. A row is two integers: one bit for each seat in the order in which the seats stand, one for each aisle
and for each end of the row. So a question to a row is a handful of shifts. Rows are asked in the order of the best that
they could have, and a row's answer is kept until one of its seats is taken or given back: of a stadium, one command
asks a few rows.

How blocks compare, the most important first:

1. A block that leaves no single seat alone beside it comes before one that leaves a seat alone at an aisle or at the
   end of a row, and that one before one that leaves a seat alone between other seats.
2. The block that is nearest to the focus: the least sum of the squares of its seats' distances, with something added
   for the distance from the middle of the row. In a ring around a pitch, that alone tells the seats of a row apart.
3. The lower row number, then the first seat in the row. So the same hall gives the same block.
"""

from __future__ import annotations

import bisect
import functools
import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from db.plans.model import SEAT_PITCH, Point, SeatFlag

FIRST_ROW_Y: Final = 30
"""Without a plan, rows of centred seats stand behind each other, and the focus is so far before the first."""
UNPLANNED_AWAY: Final = 100_000
"""A seat that the event's plan does not have counts as so far away from the focus."""
RESTRICTED_FURTHER: Final = 150
"""A seat with a restricted view counts as so much further away from the focus."""
_ASIDE_COST_MAX: Final = 64
"""A block steps aside if that costs at most this, times the third power of its quantity: for half of its length aside
from the middle, that is enough, and for a seat with a restricted view it is not.
"""
_EXTRA: Final = 1 << 60
"""Costs more than any distance: each seat for wheelchairs in a block beyond the one that was asked for."""


PROTECTED: Final = SeatFlag.ACCESSIBLE | SeatFlag.COMPANION
"""Seats with one of these are given only to fans who ask for accessible seats."""


class PlannedRow(NamedTuple):
    """A row of seats as it is read: arrays of one length, in the order in which the seats stand.

    The arrays from ``ordinals`` on are None where the event has no hall plan. A seat that its plan does not have has
    None in each of them.
    """

    row_number: int
    seat_numbers: Sequence[int]
    ordinals: Sequence[int | None] | None = None
    xs: Sequence[int | None] | None = None
    ys: Sequence[int | None] | None = None
    flags: Sequence[int | None] | None = None


class Wish(NamedTuple):
    """What a fan asks for: ``quantity`` seats side by side.

    Attributes:
        accessible: one of them is to be an accessible seat; its companion's seat may be among the others.
        at_aisle: the first or the last of them is to be at an aisle or at the end of its row.
    """

    quantity: int
    accessible: bool = False
    at_aisle: bool = False


class Block(NamedTuple):
    """Free seats side by side.

    Attributes:
        alone: 0 if the block leaves no single seat alone beside it; greater, the worse it is.
        cost: the sum of the squares of the seats' distances from the focus.
        seats: their numbers, in the order in which they stand.
    """

    alone: int
    cost: int
    row_number: int
    seats: tuple[int, ...]

    @property
    def distance(self) -> int:
        """About how far the block is from the focus."""
        return math.isqrt(self.cost % _EXTRA // len(self.seats))


_NO_SEAT: Final = -1


@functools.lru_cache(maxsize=4096)
def _bits_of(numbers: tuple[int, ...]) -> Mapping[int, int]:
    """The bit of each seat. Rows that are numbered alike share one mapping."""
    return {seat: 1 << at for at, seat in enumerate(numbers) if seat != _NO_SEAT}


class SeatRow:
    """The seats of one row, free or not, as they stand next to one another. It never changes.

    Args:
        seats: their numbers in order.
        costs: of each seat, the square of its distance from the focus.
        aisles: how many seats there are before each aisle.
        flags: the `SeatFlag`s of each seat; None if there are none.
    """

    __slots__ = (
        "_accessible", "_costs", "_ideals", "_is_valley", "_numbers", "_starts", "all", "bits", "edges", "least",
        "number", "protected",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        seats: Sequence[int],
        costs: Sequence[int],
        aisles: Sequence[int] = (),
        flags: Sequence[int] | None = None,
    ) -> None:
        self.number = number
        numbers, padded = [_NO_SEAT, *seats, _NO_SEAT], [costs[0], *costs, costs[-1]]
        for before in reversed(aisles):
            numbers.insert(before + 1, _NO_SEAT)
            padded.insert(before + 1, padded[before])
        self._numbers = tuple(numbers)
        self.bits = _bits_of(self._numbers)
        self.all = sum(self.bits.values())
        self.edges = (1 << len(numbers)) - 1 & ~self.all
        self.protected = self._accessible = 0
        for seat, flag in zip(seats, flags or (), strict=flags is not None):
            if flag & PROTECTED:
                self.protected |= self.bits[seat]
            if flag & SeatFlag.ACCESSIBLE:
                self._accessible |= self.bits[seat]
        self.least = least = min(costs)
        self._costs = [0, *itertools.accumulate(padded)]
        lowest = padded.index(least)
        fall, rise = padded[: lowest + 1], padded[lowest:]
        self._is_valley = fall == sorted(fall, reverse=True) and rise == sorted(rise)
        self._ideals: dict[int, int] = {}
        self._starts: dict[Wish, tuple[int, ...]] = {}

    def best(self, free: int, wish: Wish) -> tuple[int, int, int] | None:
        """The (alone, cost, start) of the row's best block, None without any.

        Args:
            free: the bits of the free seats.
        """
        quantity = wish.quantity
        ordinary = free & ~self.protected
        fits = usable = free if wish.accessible else ordinary
        for step in range(1, quantity):
            fits &= usable >> step
        if not fits:
            return None
        # By the block's start: the seat before it would be free without a free neighbour, and so would the seat after.
        left = ordinary << 1 & ~(ordinary << 2)
        right = ordinary >> quantity & ~(ordinary >> quantity + 1)
        starts = fits & ~(left | right)
        if found := self._cheapest(starts, wish):
            if not wish.accessible and not wish.at_aisle:
                found = self._thrifty(found, starts, ordinary, quantity)
            return 0, self._cost(found, wish), found
        left_at_edge, right_at_edge = left & self.edges << 2, right & self.edges >> quantity + 1
        for alone, starts in (
            (1, fits & (left_at_edge & ~right | right_at_edge & ~left)),
            (2, fits & left_at_edge & right_at_edge),
            (3, fits & (left & ~left_at_edge & ~right | right & ~right_at_edge & ~left)),
            (4, fits),
        ):
            if found := self._cheapest(starts, wish):
                return alone, self._cost(found, wish), found
        return None

    def seats_from(self, start: int, quantity: int) -> tuple[int, ...]:
        return self._numbers[start : start + quantity]

    def _cheapest(self, starts: int, wish: Wish) -> int:
        """The cheapest of the starts (bits); 0 if the wish is granted from none of them."""
        if not starts:
            return 0
        if self._is_valley and not wish.accessible and not wish.at_aisle:
            # Costs fall up to the ideal start and rise from it on: only the nearest on each side can be the cheapest.
            ideal = self._ideal(wish.quantity)
            before, after = starts & (2 << ideal) - 1, starts >> ideal + 1
            if not after:
                return before.bit_length() - 1
            next_ = ideal + (after & -after).bit_length()
            if not before:
                return next_
            last, quantity, costs = before.bit_length() - 1, wish.quantity, self._costs
            is_last = costs[last + quantity] - costs[last] <= costs[next_ + quantity] - costs[next_]
            return last if is_last else next_
        for start in self._starts_by_cost(wish):
            if starts >> start & 1:
                return start
        return 0

    def _ideal(self, quantity: int) -> int:
        """The start of the cheapest block, were all seats free: the first from which the costs do not fall."""
        ideal = self._ideals.get(quantity)
        if ideal is None:
            costs = self._costs

            def is_past(start: int) -> bool:
                return costs[start + quantity + 1] - costs[start + quantity] >= costs[start + 1] - costs[start]

            ideal = bisect.bisect_left(range(len(costs) - quantity - 1), True, key=is_past)
            self._ideals[quantity] = ideal
        return ideal

    def _thrifty(self, best: int, starts: int, ordinary: int, quantity: int) -> int:
        """The best start, or one a little aside that leaves room for more parties of the same size.

        A pair in the middle of twenty seats would leave nine to each side, of which the last one stays alone.
        """
        before = best - (~ordinary & (1 << best) - 1).bit_length()
        after = ordinary >> best + quantity
        after = (~after & after + 1).bit_length() - 1
        # Singles leave room for pairs.
        size = max(2, quantity)
        if before // size + after // size == (before + after) // size:
            return best
        shifts = (-(before % size), size - before % size, after % size, after % size - size)
        costs = self._costs
        cost, start = min(
            [
                (costs[start + quantity] - costs[start], start)
                for start in {best + shift for shift in shifts if -before <= shift <= after}
                if starts >> start & 1
            ],
            default=(0, best),
        )
        dearer_max = _ASIDE_COST_MAX * quantity**3
        return start if cost - (costs[best + quantity] - costs[best]) <= dearer_max else best

    def _cost(self, start: int, wish: Wish) -> int:
        cost = self._costs[start + wish.quantity] - self._costs[start]
        if wish.accessible:
            within = (1 << wish.quantity) - 1
            cost += _EXTRA * ((self._accessible >> start & within).bit_count() - 1)
        return cost

    def _starts_by_cost(self, wish: Wish) -> tuple[int, ...]:
        """The starts of all blocks that could grant the wish, were they free; the best first."""
        starts = self._starts.get(wish)
        if starts is None:
            within = (1 << wish.quantity) - 1
            possible = [
                start
                for start in range(1, len(self._numbers) - wish.quantity)
                if not self.edges >> start & within
                and (not wish.accessible or self._accessible >> start & within)
                and (not wish.at_aisle or self._is_at_aisle(start, wish.quantity))
            ]
            starts = self._starts[wish] = tuple(sorted(possible, key=lambda start: (self._cost(start, wish), start)))
        return starts

    def _is_at_aisle(self, start: int, quantity: int) -> bool:
        return bool((self.edges >> start - 1 | self.edges >> start + quantity) & 1)


class SeatRows:
    """The rows of one ticket type. They stay as they are until an operator changes the hall.

    Args:
        is_planned: the costs are of the event's hall plan, so that those of its ticket types can be compared.
    """

    def __init__(self, rows: Iterable[SeatRow], *, is_planned: bool = False) -> None:
        self.is_planned = is_planned
        self.rows = tuple(sorted(rows, key=lambda row: row.number))
        self.index = {row.number: index for index, row in enumerate(self.rows)}

    def free_without(self, taken: Iterable[tuple[int, int]]) -> FreeSeats:
        """All seats as free but those that are ``taken``, (row_number, seat_number)."""
        free = FreeSeats(self, ((row.number, row.bits) for row in self.rows))
        for row_number, seat in taken:
            free.take(row_number, seat)
        return free


class FreeSeats:
    """Which seats of a ticket type are free now, and which of them are best.

    Args:
        free: (row_number, numbers of its free seats).
    """

    def __init__(self, layout: SeatRows, free: Iterable[tuple[int, Iterable[int]]]) -> None:
        self.layout = layout
        self._free = [0] * len(layout.rows)
        self._turns = [0] * len(layout.rows)
        self._changed: list[int] = []
        self._rankings: dict[Wish, _Ranking] = {}
        self.count = 0
        for row_number, numbers in free:
            index = layout.index[row_number]
            row = layout.rows[index]
            mask = row.all if numbers is row.bits else sum([row.bits[number] for number in numbers])
            self._free[index] = mask
            self.count += mask.bit_count()

    @property
    def ordinary_count(self) -> int:
        """How many of the free seats are not kept for fans who ask for accessible ones."""
        return sum(
            [(free & ~row.protected).bit_count() for free, row in zip(self._free, self.layout.rows, strict=True)]
        )

    def take(self, row_number: int, seat: int) -> None:
        """The seat is not free any more."""
        self._set(row_number, seat, is_free=False)

    def give(self, row_number: int, seat: int) -> None:
        """The seat is free again."""
        self._set(row_number, seat, is_free=True)

    def best(self, wish: Wish) -> Block | None:
        """The best block, None if no row has one."""
        return self._ranking(wish).first()

    def ranked(self, wish: Wish) -> Iterator[Block]:
        """The best block of each row, the best first. Nothing may be taken or given while this is read."""
        return self._ranking(wish).each()

    def _set(self, row_number: int, seat: int, *, is_free: bool) -> None:
        index = self.layout.index.get(row_number)
        if index is None:
            return
        bit = self.layout.rows[index].bits.get(seat, 0)
        if bit and bool(self._free[index] & bit) != is_free:
            self._free[index] ^= bit
            self.count += 1 if is_free else -1
            self._turns[index] += 1
            self._changed.append(index)

    def _ranking(self, wish: Wish) -> _Ranking:
        if len(self._changed) > _CHANGED_MAX:
            self._changed.clear()
            self._rankings.clear()
        ranking = self._rankings.get(wish)
        if ranking is None:
            ranking = _Ranking(self.layout.rows, self._free, self._turns, self._changed, wish)
            self._rankings[wish] = ranking
        return ranking


_CHANGED_MAX: Final = 4096
_UNASKED: Final = 0


class _Ranking:
    """The rows in the order of their best blocks for one wish. A row that was not asked since it changed stands where
    its best possible block would be; it is asked when it comes first.

    An entry of the heap is (alone, cost, row's index, start, the row's turn). Entries of earlier turns are passed over.

    Args:
        free: the bits of each row's free seats.
        turns: how often each row has changed.
        changed: the rows that changed, one after the other. The caller goes on with all three.
    """

    __slots__ = ("_changed", "_free", "_heap", "_read", "_rows", "_turns", "_wish")

    def __init__(
        self,
        rows: Sequence[SeatRow],
        free: Sequence[int],
        turns: Sequence[int],
        changed: Sequence[int],
        wish: Wish,
    ) -> None:
        self._rows = rows
        self._free = free
        self._turns = turns
        self._changed = changed
        self._wish = wish
        self._begin()

    def _begin(self) -> None:
        self._read = len(self._changed)
        self._heap = [self._unasked(index) for index, free in enumerate(self._free) if free]
        heapq.heapify(self._heap)

    def _unasked(self, index: int) -> tuple[int, int, int, int, int]:
        return 0, self._rows[index].least * self._wish.quantity, index, _UNASKED, self._turns[index]

    def first(self) -> Block | None:
        return self._block(self._heap[0]) if self._settle() else None

    def each(self) -> Iterator[Block]:
        passed = []
        try:
            while self._settle():
                passed.append(heapq.heappop(self._heap))
                yield self._block(passed[-1])
        finally:
            for entry in passed:
                heapq.heappush(self._heap, entry)

    def _settle(self) -> bool:
        """Have the best block of all at the head of the heap; False if there is none."""
        if self._read < len(self._changed):
            self._note_changed()
        heap, turns = self._heap, self._turns
        while heap:
            _, _, index, start, turn = heap[0]
            if turn != turns[index]:
                heapq.heappop(heap)
            elif start:
                return True
            elif found := self._rows[index].best(self._free[index], self._wish):
                heapq.heapreplace(heap, (found[0], found[1], index, found[2], turn))
            else:
                heapq.heappop(heap)
        return False

    def _note_changed(self) -> None:
        changed = set(self._changed[self._read :])
        self._read = len(self._changed)
        if len(self._heap) + len(changed) > 4 * len(self._rows) + 16:
            self._begin()
            return
        for index in changed:
            if self._free[index]:
                heapq.heappush(self._heap, self._unasked(index))

    def _block(self, entry: tuple[int, int, int, int, int]) -> Block:
        alone, cost, index, start, _ = entry
        row = self._rows[index]
        return Block(alone, cost, row.number, row.seats_from(start, self._wish.quantity))


def planned_rows(rows: Iterable[PlannedRow], focus: Point | None) -> SeatRows:
    """The rows of one ticket type, as the hall plan has them; without a plan, as their numbers have them.

    Args:
        focus: what fans come to see; None if the event has no plan.
    """
    planned = list(rows)
    if focus is None or all(row.ordinals is None for row in planned):
        return rows_by_numbers({row.row_number: row.seat_numbers for row in planned})
    return SeatRows((_planned_row(row, focus) for row in planned), is_planned=True)


def rows_by_numbers(rows: Mapping[int, Sequence[int]]) -> SeatRows:
    """Rows without a plan: the seats of a row stand centred in the order of their numbers, and the rows behind each
    other in the order of theirs.
    """
    found = []
    for depth, number in enumerate(sorted(rows)):
        square = (FIRST_ROW_Y + SEAT_PITCH * depth) ** 2
        # The square of a seat's distance from the middle counts once for the focus, and a quarter for the row.
        costs = [square + 5 * side * side // 4 for side in _sides(len(rows[number]))]
        found.append(SeatRow(number, sorted(rows[number]), costs))
    return SeatRows(found)


def _planned_row(row: PlannedRow, focus: Point) -> SeatRow:
    seats = len(row.seat_numbers)
    unplanned = [None] * seats
    ordinals = row.ordinals or unplanned
    flags = [flag or 0 for flag in row.flags or unplanned]
    places = zip(row.xs or unplanned, row.ys or unplanned, flags, _sides(seats), strict=True)
    costs = [_cost(x, y, flag, focus) + side * side // 4 for x, y, flag, side in places]
    aisles = [
        before
        for before, (one, next_) in enumerate(itertools.pairwise(ordinals), 1)
        if one is not None and (next_ is None or next_ - one > 1)
    ]
    return SeatRow(row.row_number, row.seat_numbers, costs, aisles, flags if any(flags) else None)


def _cost(x: int | None, y: int | None, flags: int, focus: Point) -> int:
    if x is None or y is None:
        return UNPLANNED_AWAY**2
    square: int = (x - focus[0]) ** 2 + (y - focus[1]) ** 2
    if flags & SeatFlag.RESTRICTED_VIEW:
        square = (math.isqrt(square) + RESTRICTED_FURTHER) ** 2
    return square


@functools.cache
def _sides(seats: int) -> tuple[int, ...]:
    """The distance of each seat of a row of so many from the middle of the row."""
    return tuple([SEAT_PITCH * (2 * place - seats + 1) // 2 for place in range(seats)])
