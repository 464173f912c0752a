"""What the rehearsal's generator counts, and how its fans choose seats."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from admitone.fan.counts import Counts, class_of
from admitone.fan.hall import Hall
from admitone.rehearsal.counted import Sum, take_tick


def a_hall(rows: int = 5, seats: int = 6, taken: list[Any] | None = None) -> Hall:
    hall = Hall(random.Random(1))
    numbers = [{"rowNumber": row, "seatNumbers": list(range(1, seats + 1))} for row in range(1, rows + 1)]
    hall.read({"version": 1, "sections": [{"ticketTypeId": 1, "rows": numbers}], "taken": taken or []})
    return hall


def test_seats_are_chosen_side_by_side_and_free() -> None:
    hall = a_hall(taken=[[1, 1, 2, "booked"]])
    for _ in range(200):
        chosen = hall.free_seats(3, front=False)
        assert len(chosen) == 3
        assert len({row for _, row, _ in chosen}) == 1
        first = chosen[0][2]
        assert [number for *_, number in chosen] == [first, first + 1, first + 2]
        assert (1, 1, 2) not in chosen


def test_who_wants_the_front_gets_in_the_way_of_others() -> None:
    hall = a_hall(rows=50)
    rows = [hall.free_seats(2, front=True)[0][1] for _ in range(100)]
    assert max(rows) <= 3
    assert len(set(rows)) > 1


def test_fewer_are_chosen_where_so_many_are_not_left_and_none_of_none() -> None:
    hall = a_hall(rows=1, seats=4, taken=[[1, 1, 2, "booked"], [1, 1, 4, "reserved"]])
    assert len(hall.free_seats(3, front=False)) == 1
    assert hall.free_seats(1, front=True)[0][2] in (1, 3)
    hall.taken([(1, 1, 1), (1, 1, 3)])
    assert hall.free_seats(1, front=False) == []
    assert hall.free == 0


def test_the_hall_follows_its_live_stream() -> None:
    hall = a_hall(rows=1, seats=2)
    hall.change("seats", '{"version":2,"seats":[[1,1,1,"reserved"],[1,1,2,"booked"]],"tickets":[]}')
    assert hall.free == 0
    hall.change("seats", '{"version":3,"seats":[[1,1,1,"available"]],"tickets":[]}')
    hall.change("seats", '{"version":2,"seats":[[1,1,1,"booked"]],"tickets":[]}')
    assert hall.free_seats(2, front=False) == [(1, 1, 1)]
    hall.change("snapshot", '{"version":9,"taken":[],"tickets":[]}')
    assert hall.free == 2


def test_ticks_add_up_and_travel_as_json() -> None:
    counts = Counts()
    told = []
    for seconds in range(1, 101):
        counts.wait("reserve_result" if seconds % 2 else "checkout_result", seconds / 1000)
        counts.outcome("fan", "bought")
        if seconds == 50:
            told.append(take_tick(counts, 1.0, 0.1, 2.0, done=False))
    counts.error("reserve: cut")
    told.append(take_tick(counts, 2.0, 0.2, 2.0, done=True))
    met = Sum(msgspec.json.decode(msgspec.json.encode(told), type=list[type(told[0])]))  # type: ignore[misc]
    assert met.booking_ms(0.95) == pytest.approx(95, rel=0.03)
    assert met.booking_ms(0.5) == pytest.approx(50, rel=0.03)
    assert Sum().booking_ms(0.5) is None
    assert met.count("fan", "bought") == 100
    assert met.errors == {"reserve: cut": 1}


def test_kinds_of_errors_and_violations_are_bounded() -> None:
    counts = Counts()
    for number in range(1000):
        counts.error(f"kind {number}")
        counts.violation(f"promise {number}")
    assert len(counts.errors) <= 201
    assert len(counts.violations) == 100
    assert counts.errors.total() == 1000
    tick = take_tick(counts, 1.0, 0.1, 2.0, done=False)
    assert len(tick.violations) == 20
    assert counts.violations == []
    assert class_of(0) == class_of(0.00001)
