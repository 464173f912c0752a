"""The plan of an event for which none was given, made of its ticket types, rows and seat numbers alone.

An ordinary hall is a theatre: rows curved around a stage, the dearest ticket type in front. A large one is a stadium:
sections in rings around a pitch, in the order of the ticket types. The same seats always give the same plan, because
every gateway makes it for itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from db.plans.model import (
    ROW_PITCH,
    SEAT_PITCH,
    SECTION_SEATS_MAX,
    Focus,
    HallPlan,
    Outline,
    PlanRow,
    PlanSeat,
    PlanSection,
    Point,
)

STADIUM_SEATS_MIN: Final = 20_000
"""A hall of so many seats is drawn as a stadium."""
STANDS_MIN: Final = 4
TIERS_MAX: Final = 4
TYPES_APART_MAX: Final = 200
"""With more ticket types than these, small ones share a section: an overview stays small."""

_PAD: Final = 8.0
"""From the middle of an outermost seat to its section's outline."""
_MARGIN: Final = 40
_ROWS_APART: Final = 4 * ROW_PITCH
"""From the last row of a section to the first row of the one behind it."""
_SECTIONS_APART: Final = 40.0
"""Along a ring."""
_CURVE: Final = 1.2
"""The radius of a theatre's first row, in lengths of its longest row."""
_RADIUS_MIN: Final = 300.0
_STAGE_DEPTH: Final = 60
_PITCH: Final = (1050.0, 680.0)
_ARC_POINTS_MAX: Final = 24
_SIDE_POINTS: Final = 3
_SAGITTA: Final = 3.0
_LEFT_TO_RIGHT: Final = -1
"""Below the centre of a curve, what is drawn from left to right turns anticlockwise."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of one ticket type, with its seat numbers in order."""

    ticket_type_id: int
    row_number: int
    seat_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SeatedType:
    """A ticket type as a plan is made of it. ``rows`` are (row_number, seat_numbers), both in order."""

    ticket_type_id: int
    name: str
    price: int
    rows: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def quantity(self) -> int:
        return sum(len(seats) for _, seats in self.rows)


@dataclass(frozen=True, slots=True)
class _Block:
    """The rows of one section that is to be placed."""

    name: str
    rows: tuple[Row, ...]

    @property
    def length(self) -> int:
        return max(len(row.seat_numbers) for row in self.rows) * SEAT_PITCH

    @property
    def depth(self) -> int:
        return (len(self.rows) - 1) * ROW_PITCH


def generate(types: Iterable[SeatedType], *, stadium_seats_min: int = STADIUM_SEATS_MIN) -> HallPlan:
    """The plan of an event with these ticket types; those without seats are left out."""
    seated = [one for one in types if one.rows]
    if not seated:
        return _plan([], Focus("Stage", "stage", ((0, 0), (200, 0), (200, _STAGE_DEPTH), (0, _STAGE_DEPTH)), (100, 30)))
    if sum(one.quantity for one in seated) >= stadium_seats_min:
        return _stadium(seated)
    return _theatre(seated)


