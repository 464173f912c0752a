"""Any set of seats as blocks, and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from db.events.blocks import SeatBlock, blocks_of_rows, blocks_of_seats

seats = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)))


@given(seats)
def test_blocks_are_the_seats_once_each(these: set[tuple[int, int]]) -> None:
    back = [seat for block in blocks_of_seats(these) for seat in block.seats()]
    assert sorted(back) == sorted(these)


def test_a_stadium_is_one_block() -> None:
    rows = [(row, range(1, 101)) for row in range(1, 801)]
    assert blocks_of_rows(rows) == (SeatBlock(rows=800, seats_per_row=100),)


def test_gaps_and_aisles_part_blocks() -> None:
    rows = [(1, [1, 2, 4, 5]), (2, [5, 4, 2, 1, 1]), (4, [1])]
    assert blocks_of_rows(rows) == (
        SeatBlock(rows=2, seats_per_row=2),
        SeatBlock(rows=2, seats_per_row=2, first_seat=4),
        SeatBlock(rows=1, seats_per_row=1, first_row=4),
    )
