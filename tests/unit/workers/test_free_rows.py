from __future__ import annotations

from db.plans.best_seats import Wish, rows_by_numbers
from workers.engine.free_rows import EVENTS_KEPT_MAX, FreeRows, KeptRows

LAYOUT = rows_by_numbers({1: range(1, 4), 2: range(1, 4)})


def rows(*free: int, lapsed: tuple[int, ...] = ()) -> FreeRows:
    """Free seats of row 1."""
    return FreeRows(LAYOUT, [(1, sorted({*free, *lapsed}), lapsed)])


def block(free: FreeRows, quantity: int) -> tuple[int, ...]:
    found = free.best(Wish(quantity))
    return () if found is None else found.seats


def test_what_is_taken_is_gone_and_what_is_given_is_back() -> None:
    free = rows(1, 2, lapsed=(3,))
    assert free.is_lapsed(1, 3)
    assert not free.is_lapsed(1, 1)
    assert free.count == 3
    for _ in range(2):
        free.take(1, 3)
    assert (free.count, free.is_lapsed(1, 3), block(free, 3)) == (2, False, ())
    for _ in range(2):
        free.give(1, 3)
    assert (free.count, free.is_lapsed(1, 3), block(free, 3)) == (3, False, (1, 2, 3))
    free.take(9, 9)
    free.give(9, 9)
    assert free.count == 3, "the ticket type has no such seat"


def test_kept_rows_are_those_of_the_version_they_were_left_at() -> None:
    kept, free = KeptRows(), {(7, 1): rows(1)}
    kept.keep(7, 3, free)
    assert kept.take(7, 3) == free
    assert kept.take(7, 3) == {}, "whoever takes them hands them back, or they are read anew"
    kept.keep(7, 3, free)
    assert kept.take(7, 4) == {}, "another engine has booked since"
    assert kept.take(7, 3) == {}


def test_layouts_are_kept_until_an_operator_changes_the_event() -> None:
    kept = KeptRows()
    kept.layouts(7, 1)[7, 1] = LAYOUT
    assert kept.layouts(7, 1) == {(7, 1): LAYOUT}
    assert kept.layouts(7, 2) == {}
    assert kept.layouts(7, 1) == {}


def test_rows_of_few_events_are_kept() -> None:
    kept = KeptRows()
    events = range(EVENTS_KEPT_MAX + 5)
    for event in events:
        kept.keep(event, 1, {(event, 1): rows(1)})
        kept.layouts(event, 1)[event, 1] = LAYOUT
    assert [event for event in events if kept.take(event, 1)] == list(events)[5:]
    assert [event for event in events[::-1] if kept.layouts(event, 1)][::-1] == list(events)[5:]
