"""The best free seats, compared with a naive search on small halls, and on large ones until they are full."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.plans.best_seats import FreeSeats, PlannedRow, SeatRows, Wish, planned_rows, rows_by_numbers
from db.plans.model import SeatFlag

FOCUS = (40, 0)


def hall_of(*rows: PlannedRow) -> SeatRows:
    return planned_rows(rows, FOCUS)


def straight_row(
    number: int, seats: int, *, aisles: Iterable[int] = (), flags: Mapping[int, int] | None = None
) -> PlannedRow:
    """Seats from 1 on; there is an aisle after each of ``aisles``."""
    ordinals, xs = [], []
    for seat in range(1, seats + 1):
        before = sum(aisle < seat for aisle in aisles)
        ordinals.append(seat + before)
        xs.append(10 * (seat - 1) + 20 * before)
    ys = [20 + 10 * number] * seats
    return PlannedRow(
        number, range(1, seats + 1), ordinals, xs, ys, [(flags or {}).get(one + 1, 0) for one in range(seats)]
    )


def all_free(layout: SeatRows) -> FreeSeats:
    return FreeSeats(layout, [(row.number, list(row.bits)) for row in layout.rows])


def block(free: FreeSeats, quantity: int, **wish: bool) -> tuple[int, tuple[int, ...]] | None:
    found = free.best(Wish(quantity, **wish))
    return None if found is None else (found.row_number, found.seats)


def test_the_best_block_is_in_the_middle_of_the_first_row() -> None:
    free = all_free(rows_by_numbers({row: range(1, 21) for row in range(1, 11)}))
    assert block(free, 2) == (1, (9, 10)), "and leaves even numbers of seats beside it"
    assert block(free, 4) == (1, (9, 10, 11, 12))
    assert block(free, 21) is None
    for seat in (9, 10, 11, 12):
        free.take(1, seat)
    assert block(free, 4) == (2, (9, 10, 11, 12)), "nearer to the middle than the side of the first row"


def test_seats_are_adjacent_by_their_order_in_a_row_with_gaps_in_its_numbers() -> None:
    free = FreeSeats(rows_by_numbers({1: [1, 3, 5, 7], 2: [2, 3]}), [(1, [1, 3, 7]), (2, [2, 3])])
    assert block(free, 2) == (1, (1, 3))
    free.take(1, 1)
    assert block(free, 2) == (2, (2, 3)), "5 is taken, and stands between 3 and 7"
    free.give(1, 5)
    assert block(free, 3) == (1, (3, 5, 7))


def test_no_block_reaches_over_an_aisle() -> None:
    free = all_free(hall_of(*[straight_row(1, 6, aisles=[3])]))
    assert block(free, 3) == (1, (4, 5, 6))
    assert block(free, 4) is None


def test_a_single_seat_is_left_alone_only_where_no_row_has_a_better_block() -> None:
    layout = rows_by_numbers({1: [1, 2, 3], 2: [1, 2, 3, 4], 3: [1, 2]})
    free = FreeSeats(layout, [(1, [1, 2, 3]), (2, [2, 3, 4]), (3, [1, 2])])
    assert block(free, 2) == (3, (1, 2)), "none is left alone"
    free.take(3, 1)
    assert block(free, 2) == (1, (1, 2)), "the third one is at the end of its row"
    free.take(1, 2)
    assert block(free, 2) == (2, (2, 3)), "the fourth one too"
    free.give(2, 1)
    free.take(2, 4)
    free.take(2, 3)
    assert block(free, 2) == (2, (1, 2))
    one = FreeSeats(rows_by_numbers({1: range(1, 7)}), [(1, [2, 3, 4])])
    found = one.best(Wish(2))
    assert found is not None
    assert found.alone == 3, "between other seats, because there is no other way"


def test_seats_with_a_restricted_view_count_as_further_away() -> None:
    layout = hall_of(*[straight_row(1, 9, flags={5: SeatFlag.RESTRICTED_VIEW}), straight_row(2, 9)])
    free = all_free(layout)
    assert block(free, 2) == (1, (3, 4))
    for seat in (1, 2, 3, 4, 6, 7, 8, 9):
        free.take(1, seat)
    assert block(free, 1) == (2, (5,))


def test_accessible_seats_are_given_only_to_those_who_ask() -> None:
    flags = {1: SeatFlag.ACCESSIBLE, 2: SeatFlag.COMPANION, 3: SeatFlag.ACCESSIBLE, 4: SeatFlag.COMPANION}
    free = all_free(hall_of(*[straight_row(1, 8, flags=flags), straight_row(2, 4)]))
    assert block(free, 4) == (1, (5, 6, 7, 8))
    assert block(free, 2, accessible=True) in {(1, (1, 2)), (1, (3, 4)), (1, (2, 3))}
    assert block(free, 1, accessible=True) == (1, (3,)), "an accessible seat, not a companion's"
    found = free.best(Wish(4, accessible=True))
    assert found is not None
    assert found.seats == (3, 4, 5, 6), "one accessible seat, though a block with two is nearer to the middle"
    for row, seat in [(1, seat) for seat in range(5, 9)] + [(2, seat) for seat in range(1, 5)]:
        free.take(row, seat)
    assert free.count == 4
    assert block(free, 1) is None, "those that are left are kept for fans who need them"


def test_a_block_at_the_aisle() -> None:
    free = all_free(hall_of(*[straight_row(1, 10, aisles=[5])]))
    assert block(free, 2, at_aisle=True) in {(1, (4, 5)), (1, (6, 7))}
    free = all_free(rows_by_numbers({1: range(1, 11)}))
    assert block(free, 2, at_aisle=True) == (1, (1, 2))


def test_ranked_blocks_are_one_of_each_row_and_the_order_is_kept() -> None:
    free = all_free(rows_by_numbers({row: range(1, 11) for row in range(1, 6)}))
    ranked = list(free.ranked(Wish(2)))
    assert [found.row_number for found in ranked] == [1, 2, 3, 4, 5]
    assert list(free.ranked(Wish(2))) == ranked
    assert free.best(Wish(2)) == ranked[0]


# -- against a naive search

ROWS, SEATS = 3, 9

halls = st.fixed_dictionaries(
    {
        "aisles": st.lists(st.sets(st.integers(1, SEATS - 1), max_size=2), min_size=ROWS, max_size=ROWS),
        "flags": st.dictionaries(
            st.tuples(st.integers(1, ROWS), st.integers(1, SEATS)), st.sampled_from([1, 2, 4, 8, 9]), max_size=6
        ),
        "moves": st.lists(
            st.tuples(st.booleans(), st.integers(1, ROWS), st.integers(1, SEATS)), min_size=5, max_size=40
        ),
        "wishes": st.lists(st.builds(Wish, st.integers(1, 5), st.booleans(), st.booleans()), min_size=1, max_size=4),
    }
)


class Naive:
    """The same hall as lists of seats."""

    def __init__(self, aisles: Sequence[set[int]], flags: dict[tuple[int, int], int]) -> None:
        self.aisles, self.flags = aisles, flags
        self.free = {(row, seat) for row in range(1, ROWS + 1) for seat in range(1, SEATS + 1)}

    def side_by_side(self, row: int, seat: int) -> bool:
        """Whether there is no aisle after the seat."""
        return 1 <= seat < SEATS and seat not in self.aisles[row - 1]

    def is_open(self, row: int, seat: int) -> bool:
        """Free, and for everybody."""
        return (row, seat) in self.free and not self.flags.get((row, seat), 0) & 3

    def blocks(self, wish: Wish) -> list[tuple[int, tuple[int, ...]]]:
        return [
            (row, tuple(range(first, first + wish.quantity)))
            for row in range(1, ROWS + 1)
            for first in range(1, SEATS - wish.quantity + 2)
            if self.grants(wish, row, range(first, first + wish.quantity))
        ]

    def grants(self, wish: Wish, row: int, seats: range) -> bool:
        if not all(self.side_by_side(row, seat) for seat in seats[:-1]):
            return False
        at_aisle = not self.side_by_side(row, seats[0] - 1) or not self.side_by_side(row, seats[-1])
        if wish.at_aisle and not at_aisle:
            return False
        if not wish.accessible:
            return all(self.is_open(row, seat) for seat in seats)
        accessible = any(self.flags.get((row, seat), 0) & 1 for seat in seats)
        return accessible and all((row, seat) in self.free for seat in seats)

    def left_alone(self, row: int, seats: tuple[int, ...]) -> tuple[int, int]:
        """How many seats beside a block would stand alone between others, and how many at an aisle or a row's end."""
        between = at_end = 0
        for seat, outer in ((seats[0] - 1, -1), (seats[-1] + 1, 1)):
            joined = self.side_by_side(row, min(seat, seat - outer))
            if not joined or not self.is_open(row, seat):
                continue
            goes_on = self.side_by_side(row, min(seat, seat + outer))
            if not goes_on:
                at_end += 1
            elif not self.is_open(row, seat + outer):
                between += 1
        return between, at_end


