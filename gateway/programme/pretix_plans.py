"""Reads seating plans in the JSON format that pretix and its editor write: zones, rows, seats, categories, areas.

A zone becomes a section, a category a ticket type of the same name, an area a shape; the one whose text says so becomes
the stage. Both versions of the format are read: the older one has no shapes but rectangles. What the format does not
have, such as accessible seats, the plan does not have either.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from db.plans.checking import CORNERS_MAX, SHAPES_MAX
from db.plans.model import SEAT_PITCH, SECTION_SEATS_MAX, Focus, FocusKind, PlanRow, PlanSeat, Point, Shape
from db.plans.outlines import middle_of
from db.texts import tidy
from gateway.programme.plan_drafts import MARGIN, LoosePlan, LooseSection, TicketTypes, seat_label
from gateway.programme.row_numbers import row_numbers, seat_numbers
from gateway.programme.standing import Exact, pitch_of, standing_order

PIXELS_APART: Final = 25.0
"""Between two seats where no row has two of them."""
ROUND_CORNERS: Final = 24
_FOCUS: Final[tuple[tuple[FocusKind, tuple[str, ...]], ...]] = (
    ("stage", ("stage", "bühne", "scène", "scene", "escenario", "podium", "ステージ", "المسرح")),
    ("screen", ("screen", "leinwand", "écran", "pantalla", "スクリーン", "الشاشة")),
    ("pitch", ("pitch", "field", "spielfeld", "terrain", "campo", "フィールド", "الملعب")),
)

_words: Final = re.compile(r"\w+").findall

Pixels = Annotated[float, Meta(ge=-1e6, le=1e6)]


class _Position(msgspec.Struct, frozen=True):
    x: Pixels
    y: Pixels


_ORIGIN: Final = _Position(0.0, 0.0)


class _Seat(msgspec.Struct):
    seat_number: str
    position: _Position
    category: str


class _Row(msgspec.Struct):
    row_number: str
    seats: list[_Seat]
    position: _Position = _ORIGIN


class _Polygon(msgspec.Struct):
    points: list[_Position]


class _Rectangle(msgspec.Struct):
    width: Pixels
    height: Pixels


class _Ellipse(msgspec.Struct):
    radius: _Position


class _Circle(msgspec.Struct):
    radius: Pixels


class _Text(msgspec.Struct):
    text: str
    position: _Position = _ORIGIN


class _Area(msgspec.Struct):
    position: _Position = _ORIGIN
    shape: str = "rectangle"
    rotation: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0
    width: Pixels = 0.0
    height: Pixels = 0.0
    polygon: _Polygon | None = None
    rectangle: _Rectangle | None = None
    ellipse: _Ellipse | None = None
    circle: _Circle | None = None
    text: _Text | str | None = None


class _Zone(msgspec.Struct):
    rows: list[_Row]
    position: _Position = _ORIGIN
    name: str = ""
    areas: list[_Area] = []


class _Category(msgspec.Struct):
    name: str


class PretixPlan(msgspec.Struct):
    """A plan of pretix as far as it is read; other fields are passed over."""

    name: str
    zones: list[_Zone]
    categories: list[_Category]


@dataclass(slots=True)
class _Part:
    """The seats of one row that are of one ticket type, with where they stand in the file."""

    zone: int
    row: int
    ticket_type_id: int
    name: str
    names: list[str] = field(default_factory=list)
    points: list[Exact] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)

    def put_in_order(self) -> None:
        """Put the seats into the order in which they stand, where the file has another."""
        order = standing_order(self.points)
        self.names = [self.names[index] for index in order]
        self.points = [self.points[index] for index in order]
        self.indices = [self.indices[index] for index in order]


class PretixPaths:
    """Where the parts of the plan stand in the file."""

    def __init__(self, sections: Sequence[Sequence[_Part]]) -> None:
        self._sections = sections

    def section(self, section: int) -> str:
        return f"$.zones[{self._sections[section][0].zone}]"

    def row(self, section: int, row: int) -> str:
        part = self._sections[section][row]
        return f"$.zones[{part.zone}].rows[{part.row}]"

    def seat(self, section: int, row: int, seat: int) -> str:
        return f"{self.row(section, row)}.seats[{self._sections[section][row].indices[seat]}]"


def read_pretix(content: PretixPlan, types: TicketTypes) -> LoosePlan:
    """A plan of pretix' format."""
    loose = LoosePlan(name=tidy(content.name)[:60])
    ids: dict[str, int] = {}
    used = {seat.category for zone in content.zones for row in zone.rows for seat in row.seats}
    for index, category in enumerate(content.categories):
        found = types.named(category.name) if category.name in used else None
        if found is not None:
            ids[category.name] = found
        elif category.name in used:
            loose.fault(f"$.categories[{index}].name", f"the event has no ticket type {category.name[:100]!r}")
    zones = [list(_parts(number, zone, ids, loose)) for number, zone in enumerate(content.zones)]
    if loose.faults:
        return loose
    everything = [part for parts in zones for part in parts]
    scale = SEAT_PITCH / (pitch_of(part.points for part in everything) or PIXELS_APART)
    areas = [(_placed(area, zone.position), _said(area)) for zone in content.zones for area in zone.areas]
    points = [point for part in everything for point in part.points]
    points += [point for corners, _ in areas for point in corners]
    left, top = min((x for x, _ in points), default=0.0), min((y for _, y in points), default=0.0)

    def place(point: Exact) -> Point:
        return round((point[0] - left) * scale) + MARGIN, round((point[1] - top) * scale) + MARGIN

    numbers = _numbers(everything)
    sections: list[list[_Part]] = []
    for zone, parts in zip(content.zones, zones, strict=True):
        cut = list(_cut(parts))
        for index, some in enumerate(cut, 1):
            name = tidy(zone.name) or f"Section {len(sections) + 1}"
            name = name if len(cut) == 1 else f"{name} {index}"
            loose.sections.append(LooseSection(name, [_plan_row(part, numbers[id(part)], place) for part in some]))
            sections.append(some)
    shapes = []
    for corners, text in areas:
        outline = tuple(place(corner) for corner in corners)
        kind = _focus_kind(text)
        if kind is not None and loose.focus is None and len(outline) >= 3:
            loose.focus = Focus(text, kind, outline, middle_of(outline))
        elif len(outline) >= 3 or text:
            shapes.append(Shape("polygon" if len(outline) >= 3 else "text", outline, text))
    if len(shapes) > SHAPES_MAX:
        loose.fault("$.zones", f"a plan has {SHAPES_MAX} areas at most, and this one {len(shapes)}")
    loose.shapes = tuple(shapes)
    loose.paths = PretixPaths(sections)
    return loose