def blocks_below(types: Iterable[SeatedType], left: int, top: int, first_id: int) -> list[PlanSection]:
    """Sections of straight rows, one below the other from (left, top) on: for seats that a given plan does not have."""
    sections: list[PlanSection] = []
    y = top
    for block in _blocks(sorted((one for one in types if one.rows), key=lambda one: one.ticket_type_id)):
        rows = tuple(
            _placed(row, [(left + index * SEAT_PITCH, y + line * ROW_PITCH) for index in range(len(row.seat_numbers))])
            for line, row in enumerate(block.rows)
        )
        pad = math.ceil(_PAD)
        right, bottom = left + block.length - SEAT_PITCH + pad, y + block.depth + pad
        outline = ((left - pad, y - pad), (right, y - pad), (right, bottom), (left - pad, bottom))
        middle = ((left + right) // 2, y + block.depth // 2)
        sections.append(PlanSection(first_id + len(sections), block.name, outline, middle, rows))
        y += block.depth + _ROWS_APART
    return sections


def _theatre(types: Sequence[SeatedType]) -> HallPlan:
    blocks = _blocks(_from_the_stage(types))
    longest = max(block.length for block in blocks)
    radius = first_radius = max(_RADIUS_MIN, longest * _CURVE)
    sections = []
    for number, block in enumerate(blocks, 1):
        sections.append(_arc_section(number, block, radius, math.pi, _LEFT_TO_RIGHT))
        radius += block.depth + _ROWS_APART
    half = min(longest / 2, first_radius * 0.4)
    front = round(first_radius * math.cos(min(1.0, longest / 2 / first_radius))) - 2 * ROW_PITCH
    back = front - _STAGE_DEPTH
    outline = (
        (round(-half), back), (round(half), back), (round(half * 0.8), front), (round(-half * 0.8), front),
    )  # fmt: skip
    return _plan(sections, Focus("Stage", "stage", outline, (0, (front + back) // 2)))


def _from_the_stage(types: Sequence[SeatedType]) -> list[SeatedType]:
    """Ticket types from the stage on: by their row numbers where these go on from one type to the next, else by price,
    the dearest first.
    """
    by_rows = sorted(types, key=lambda one: (one.rows[0][0], one.ticket_type_id))
    if all(one.rows[-1][0] < next_.rows[0][0] for one, next_ in pairwise(by_rows)):
        return by_rows
    return sorted(types, key=lambda one: (-one.price, one.ticket_type_id))


def _stadium(types: Sequence[SeatedType]) -> HallPlan:
    stands = [[_blocks([tier]) for tier in stand] for stand in _stands(types)]
    lengths = [max(sum(block.length + _SECTIONS_APART for block in tier) for tier in stand) for stand in stands]
    half_width, half_height = _PITCH
    around = sum(lengths)
    radius = max(around / math.tau, math.hypot(half_width, half_height) + 20 * SEAT_PITCH)
    scale = (radius - 20 * SEAT_PITCH) / math.hypot(half_width, half_height)
    scale = min(scale, 2.0)
    sections: list[PlanSection] = []
    for tier_number in range(max(map(len, stands))):
        depth = 0
        # The first stand stands at the top, and the others follow clockwise.
        begin = -lengths[0] / around * math.pi
        for stand, length in zip(stands, lengths, strict=True):
            angle = length / around * math.tau
            if tier_number < len(stand):
                tier = stand[tier_number]
                share = angle / len(tier)
                for index, block in enumerate(tier):
                    middle = begin + (index + 0.5) * share
                    sections.append(_arc_section(len(sections) + 1, block, radius, middle))
                    depth = max(depth, block.depth)
            begin += angle
        radius += depth + 2 * _ROWS_APART
    x, y = round(half_width * scale), round(half_height * scale)
    return _plan(sections, Focus("Pitch", "pitch", ((-x, -y), (x, -y), (x, y), (-x, y)), (0, 0)))


def _stands(types: Sequence[SeatedType]) -> list[list[SeatedType]]:
    """The ticket types of each stand, the tier nearest to the pitch first, in the order of their ids.

    Ticket types that are named "North Lower", "North Upper", "East Lower", … are tiers of stands, if every stand has
    the same tiers. Else each ticket type is a stand of its own.
    """
    ordered = sorted(types, key=lambda one: one.ticket_type_id)
    stands: dict[str, dict[str, SeatedType]] = {}
    for one in ordered:
        stand, _, tier = one.name.partition(" ")
        stands.setdefault(stand, {})[tier] = one
    tiers = list(next(iter(stands.values())))
    named = sum(map(len, stands.values())) == len(ordered) and all(list(stand) == tiers for stand in stands.values())
    if named and len(stands) >= STANDS_MIN and 2 <= len(tiers) <= TIERS_MAX:
        return [list(stand.values()) for stand in stands.values()]
    return [[one] for one in ordered]


def _blocks(types: Sequence[SeatedType]) -> list[_Block]:
    """The sections of these ticket types, in order: large types are cut between rows, and a row only if it is too long
    for a section by itself.
    """
    if len(types) > TYPES_APART_MAX:
        return list(_shared_blocks(types))
    blocks = []
    for one in types:
        parts = list(_parts(_rows(one), SECTION_SEATS_MAX))
        for number, part in enumerate(parts, 1):
            blocks.append(_Block(one.name if len(parts) == 1 else f"{one.name} {number}", part))
    return blocks


def _shared_blocks(types: Sequence[SeatedType]) -> Iterator[_Block]:
    names = {one.ticket_type_id: one.name for one in types}
    for part in _parts((row for one in types for row in _rows(one)), SECTION_SEATS_MAX, even=False):
        first, last = names[part[0].ticket_type_id], names[part[-1].ticket_type_id]
        yield _Block(first if first == last else f"{first} – {last}", part)


def _rows(one: SeatedType) -> list[Row]:
    return [
        Row(one.ticket_type_id, row_number, seats[begin : begin + SECTION_SEATS_MAX])
        for row_number, seats in one.rows
        for begin in range(0, len(seats), SECTION_SEATS_MAX)
    ]


def _parts(rows: Iterable[Row], seats_max: int, *, even: bool = True) -> Iterator[tuple[Row, ...]]:
    """The rows in parts of at most ``seats_max`` seats, of about the same size if they are ``even``."""
    rows = list(rows)
    total = sum(len(row.seat_numbers) for row in rows)
    wanted = total / math.ceil(total / seats_max) if even else float(seats_max)
    part: list[Row] = []
    parts = count = before = 0
    for row in rows:
        quantity = len(row.seat_numbers)
        is_enough = even and before + count + quantity / 2 > wanted * (parts + 1)
        if part and (count + quantity > seats_max or is_enough):
            yield tuple(part)
            part, parts, count, before = [], parts + 1, 0, before + count
        part.append(row)
        count += quantity
    yield tuple(part)


def _arc_section(section_id: int, block: _Block, radius: float, middle: float, turn: int = 1) -> PlanSection:
    """A section of rows curved around (0, 0), the first at ``radius``; ``middle`` is the angle, clockwise from the top,
    that it lies at. Its seats are counted clockwise, or with a ``turn`` of -1 anticlockwise.
    """
    rows = []
    for index, row in enumerate(block.rows):
        at = radius + index * ROW_PITCH
        # A chord between neighbours is a little shorter than its arc, which matters where the row is tightly curved.
        step = 2 * math.asin(min(1.0, SEAT_PITCH / 2 / at)) * turn
        first = middle - (len(row.seat_numbers) - 1) / 2 * step
        rows.append(_placed(row, [_at(at, first + number * step) for number in range(len(row.seat_numbers))]))
    outline = _arc_outline(radius, radius + block.depth, block.length / 2, middle)
    return PlanSection(section_id, block.name, outline, _at(radius + block.depth / 2, middle), tuple(rows))


def _placed(row: Row, points: Sequence[Point]) -> PlanRow:
    seats = tuple(PlanSeat(number, x, y) for number, (x, y) in zip(row.seat_numbers, points, strict=True))
    return PlanRow(row.ticket_type_id, row.row_number, str(row.row_number), seats)


def _at(radius: float, angle: float) -> Point:
    return round(radius * math.sin(angle)), round(-radius * math.cos(angle))


def _arc_outline(inner: float, outer: float, half_length: float, middle: float) -> Outline:
    """A polygon around rows between two radii, which reach ``half_length`` to both sides of ``middle``."""
    inner, outer = inner - _PAD, outer + _PAD
    half = half_length + _PAD

    def half_angle(radius: float) -> float:
        return min(math.pi * 0.98, half / radius)

    widest = 2 * half_angle(outer)
    chords = min(_ARC_POINTS_MAX, max(1, math.ceil(widest / (2 * math.acos(1 - min(1.0, _SAGITTA / outer))))))
    # The outer corners lie a little further out, so that the chords between them do not cut through the last row.
    beyond = outer / math.cos(min(1.2, widest / chords / 2))
    far = half_angle(outer)
    corners = [(beyond, middle - far + 2 * far * number / chords) for number in range(chords + 1)]
    sides = [outer - (outer - inner) * number / (_SIDE_POINTS + 1) for number in range(1, _SIDE_POINTS + 1)]
    if outer - inner <= 10 * ROW_PITCH:
        sides = []
    corners += [(radius, middle + half_angle(radius)) for radius in sides]
    near = half_angle(inner)
    corners += [(inner, middle + near - 2 * near * number / chords) for number in range(chords + 1)]
    corners += [(radius, middle - half_angle(radius)) for radius in reversed(sides)]
    return tuple(_at(*corner) for corner in corners)


def _plan(sections: Sequence[PlanSection], focus: Focus) -> HallPlan:
    """The plan moved so that its upper left corner is at (0, 0), with a margin."""
    outlines = [focus.outline, *(section.outline for section in sections)]
    xs = [x for outline in outlines for x, _ in outline]
    ys = [y for outline in outlines for _, y in outline]
    left, top = min(xs) - _MARGIN, min(ys) - _MARGIN
    return HallPlan(
        name="",
        width=max(xs) - left + _MARGIN,
        height=max(ys) - top + _MARGIN,
        focus=Focus(focus.label, focus.kind, _moved(focus.outline, left, top), (focus.at[0] - left, focus.at[1] - top)),
        shapes=(),
        picture=None,
        sections=tuple(
            PlanSection(
                section.section_id,
                section.name,
                _moved(section.outline, left, top),
                (section.label_at[0] - left, section.label_at[1] - top),
                tuple(
                    PlanRow(
                        row.ticket_type_id,
                        row.row_number,
                        row.label,
                        tuple(PlanSeat(seat.seat_number, seat.x - left, seat.y - top) for seat in row.seats),
                    )
                    for row in section.rows
                ),
            )
            for section in sections
        ),
    )


def _moved(outline: Outline, left: int, top: int) -> Outline:
    return tuple((x - left, y - top) for x, y in outline)
