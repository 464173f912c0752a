"""What the rehearsal's generator counts, and how its fans choose seats."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from admitone.rehearsal.counted import Counted, Sum, class_of
from admitone.rehearsal.hall import Hall


def a_hall(rows: int = 5, seats: int = 6, taken: list[Any] | None = None) -> Hall:
    hall = Hall(random.Random(1))
    numbers = [{"rowNumber": row, "seatNumbers": list(range(1, seats + 1))} for row in range(1, rows + 1)]
    hall.read({"version": 1, "sections": [{"ticketTypeId": 1, "rows": numbers}], "taken": taken or []})
    return hall


def test_seats_are_chosen_side_by_side_and_free() -> None:
    hall = a_hall(taken=[[1, 1, 2, "booked"]])
    for _ in range(200):
        chosen = hall.choose(3, front=False)
        assert len(chosen) == 3
        assert len({row for _, row, _ in chosen}) == 1
        first = chosen[0][2]
        assert [number for *_, number in chosen] == [first, first + 1, first + 2]
        assert (1, 1, 2) not in chosen


def test_who_wants_the_front_gets_in_the_way_of_others() -> None:
    hall = a_hall(rows=50)
    rows = [hall.choose(2, front=True)[0][1] for _ in range(100)]
    assert max(rows) <= 3
    assert len(set(rows)) > 1


def test_fewer_are_chosen_where_so_many_are_not_left_and_none_of_none() -> None:
    hall = a_hall(rows=1, seats=4, taken=[[1, 1, 2, "booked"], [1, 1, 4, "reserved"]])
    assert len(hall.choose(3, front=False)) == 1
    assert hall.choose(1, front=True)[0][2] in (1, 3)
    hall.taken([(1, 1, 1), (1, 1, 3)])
    assert hall.choose(1, front=False) == []
    assert hall.free == 0


def test_the_hall_follows_its_live_stream() -> None:
    hall = a_hall(rows=1, seats=2)
    hall.hear("seats", '{"version":2,"seats":[[1,1,1,"reserved"],[1,1,2,"booked"]],"tickets":[]}')
    assert hall.free == 0
    hall.hear("seats", '{"version":3,"seats":[[1,1,1,"available"]],"tickets":[]}')
    hall.hear("seats", '{"version":2,"seats":[[1,1,1,"booked"]],"tickets":[]}')
    assert hall.choose(2, front=False) == [(1, 1, 1)]
    hall.hear("snapshot", '{"version":9,"taken":[],"tickets":[]}')
    assert hall.free == 2


def test_ticks_add_up_and_travel_as_json() -> None:
    counted = Counted()
    told = []
    for seconds in range(1, 101):
        counted.wait("booking", seconds / 1000)
        counted.outcome("fan", "bought")
        if seconds == 50:
            told.append(counted.tick(1.0, 0.1, 2.0, done=False))
    counted.error("reserve: cut")
    told.append(counted.tick(2.0, 0.2, 2.0, done=True))
    met = Sum(msgspec.json.decode(msgspec.json.encode(told), type=list[type(told[0])]))  # type: ignore[misc]
    assert met.wait_ms("booking", 0.95) == pytest.approx(95, rel=0.06)
    assert met.wait_ms("booking", 0.5) == pytest.approx(50, rel=0.06)
    assert met.wait_ms("checkout", 0.5) is None
    assert met.count("fan", "bought") == 100
    assert met.errors == {"reserve: cut": 1}


def test_kinds_of_errors_and_violations_are_bounded() -> None:
    counted = Counted()
    for number in range(1000):
        counted.error(f"kind {number}")
        counted.violation(f"promise {number}")
    assert len(counted.errors) <= 201
    assert len(counted.violations) == 20
    assert counted.errors.total() == 1000
    assert class_of(0) == class_of(0.00001)
