"""What is wrong with a plan that an operator gives: every fault with its path, `FAULTS_MAX` at most."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import msgspec

from db.plans.model import SECTION_SEATS_MAX, HallPlan, Outline, PlanRow, PlanSection, Point, Seat
from db.texts import fault_of_line, fault_of_name

FAULTS_MAX: Final = 100
SECTIONS_MAX: Final = 400
SHAPES_MAX: Final = 200
CORNERS_MAX: Final = 200
"""Of one outline."""
SIZE_MAX: Final = 100_000
"""The width and the height of a plan: ten thousand seats beside one another."""
NAME_CHARS_MAX: Final = 60
"""Of a plan, a section, a shape."""
LABEL_CHARS_MAX: Final = 20
"""Of a row or a seat."""
OUTLINE_BYTES_MAX: Final = 60_000
"""All that the overview holds beside counts and prices."""
SEATS_NAMED_MAX: Final = 8
"""In one sentence."""


@dataclass(frozen=True, slots=True)
class PlanFault:
    """What is wrong, where, and which of the event's seats it is about."""

    path: str
    message: str
    seats: tuple[Seat, ...] = ()


class Paths(Protocol):
    """Where the parts of a plan stand in what the operator sent."""

    def section(self, section: int) -> str: ...
    def row(self, section: int, row: int) -> str: ...
    def seat(self, section: int, row: int, seat: int) -> str: ...


class PlanPaths:
    """The paths of a plan in our own JSON."""

    def section(self, section: int) -> str:
        return f"$.sections[{section}]"

    def row(self, section: int, row: int) -> str:
        return f"$.sections[{section}].rows[{row}]"

    def seat(self, section: int, row: int, seat: int) -> str:
        return f"$.sections[{section}].rows[{row}].seats[{seat}]"


def faults_of(plan: HallPlan, paths: Paths) -> list[PlanFault]:
    """What is wrong with the plan by itself."""
    return list(islice(_Check(plan, paths).faults(), FAULTS_MAX))


def faults_of_seats(
    plan: HallPlan, paths: Paths, seats: Collection[Seat], names: Mapping[int, str], *, may_add: bool
) -> list[PlanFault]:
    """What is wrong with the plan for an event of these seats: it has exactly these.

    Args:
        names: of the event's ticket types, by their ids.
        may_add: the plan may have more seats, of ticket types that the event has.
    """
    return list(islice(_seat_faults(plan, paths, seats, names, may_add=may_add), FAULTS_MAX))


