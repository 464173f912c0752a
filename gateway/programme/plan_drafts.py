"""From a hall plan as an operator gives it to the plan that is stored, and back to what an operator looks at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import msgspec

from db.plans.checking import FAULTS_MAX, SIZE_MAX, Paths, PlanFault, PlanPaths, faults_of
from db.plans.model import (
    Focus,
    HallPlan,
    Outline,
    Picture,
    PlanRow,
    PlanSeat,
    PlanSection,
    Point,
    SeatFlag,
    Shape,
)
from db.plans.outlines import middle_of, outline_around
from db.texts import alike, tidy
from gateway.contract.plans import (
    Attribute,
    PlanBody,
    PlanDocument,
    PlanDocumentRow,
    PlanDocumentSeat,
    PlanDocumentSection,
    PlanDrawing,
    PlanDrawingSection,
    PlanFocus,
    PlanPicture,
    PlanRowBody,
    PlanShape,
)
from gateway.contract.plans import PlanRow as PlanRowAnswer
from gateway.contract.values import Fault, SeatAnswer

MARGIN: Final = 40
"""Behind the last seat of a plan that does not say where it ends."""
STAGE_DEPTH: Final = 60
STAGE_AWAY: Final = 20
"""From the stage to the nearest section."""
STAGE_SPACE: Final = 120
"""From the top to the first seat where a plan has no stage of its own."""
SEATS_SAID_MAX: Final = 100

FLAGS: Final[Mapping[Attribute, SeatFlag]] = dict(zip(get_args(Attribute), SeatFlag, strict=True))
"""The attributes of a seat by their names, in the order of the flags."""


class TicketTypes:
    """The ticket types that a plan may name.

    Args:
        names: by their ids.
        prices: by their ids, where they are known.
        grows: a name that is not known becomes a ticket type: for the plan of an event that is yet to be made.
    """

    def __init__(
        self, names: Mapping[int, str], prices: Mapping[int, int] | None = None, *, grows: bool = False
    ) -> None:
        self.names = dict(names)
        self.prices = prices or {}
        self._ids = {alike(name): id_ for id_, name in names.items()}
        self.grows = grows

    def named(self, name: str) -> int | None:
        """The id of the ticket type with this name."""
        key = alike(name)
        if self.grows and key and key not in self._ids:
            self._ids[key] = number = len(self.names) + 1
            self.names[number] = tidy(name)
        return self._ids.get(key)


@dataclass(slots=True)
class LooseSection:
    """A section of which some things are still to be made: an outline, the place of its label."""

    name: str
    rows: list[PlanRow]
    outline: Outline = ()
    label_at: Point | None = None


@dataclass(slots=True)
class LoosePlan:
    """A plan as it was read, with what was wrong with it on the way."""

    name: str = ""
    width: int | None = None
    height: int | None = None
    focus: Focus | None = None
    shapes: tuple[Shape, ...] = ()
    picture: Picture | None = None
    sections: list[LooseSection] = field(default_factory=list)
    faults: list[PlanFault] = field(default_factory=list)
    paths: Paths = field(default_factory=PlanPaths)

    def fault(self, path: str, message: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(PlanFault(path, message))


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A plan as it would be stored, or what is wrong with it; None where there is none."""

    plan: HallPlan | None
    faults: tuple[PlanFault, ...]
    paths: Paths


def draft(loose: LoosePlan) -> PlanDraft:
    """The plan that was read, completed and checked."""
    if loose.faults:
        return PlanDraft(None, tuple(loose.faults), loose.paths)
    plan = completed(loose)
    faults = tuple(faults_of(plan, loose.paths))
    return PlanDraft(None if faults else plan, faults, loose.paths)


