from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.engine.free_rows import EVENTS_KEPT_MAX, FreeRows, KeptRows


def rows(*free: tuple[int, int], lapsed: tuple[tuple[int, int], ...] = ()) -> FreeRows:
    return FreeRows([(*seat, False) for seat in free] + [(*seat, True) for seat in lapsed])


def test_the_order_of_the_seats_does_not_matter() -> None:
    assert rows((2, 1), (1, 3), (1, 2)).best(2) == (1, [2, 3])


def test_a_block_is_in_one_row_and_has_no_gap() -> None:
    assert rows((1, 1), (1, 3), (2, 4), (2, 5)).best(2) == (2, [4, 5])
    assert rows((1, 4), (2, 1)).best(2) is None
    assert rows().best(1) is None


def test_a_single_seat_beside_is_avoided_where_another_row_allows() -> None:
    assert rows((1, 1), (1, 2), (1, 3), (2, 1), (2, 2)).best(2) == (2, [1, 2])
    assert rows((1, 1), (1, 2), (1, 3)).best(2) == (1, [1, 2])


def test_what_is_taken_is_gone_and_what_is_given_is_back() -> None:
    free = rows((1, 1), (1, 2), lapsed=((1, 3),))
    assert free.is_lapsed(1, 3)
    assert not free.is_lapsed(1, 1)
    assert free.count == 3
    for _ in range(2):
        free.take(1, 3)
    assert (free.count, free.is_lapsed(1, 3), free.best(3)) == (2, False, None)
    for _ in range(2):
        free.give(1, 3)
    assert (free.count, free.is_lapsed(1, 3), free.best(3)) == (3, False, (1, [1, 2, 3]))
    free.take(9, 9)
    assert free.count == 3
    free.give(9, 9)
    assert (free.count, free.best(3)) == (4, (1, [1, 2, 3]))


seats = st.tuples(st.integers(1, 3), st.integers(1, 8))


@given(st.sets(seats), st.lists(st.tuples(st.booleans(), seats), max_size=20), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_the_best_block_is_the_one_a_search_finds(
    free: set[tuple[int, int]], moves: list[tuple[bool, tuple[int, int]]], quantity: int
) -> None:
    kept = rows(*free)
    for given_back, seat in moves:
        (kept.give if given_back else kept.take)(*seat)
        (free.add if given_back else free.discard)(seat)
    assert kept.count == len(free)
    blocks = []
    for row, first in sorted(free):
        block = [first + step for step in range(quantity)]
        if (row, first - 1) not in free and all((row, seat) in free for seat in block):
            end = block[-1]
            alone = (row, end + 1) in free and (row, end + 2) not in free
            blocks.append((alone, row, block))
    best = min(blocks, key=lambda found: found[0], default=None)
    assert kept.best(quantity) == (None if best is None else best[1:])


def test_kept_rows_are_those_of_the_version_they_were_left_at() -> None:
    kept, free = KeptRows(), {(7, 1): rows((1, 1))}
    kept.keep(7, 3, free)
    assert kept.take(7, 3) == free
    assert kept.take(7, 3) == {}, "whoever takes them hands them back, or they are read anew"
    kept.keep(7, 3, free)
    assert kept.take(7, 4) == {}, "another engine has booked since"
    assert kept.take(7, 3) == {}


def test_rows_of_few_events_are_kept() -> None:
    kept = KeptRows()
    for event in range(EVENTS_KEPT_MAX + 5):
        kept.keep(event, 1, {(event, 1): rows((1, 1))})
    found = [event for event in range(EVENTS_KEPT_MAX + 5) if kept.take(event, 1)]
    assert found == list(range(5, EVENTS_KEPT_MAX + 5))
