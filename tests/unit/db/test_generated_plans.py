"""The plan that is made of an event's seats alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.plans.adjacency import are_neighbours
from db.plans.generated import SeatedType, generate
from db.plans.model import SECTION_SEATS_MAX, HallPlan, Outline, PlanSeat

APART_MIN = 8
"""Between the middles of two seats, in tenths of a seat's pitch."""

STANDS = ("North", "East", "South", "West")


def block(ticket_type_id: int, name: str, rows: int, seats: int, *, price: int = 4900, first: int = 1) -> SeatedType:
    numbers = tuple(range(1, seats + 1))
    return SeatedType(ticket_type_id, name, price, tuple((row, numbers) for row in range(first, first + rows)))


def stadium() -> list[SeatedType]:
    names = [f"{stand} {tier}" for stand in STANDS for tier in ("Lower", "Upper")]
    return [block(number, name, 100, 100) for number, name in enumerate(names, 1)]


def seats_of(plan: HallPlan) -> list[PlanSeat]:
    return [seat for section in plan.sections for row in section.rows for seat in row.seats]


def is_inside(x: int, y: int, outline: Outline) -> bool:
    inside = False
    for (x1, y1), (x2, y2) in pairwise((*outline, outline[0])):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def require_sound(plan: HallPlan, types: Iterable[SeatedType]) -> None:
    """Every seat is there once, within its section and the plan, and too near to no other."""
    keys = list(plan.seats())
    assert len(keys) == len(set(keys))
    assert set(keys) == {(one.ticket_type_id, row, seat) for one in types for row, seats in one.rows for seat in seats}
    cells: dict[tuple[int, int], list[PlanSeat]] = {}
    for section in plan.sections:
        assert section.quantity <= SECTION_SEATS_MAX
        for row in section.rows:
            assert row.label == str(row.row_number)
            for one, next_ in pairwise(row.seats):
                assert are_neighbours(one, next_), (section.name, row.row_number, one, next_)
            for seat in row.seats:
                assert is_inside(seat.x, seat.y, section.outline), (section.name, seat)
                cells.setdefault((seat.x // APART_MIN, seat.y // APART_MIN), []).append(seat)
        assert all(0 <= x <= plan.width and 0 <= y <= plan.height for x, y in (*section.outline, section.label_at))
    for (column, line), here in cells.items():
        near = [seat for x in (-1, 0, 1) for y in (-1, 0, 1) for seat in cells.get((column + x, line + y), ())]
        for seat in here:
            for other in near:
                if other is not seat:
                    distance = (seat.x - other.x) ** 2 + (seat.y - other.y) ** 2
                    assert distance >= APART_MIN**2, (seat, other)


ROWS = st.dictionaries(
    st.integers(0, 99_999),
    st.sets(st.integers(0, 99_999), min_size=1, max_size=30).map(lambda numbers: tuple(sorted(numbers))),
    min_size=1,
    max_size=12,
).map(lambda rows: tuple(sorted(rows.items())))
TYPES = st.lists(
    st.tuples(st.sampled_from(["A Lower", "A Upper", "B Lower", "Stalls", "Box 7"]), st.integers(0, 10**6), ROWS),
    min_size=1,
    max_size=6,
).map(lambda types: [SeatedType(number, *one) for number, one in enumerate(types, 1)])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TYPES)
def test_any_hall_has_a_sound_plan(types: list[SeatedType]) -> None:
    plan = generate(types)
    require_sound(plan, types)
    assert msgspec.json.encode(plan) == msgspec.json.encode(generate(types))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TYPES)
def test_any_stadium_has_a_sound_plan(types: list[SeatedType]) -> None:
    plan = generate(types, stadium_seats_min=1)
    assert plan.focus.kind == "pitch"
    require_sound(plan, types)


def test_a_stadium_has_its_stands_around_the_pitch() -> None:
    plan = generate(stadium())
    require_sound(plan, stadium())
    x, y = plan.focus.at
    of = {section.name: section.label_at for section in plan.sections}
    assert len(of) == 24
    assert of["North Lower 2"][1] < y < of["South Lower 2"][1]
    assert of["West Lower 2"][0] < x < of["East Lower 2"][0]
    assert of["North Upper 2"][1] < of["North Lower 2"][1]
    assert [section.quantity for section in plan.sections[:3]] == [3300, 3400, 3300]


@pytest.mark.parametrize("turned", [False, True])
def test_the_dearest_is_nearest_to_the_stage_unless_rows_go_on(turned: bool) -> None:
    cheap, dear = block(1, "General", 10, 10, price=4900), block(2, "VIP", 5, 10, price=12900)
    assert [section.name for section in generate([cheap, dear]).sections] == ["VIP", "General"]
    behind = block(2, "VIP", 5, 10, price=12900, first=11)
    types = [behind, cheap] if turned else [cheap, behind]
    plan = generate(types)
    assert [section.name for section in plan.sections] == ["General", "VIP"]
    assert all(seat.y > plan.focus.at[1] for seat in seats_of(plan))


def test_an_uneven_row_stands_close_and_centred() -> None:
    plan = generate([SeatedType(1, "Odd", 100, ((1, (1, 3, 5)), (2, tuple(range(1, 12)))))])
    odd, even = plan.sections[0].rows
    assert [seat.seat_number for seat in odd.seats] == [1, 3, 5]
    assert odd.seats[1].x == even.seats[5].x
    assert odd.seats[0].x < odd.seats[2].x


def test_a_very_long_row_and_very_many_ticket_types_are_cut() -> None:
    long = [block(1, "Line", 1, 9_000), block(2, "Column", 9_000, 1)]
    require_sound(generate(long), long)
    many = [block(number, f"Table {number}", 1, 4) for number in range(1, 1001)]
    plan = generate(many)
    require_sound(plan, many)
    assert len(plan.sections) == 1


def test_a_hall_without_seats_has_a_plan() -> None:
    plan = generate([SeatedType(1, "None", 100, ())])
    assert plan.sections == ()
    assert plan.width > 0