def read_body(body: PlanBody, types: TicketTypes) -> LoosePlan:
    """A plan of our own JSON."""
    loose = LoosePlan(name=tidy(body.name), width=body.width, height=body.height)
    if body.focus is not None:
        outline = body.focus.outline
        at = body.focus.at or middle_of(outline)
        loose.focus = Focus(tidy(body.focus.label), body.focus.kind, outline, at)
    loose.shapes = tuple(Shape(shape.kind, shape.outline, tidy(shape.label)) for shape in body.shapes)
    if body.picture is not None:
        loose.picture = Picture(body.picture.href, body.picture.at, body.picture.size)
    for number, section in enumerate(body.sections):
        rows = []
        for index, row in enumerate(section.rows):
            ticket_type_id = _type_of(row, types, loose, PlanPaths().row(number, index))
            if ticket_type_id is not None:
                rows.append(
                    PlanRow(ticket_type_id, row.row_number, tidy(row.label) or str(row.row_number), _seats(row))
                )
        loose.sections.append(LooseSection(tidy(section.name), rows, section.outline, section.label_at))
    return loose


def _type_of(row: PlanRowBody, types: TicketTypes, loose: LoosePlan, path: str) -> int | None:
    if (row.ticket_type_id is None) == (row.ticket_type == ""):
        loose.fault(path, "a row names its ticket type either by ticketTypeId or by ticketType")
        return None
    if row.ticket_type_id is not None:
        if types.grows:
            loose.fault(f"{path}.ticketTypeId", "a plan that is read for no event names its ticket types by ticketType")
            return None
        return row.ticket_type_id
    found = types.named(row.ticket_type)
    if found is None:
        loose.fault(f"{path}.ticketType", f"the event has no ticket type {row.ticket_type!r}")
    return found


def _seats(row: PlanRowBody) -> tuple[PlanSeat, ...]:
    return tuple(
        PlanSeat(
            seat.seat_number,
            seat.x,
            seat.y,
            flags_of(seat.attributes),
            seat_label(seat.label, seat.seat_number),
        )
        for seat in row.seats
    )


def flags_of(attributes: Iterable[Attribute]) -> int:
    """The sum of the attributes' flags."""
    flags = 0
    for attribute in attributes:
        flags |= FLAGS[attribute]
    return int(flags)


def seat_label(label: str, seat_number: int) -> str:
    """The label as it is stored: empty where it is the seat's number."""
    label = tidy(label)
    return "" if label == str(seat_number) else label


def completed(loose: LoosePlan) -> HallPlan:
    """The plan with outlines, labels' places, size and stage where none were given."""
    rows = [row for section in loose.sections for row in section.rows]
    seats = [seat for row in rows for seat in row.seats]
    down = 0
    if loose.focus is None:
        tops = [*(seat.y for seat in seats), *(y for section in loose.sections for _, y in section.outline)]
        down = max(0, STAGE_SPACE - min(tops, default=0))
    sections = tuple(_completed(number, section, down, loose) for number, section in enumerate(loose.sections, 1))
    shapes = tuple(msgspec.structs.replace(shape, outline=_lower(shape.outline, down)) for shape in loose.shapes)
    picture = loose.picture
    if picture is not None:
        picture = msgspec.structs.replace(picture, at=(picture.at[0], picture.at[1] + down))
    points = [
        *((seat.x, seat.y + down) for seat in seats),
        *(point for section in sections for point in section.outline),
        *(point for shape in shapes for point in shape.outline),
        *(loose.focus.outline if loose.focus is not None else ()),
    ]
    width = loose.width or max((x for x, _ in points), default=0) + MARGIN
    height = loose.height or max((y for _, y in points), default=0) + MARGIN
    return HallPlan(
        name=loose.name,
        width=width,
        height=height + (down if loose.height else 0),
        focus=loose.focus or _stage(sections),
        shapes=shapes,
        picture=picture,
        sections=sections,
    )


def _completed(number: int, section: LooseSection, down: int, loose: LoosePlan) -> PlanSection:
    rows = tuple(_lowered(row, down) for row in section.rows)
    outline = _lower(section.outline, down)
    if not outline and any(row.seats for row in rows):
        around = outline_around((seat.x, seat.y) for row in rows for seat in row.seats)
        right, bottom = loose.width or SIZE_MAX, (loose.height or SIZE_MAX) + down
        outline = tuple((min(max(0, x), right), min(max(0, y), bottom)) for x, y in around)
    label_at = section.label_at
    if label_at is not None:
        label_at = (label_at[0], label_at[1] + down)
    elif outline:
        label_at = middle_of(outline)
    return PlanSection(number, section.name, outline, label_at or (0, 0), rows)