@given(halls)
@settings(max_examples=100, deadline=None)
def test_a_block_is_found_whenever_there_is_one_and_leaves_a_seat_alone_only_if_all_do(hall: dict[str, object]) -> None:
    aisles, flags, moves, wishes = (hall[name] for name in ("aisles", "flags", "moves", "wishes"))
    assert isinstance(aisles, list)
    assert isinstance(flags, dict)
    assert isinstance(moves, list)
    assert isinstance(wishes, list)
    naive = Naive(aisles, flags)
    layout = hall_of(
        *[
            straight_row(
                row, SEATS, aisles=aisles[row - 1], flags={seat: flags.get((row, seat), 0) for seat in range(1, 10)}
            )
            for row in range(1, ROWS + 1)
        ]
    )
    kept = all_free(layout)
    for is_given, row, seat in moves:
        (kept.give if is_given else kept.take)(row, seat)
        (naive.free.add if is_given else naive.free.discard)((row, seat))
        assert kept.count == len(naive.free)
        for wish in wishes:
            blocks = naive.blocks(wish)
            found = kept.best(wish)
            assert (found is None) == (not blocks)
            if found is None:
                continue
            assert (found.row_number, found.seats) in blocks
            lone = min(naive.left_alone(*one) for one in blocks)
            assert naive.left_alone(found.row_number, found.seats)[0] == lone[0]
            if lone[0] == 0:
                assert naive.left_alone(found.row_number, found.seats) == lone
            now = [(row.number, [one for one in row.bits if (row.number, one) in naive.free]) for row in layout.rows]
            anew = FreeSeats(layout, now)
            assert anew.best(wish) == found, "what was asked before does not matter"


