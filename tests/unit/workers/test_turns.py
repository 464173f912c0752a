"""Whose turn it is, by numbers and sizes alone."""

from __future__ import annotations

import datetime as dt

import hypothesis.strategies as st
from hypothesis import given

from db.plans.best_seats import FreeSeats, rows_by_numbers
from db.waiting.chain import FIRST_LINK, link
from db.waiting.entries import Entry
from db.waiting.states import EntryState
from workers.engine.offers import choose
from workers.engine.turns import Turns

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def entry(number: int, quantity: int) -> Entry:
    return Entry(1, number, number, 1, quantity, EntryState.WAITING, "", False, AT, None, b"")


@given(st.lists(st.integers(1, 4), max_size=12), st.integers(0, 12))
def test_the_first_that_fits_is_next(sizes: list[int], free: int) -> None:
    turns = Turns([entry(number, size) for number, size in enumerate(sizes, 1)])
    expected = next((number for number, size in enumerate(sizes, 1) if size <= free), None)
    found = turns.first(free)
    assert (found and found.number) == expected
    assert turns.are_wanted(free) == (expected is not None)


def test_nobody_is_served_before_those_who_were_not_read() -> None:
    turns = Turns([entry(1, 1), entry(3, 2)], cut=[1])
    first = turns.first(2)
    assert first is not None
    turns.remove(first)
    assert turns.first(2) is None, "another single may be next"
    assert turns.are_wanted(1)
    turns.add(entry(9, 1))
    assert turns.first(2) is None, "and it comes before whoever entered just now"


def test_seats_are_chosen_together_or_in_the_largest_groups() -> None:
    free = FreeSeats(rows_by_numbers({1: range(1, 9)}), [(1, (1, 3, 4, 5, 7, 8))])
    assert sorted(choose(free, 3)) == [(1, 3), (1, 4), (1, 5)]
    assert sorted(choose(free, 5)) == [(1, 3), (1, 4), (1, 5), (1, 7), (1, 8)]
    assert free.count == 6, "they stay free until they are held"


def test_each_link_depends_on_the_entry_and_on_all_before() -> None:
    first = link(FIRST_LINK, event_id=1, number=1, ticket_type_id=1, quantity=2, at=AT)
    second = link(first, event_id=1, number=2, ticket_type_id=1, quantity=2, at=AT)
    assert first != second
    assert link(FIRST_LINK, event_id=1, number=1, ticket_type_id=1, quantity=3, at=AT) != first
    assert link(b"other", event_id=1, number=2, ticket_type_id=1, quantity=2, at=AT) != second