def _lowered(row: PlanRow, down: int) -> PlanRow:
    if not down:
        return row
    seats = tuple(PlanSeat(seat.seat_number, seat.x, seat.y + down, seat.flags, seat.label) for seat in row.seats)
    return PlanRow(row.ticket_type_id, row.row_number, row.label, seats)


def _lower(outline: Outline, down: int) -> Outline:
    return tuple((x, y + down) for x, y in outline)


def _stage(sections: Sequence[PlanSection]) -> Focus:
    """A stage in the middle above the sections, nearly half as wide as they are."""
    points = [point for section in sections for point in section.outline] or [(0, STAGE_SPACE)]
    begin, end = min(x for x, _ in points), max(x for x, _ in points)
    bottom = min(y for _, y in points) - STAGE_AWAY
    top = bottom - STAGE_DEPTH
    left, right = begin + (end - begin) * 3 // 10, end - (end - begin) * 3 // 10
    outline = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Focus("Stage", "stage", outline, ((left + right) // 2, (top + bottom) // 2))


def contract_faults(faults: Iterable[PlanFault]) -> tuple[Fault, ...]:
    """The faults as the API tells them. A path of the form ``line 7`` is a line of a CSV."""
    return tuple(_contract_fault(fault) for fault in faults)


_line: Final = re.compile("line ([0-9]+)").match


def _contract_fault(fault: PlanFault) -> Fault:
    line: Any = msgspec.UNSET
    path = fault.path
    if (of_csv := _line(path)) is not None:
        path, line = "$", int(of_csv[1])
    seats: Any = msgspec.UNSET
    if fault.seats:
        seats = tuple(
            SeatAnswer(ticket_type_id=one, row_number=row, seat_number=seat)
            for one, row, seat in fault.seats[:SEATS_SAID_MAX]
        )
    return Fault(path=path, message=fault.message, code="plan_invalid", line=line, seats=seats)


def drawing(plan: HallPlan) -> PlanDrawing:
    """The plan as an operator looks at it."""
    return PlanDrawing(
        **_around(plan),
        sections=tuple(
            PlanDrawingSection(
                section_id=section.section_id,
                name=section.name,
                outline=section.outline,
                label_at=section.label_at,
                rows=tuple(
                    PlanRowAnswer(
                        ticket_type_id=row.ticket_type_id,
                        row_number=row.row_number,
                        label=row.label,
                        seats=tuple((seat.seat_number, seat.x, seat.y, seat.flags) for seat in row.seats),
                    )
                    for row in section.rows
                ),
            )
            for section in plan.sections
        ),
    )


def document(plan: HallPlan, name_of: Callable[[int], str] | None = None) -> PlanDocument:
    """The plan in our own JSON. Rows name their ticket types by id, or with ``name_of`` by name."""
    return PlanDocument(
        **_around(plan),
        sections=tuple(
            PlanDocumentSection(
                name=section.name,
                outline=section.outline,
                label_at=section.label_at,
                rows=tuple(
                    PlanDocumentRow(
                        ticket_type_id=None if name_of else row.ticket_type_id,
                        ticket_type=name_of(row.ticket_type_id) if name_of else "",
                        row_number=row.row_number,
                        label=row.label,
                        seats=tuple(_document_seat(seat) for seat in row.seats),
                    )
                    for row in section.rows
                ),
            )
            for section in plan.sections
        ),
    )


def _document_seat(seat: PlanSeat) -> PlanDocumentSeat:
    attributes = tuple(name for name, flag in FLAGS.items() if seat.flags & flag)
    return PlanDocumentSeat(seat_number=seat.seat_number, x=seat.x, y=seat.y, label=seat.label, attributes=attributes)


def _around(plan: HallPlan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "width": plan.width,
        "height": plan.height,
        "focus": PlanFocus(**msgspec.structs.asdict(plan.focus)),
        "shapes": tuple(PlanShape(**msgspec.structs.asdict(shape)) for shape in plan.shapes),
        "picture": None if plan.picture is None else PlanPicture(**msgspec.structs.asdict(plan.picture)),
    }