def _parts(number: int, zone: _Zone, ids: dict[str, int], loose: LoosePlan) -> Iterator[_Part]:
    for index, row in enumerate(zone.rows):
        parts: dict[int, _Part] = {}
        for place, seat in enumerate(row.seats):
            ticket_type_id = ids.get(seat.category)
            if ticket_type_id is None:
                path = f"$.zones[{number}].rows[{index}].seats[{place}].category"
                loose.fault(path, f"there is no category {seat.category[:100]!r}")
                continue
            part = parts.setdefault(ticket_type_id, _Part(number, index, ticket_type_id, tidy(row.row_number)))
            part.names.append(tidy(seat.seat_number))
            part.points.append(
                (
                    zone.position.x + row.position.x + seat.position.x,
                    zone.position.y + row.position.y + seat.position.y,
                )
            )
            part.indices.append(place)
        for part in parts.values():
            part.put_in_order()
            yield part


def _numbers(parts: Sequence[_Part]) -> dict[int, tuple[int, list[int]]]:
    """The row number and the seat numbers of each part, by its identity."""
    by_type: dict[int, list[_Part]] = {}
    for part in parts:
        by_type.setdefault(part.ticket_type_id, []).append(part)
    found: dict[int, tuple[int, list[int]]] = {}
    for of_type in by_type.values():
        seats = [seat_numbers(part.names) for part in of_type]
        rows = row_numbers([part.name for part in of_type], seats)
        found |= {id(part): (row, numbers) for part, row, numbers in zip(of_type, rows, seats, strict=True)}
    return found


def _plan_row(part: _Part, numbers: tuple[int, list[int]], place: Callable[[Exact], Point]) -> PlanRow:
    row_number, seats = numbers
    return PlanRow(
        part.ticket_type_id,
        row_number,
        part.name or str(row_number),
        tuple(
            PlanSeat(number, *place(point), 0, seat_label(name, number))
            for number, name, point in zip(seats, part.names, part.points, strict=True)
        ),
    )


def _cut(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """The rows of a zone in sections that are not too large."""
    some: list[_Part] = []
    count = 0
    for part in parts:
        if some and count + len(part.names) > SECTION_SEATS_MAX:
            yield some
            some, count = [], 0
        some.append(part)
        count += len(part.names)
    if some:
        yield some


def _said(area: _Area) -> str:
    text = area.text.text if isinstance(area.text, _Text) else area.text or ""
    return tidy(" ".join(text.split()))[:60]


def _focus_kind(text: str) -> FocusKind | None:
    words = set(_words(text.lower()))
    return next((kind for kind, names in _FOCUS if not words.isdisjoint(names)), None)


def _placed(area: _Area, zone: _Position) -> list[Exact]:
    """The corners of an area, in pixels of the whole plan; one point of a text."""
    x, y = zone.x + area.position.x, zone.y + area.position.y
    turn = math.radians(area.rotation)
    cos, sin = math.cos(turn), math.sin(turn)
    return [(x + right * cos - down * sin, y + right * sin + down * cos) for right, down in _corners(area)]


def _corners(area: _Area) -> list[Exact]:
    match area.shape:
        case "polygon" if area.polygon is not None:
            return [(point.x, point.y) for point in area.polygon.points[:CORNERS_MAX]]
        case "circle" if area.circle is not None:
            return _round(area.circle.radius, area.circle.radius)
        case "ellipse" if area.ellipse is not None:
            return _round(area.ellipse.radius.x, area.ellipse.radius.y)
        case "text":
            at = area.text.position if isinstance(area.text, _Text) else _ORIGIN
            return [(at.x, at.y)]
    rectangle = area.rectangle or _Rectangle(area.width, area.height)
    width, height = rectangle.width, rectangle.height
    return [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]


def _round(across: float, down: float) -> list[Exact]:
    angles = (turn * math.tau / ROUND_CORNERS for turn in range(ROUND_CORNERS))
    return [(across * math.cos(angle), down * math.sin(angle)) for angle in angles]