@given(st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=5, deadline=None)
def test_no_party_is_refused_while_a_row_has_room_for_it(seed: int, largest: int) -> None:
    """8,000 seats, and parties of one to eight who come until the hall is full, with some seats given back between."""
    generator = random.Random(seed)
    free = all_free(rows_by_numbers({row: range(1, 101) for row in range(1, 81)}))
    rows = {row: [True] * 100 for row in range(1, 81)}
    sold: list[tuple[int, tuple[int, ...]]] = []
    refused = 0
    while free.count:
        quantity = generator.randint(1, largest)
        found = free.best(Wish(quantity))
        if found is None:
            text = {"".join(".#"[is_free] for is_free in row) for row in rows.values()}
            assert not any("#" * quantity in row for row in text), f"{quantity} side by side are free"
            refused += 1
            if quantity == 1:
                break
            continue
        assert len(found.seats) == quantity
        for seat in found.seats:
            assert rows[found.row_number][seat - 1], "given once"
            rows[found.row_number][seat - 1] = False
            free.take(found.row_number, seat)
        sold.append((found.row_number, found.seats))
        if generator.random() < 0.02:
            row, seats = sold.pop(generator.randrange(len(sold)))
            for seat in seats:
                rows[row][seat - 1] = True
                free.give(row, seat)
    assert free.count == 0, "all are sold in the end"
    if largest == 1:
        assert refused == 0


@pytest.mark.parametrize("quantity", [2, 4, 5, 10, 20])
def test_parties_of_one_size_leave_no_seat_that_they_could_have_had(quantity: int) -> None:
    free = all_free(rows_by_numbers({row: range(1, 21) for row in range(1, 41)}))
    given = 0
    while (found := free.best(Wish(quantity))) is not None:
        given += quantity
        for seat in found.seats:
            free.take(found.row_number, seat)
    assert given == 800
