"""Hall plans: who sits beside whom, outlines, and a plan whose event has other seats by now."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from db.plans.adjacency import NEIGHBOURS_APART_MAX, ordinals, runs
from db.plans.checking import PlanPaths, faults_of, faults_of_seats
from db.plans.fitting import fit
from db.plans.generated import SeatedType, generate
from db.plans.model import HallPlan, PlanSeat
from db.plans.outlines import PAD, middle_of, outline_around
from db.plans.storage import document_of, plan_of

STALLS = SeatedType(1, "Stalls", 4900, ((1, (1, 2, 3)), (2, (1, 2, 3))))
BOXES = SeatedType(2, "Boxes", 9900, ((1, (1, 2)),))


def at(*xs: int) -> list[PlanSeat]:
    return [PlanSeat(number, x, 0) for number, x in enumerate(xs, 1)]


def plan() -> HallPlan:
    return generate([STALLS, BOXES])


def test_an_aisle_parts_a_row() -> None:
    seats = at(0, 10, 10 + NEIGHBOURS_APART_MAX, 11 + 2 * NEIGHBOURS_APART_MAX)
    assert [[seat.seat_number for seat in part] for part in runs(seats)] == [[1, 2, 3], [4]]
    assert ordinals(seats) == [0, 1, 2, 4]
    assert ordinals(seats, 6) == [6, 7, 8, 10]
    assert ordinals([]) == []


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30))
def test_ordinals_differ_by_one_exactly_between_neighbours(steps: list[int]) -> None:
    xs = [sum(steps[:index]) for index in range(len(steps))]
    numbers = ordinals(at(*xs))
    for (one, two), (left, right) in zip(pairwise(xs), pairwise(numbers), strict=True):
        assert right - left == (1 if two - one <= NEIGHBOURS_APART_MAX else 2)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=40))
def test_an_outline_keeps_its_distance_from_each_seat(points: list[tuple[int, int]]) -> None:
    outline = outline_around(points)
    corners = list(zip(outline, (*outline[1:], outline[0]), strict=True))
    for x, y in points:
        for (x1, y1), (x2, y2) in corners:
            length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
            distance = ((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) / length
            assert distance >= PAD - 1.5
    x, y = middle_of(outline)
    assert min(one for one, _ in outline) <= x <= max(one for one, _ in outline)
    assert min(one for _, one in outline) <= y <= max(one for _, one in outline)


def test_a_plan_is_stored_and_read_as_it_is() -> None:
    assert plan_of(document_of(plan())) == plan()
    assert fit(plan(), [STALLS, BOXES]) == plan()


def test_a_plan_follows_the_seats_that_come_and_go() -> None:
    now = [
        SeatedType(1, "Stalls", 4900, ((1, (1, 3)), (2, (1, 2, 3)), (9, (1, 2)))),
        SeatedType(3, "Standing", 100, ((1, (1,)),)),
    ]
    fitted = fit(plan(), now)
    assert set(fitted.seats()) == {
        (1, 1, 1),
        (1, 1, 3),
        *((1, 2, n) for n in (1, 2, 3)),
        (1, 9, 1),
        (1, 9, 2),
        (3, 1, 1),
    }
    assert [section.name for section in fitted.sections] == ["Stalls", "Stalls", "Standing"]
    assert len({section.section_id for section in fitted.sections}) == 3
    assert faults_of(fitted, PlanPaths()) == []
    kept = {(row.row_number, seat.seat_number): seat for row in fitted.sections[0].rows for seat in row.seats}
    before = {
        (row.row_number, seat.seat_number): seat
        for section in plan().sections
        if section.name == "Stalls"
        for row in section.rows
        for seat in row.seats
    }
    assert all(before[key] == seat for key, seat in kept.items())


def test_a_plan_has_the_seats_of_its_event() -> None:
    names = {1: "Stalls", 2: "Boxes"}
    seats = set(plan().seats())
    assert faults_of_seats(plan(), PlanPaths(), seats, names, may_add=False) == []
    (more,) = faults_of_seats(plan(), PlanPaths(), seats | {(2, 7, n) for n in range(20)}, names, may_add=True)
    assert (more.path, len(more.seats)) == ("$.sections", 20)
    assert more.message.endswith("row 7 seat 7 and 12 more")
    fewer = faults_of_seats(plan(), PlanPaths(), seats - {(1, 2, 3)}, names, may_add=False)
    assert [fault.message for fault in fewer] == ["Stalls has no row 2 seat 3 in this event"]
    assert faults_of_seats(plan(), PlanPaths(), seats - {(1, 2, 3)}, names, may_add=True) == []
    unknown = faults_of_seats(plan(), PlanPaths(), {(1, 1, 1)}, {1: "Stalls"}, may_add=True)
    assert unknown[0].message == "the event has no ticket type 2"
