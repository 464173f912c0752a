"""How seats are named on the command line, for an allotment."""

from __future__ import annotations

import pytest

from admitone.allotments import AllotmentError, seats_named


def test_seats_are_named_by_their_rows() -> None:
    assert seats_named("1: 1-3, 7; 2:4", 100) == {(1, 1), (1, 2), (1, 3), (1, 7), (2, 4)}
    assert seats_named(" 0 : 5 - 6 ;", 100) == {(0, 5), (0, 6)}


@pytest.mark.parametrize("text", ["", ";", "1", "1:", "1: a", "1: 4-2", "1: 1-", "1: 1 2", "1: 1-101", "999999: 1"])
def test_what_names_no_seats_is_refused(text: str) -> None:
    with pytest.raises(AllotmentError):
        seats_named(text, 100)