class _Check:
    def __init__(self, plan: HallPlan, paths: Paths) -> None:
        self._plan = plan
        self._paths = paths
        self._where: dict[Seat, str] = {}
        self._at: dict[Point, str] = {}

    def faults(self) -> Iterator[PlanFault]:
        plan = self._plan
        yield from _text_faults("$.name", plan.name)
        for name, length in (("width", plan.width), ("height", plan.height)):
            if not 1 <= length <= SIZE_MAX:
                yield PlanFault(f"$.{name}", f"the {name} would be {length}; it is {SIZE_MAX} at most")
        yield from _text_faults("$.focus.label", plan.focus.label)
        yield from self._outline_faults("$.focus.outline", plan.focus.outline)
        yield from self._point_faults("$.focus.at", plan.focus.at)
        if len(plan.shapes) > SHAPES_MAX:
            yield PlanFault("$.shapes", f"a plan has {SHAPES_MAX} shapes at most")
        for index, shape in enumerate(plan.shapes[:SHAPES_MAX]):
            path = f"$.shapes[{index}]"
            yield from _text_faults(f"{path}.label", shape.label)
            yield from self._outline_faults(f"{path}.outline", shape.outline, 1 if shape.kind == "text" else 3)
        if not 1 <= len(plan.sections) <= SECTIONS_MAX:
            yield PlanFault("$.sections", f"a plan has 1 to {SECTIONS_MAX} sections")
            return
        for number, section in enumerate(plan.sections):
            yield from self._section_faults(number, section)
        without = msgspec.structs.replace(
            plan, sections=tuple(msgspec.structs.replace(section, rows=()) for section in plan.sections)
        )
        size = len(msgspec.json.encode(without))
        if size > OUTLINE_BYTES_MAX:
            yield PlanFault(
                "$", f"outlines and names take {size} bytes, and {OUTLINE_BYTES_MAX} at most: use fewer corners"
            )

    def _section_faults(self, number: int, section: PlanSection) -> Iterator[PlanFault]:
        path = self._paths.section(number)
        message = fault_of_name(section.name, NAME_CHARS_MAX)
        if message is not None:
            yield PlanFault(f"{path}.name", message)
        yield from self._outline_faults(f"{path}.outline", section.outline)
        yield from self._point_faults(f"{path}.labelAt", section.label_at)
        if not 1 <= section.quantity <= SECTION_SEATS_MAX:
            yield PlanFault(path, f"a section has 1 to {SECTION_SEATS_MAX} seats, and this one {section.quantity}")
        for index, row in enumerate(section.rows):
            yield from self._row_faults(number, index, row)

    def _row_faults(self, section: int, index: int, row: PlanRow) -> Iterator[PlanFault]:
        path = self._paths.row(section, index)
        message = fault_of_name(row.label, LABEL_CHARS_MAX)
        if message is not None:
            yield PlanFault(f"{path}.label", message)
        if not row.seats:
            yield PlanFault(path, "a row has one seat at least")
        for number, seat in enumerate(row.seats):
            where = self._paths.seat(section, index, number)
            if seat.label and (message := fault_of_line(seat.label, LABEL_CHARS_MAX)) is not None:
                yield PlanFault(f"{where}.label", message)
            if not (0 <= seat.x <= self._plan.width and 0 <= seat.y <= self._plan.height):
                yield PlanFault(where, f"it stands at ({seat.x}, {seat.y}), outside of the plan")
            key = row.ticket_type_id, row.row_number, seat.seat_number
            if (other := self._where.setdefault(key, where)) != where:
                yield PlanFault(where, f"this seat stands at {other} already", (key,))
            elif (other := self._at.setdefault((seat.x, seat.y), where)) != where:
                yield PlanFault(where, f"the seat at {other} stands in the same place", (key,))

    def _outline_faults(self, path: str, outline: Outline, corners_min: int = 3) -> Iterator[PlanFault]:
        if not corners_min <= len(outline) <= CORNERS_MAX:
            yield PlanFault(path, f"an outline has {corners_min} to {CORNERS_MAX} corners")
        for index, point in enumerate(outline[:CORNERS_MAX]):
            yield from self._point_faults(f"{path}[{index}]", point)

    def _point_faults(self, path: str, point: Point) -> Iterator[PlanFault]:
        x, y = point
        if not (0 <= x <= self._plan.width and 0 <= y <= self._plan.height):
            yield PlanFault(
                path, f"({x}, {y}) is outside of the plan, which ends at {self._plan.width, self._plan.height}"
            )


def _text_faults(path: str, text: str) -> Iterator[PlanFault]:
    message = fault_of_line(text, NAME_CHARS_MAX)
    if message is not None:
        yield PlanFault(path, message)


def _seat_faults(
    plan: HallPlan, paths: Paths, seats: Collection[Seat], names: Mapping[int, str], *, may_add: bool
) -> Iterator[PlanFault]:
    known = set(seats)
    seen: set[Seat] = set()
    for number, section in enumerate(plan.sections):
        for index, row in enumerate(section.rows):
            name = names.get(row.ticket_type_id)
            if name is None:
                yield PlanFault(paths.row(number, index), f"the event has no ticket type {row.ticket_type_id}")
                continue
            for place, seat in enumerate(row.seats):
                key = row.ticket_type_id, row.row_number, seat.seat_number
                seen.add(key)
                if key not in known and not may_add:
                    message = f"{name} has no row {row.row_number} seat {seat.seat_number} in this event"
                    yield PlanFault(paths.seat(number, index, place), message, (key,))
    missing: dict[int, list[Seat]] = {}
    for key in sorted(known - seen):
        missing.setdefault(key[0], []).append(key)
    for ticket_type_id, keys in missing.items():
        said = ", ".join(f"row {row} seat {seat}" for _, row, seat in keys[:SEATS_NAMED_MAX])
        more = f" and {len(keys) - SEATS_NAMED_MAX} more" if len(keys) > SEATS_NAMED_MAX else ""
        yield PlanFault("$.sections", f"the plan lacks seats of {names[ticket_type_id]}: {said}{more}", tuple(keys))
