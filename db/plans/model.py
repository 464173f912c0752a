"""A hall plan: sections with outlines, rows with labels, seats with positions, and what stands around them.

A seat's key within its event stays (ticket type, row number, seat number); the plan says where it stands and what it is
called. Lengths are whole numbers in tenths of a seat's pitch: 10 is the distance between two neighbouring seats. ``y``
grows downwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntFlag
from typing import Final, Literal

import msgspec

SEAT_PITCH: Final = 10
ROW_PITCH: Final = 12
"""Between two rows of a generated plan."""
SECTION_SEATS_MAX: Final = 4_000
COORDINATE_MAX: Final = 10_000_000

Point = tuple[int, int]
"""(x, y)."""

Outline = tuple[Point, ...]
"""The corners of a polygon; the last is joined to the first."""

Seat = tuple[int, int, int]
"""(ticket_type_id, row_number, seat_number)."""

FocusKind = Literal["stage", "pitch", "screen"]
ShapeKind = Literal["polygon", "text"]


class SeatFlag(IntFlag):
    """What is particular about a seat. Several may be true of one."""

    ACCESSIBLE = 1
    COMPANION = 2
    AISLE = 4
    RESTRICTED_VIEW = 8


class PlanSeat(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A seat's place in its row. ``label`` is empty where the seat's number is what it is called."""

    seat_number: int
    x: int
    y: int
    flags: int = 0
    label: str = ""


class PlanRow(msgspec.Struct, frozen=True, array_like=True):
    """A row, with its seats in the order in which they stand beside one another."""

    ticket_type_id: int
    row_number: int
    label: str
    seats: tuple[PlanSeat, ...]


class PlanSection(msgspec.Struct, frozen=True):
    """A part of the hall. The rows stand in order, the nearest to the stage first."""

    section_id: int
    name: str
    outline: Outline
    label_at: Point
    rows: tuple[PlanRow, ...]

    @property
    def quantity(self) -> int:
        return sum(len(row.seats) for row in self.rows)


class Focus(msgspec.Struct, frozen=True):
    """What the fans look at; ``at`` is where its label stands and where distances are measured from."""

    label: str
    kind: FocusKind
    outline: Outline
    at: Point


class Shape(msgspec.Struct, frozen=True):
    """Scenery. A ``text`` has one point as its outline, where its label stands."""

    kind: ShapeKind
    outline: Outline
    label: str = ""


class Picture(msgspec.Struct, frozen=True):
    """A picture behind the seats, with its upper left corner at ``at``. ``href`` is the address of an uploaded one."""

    href: str
    at: Point
    size: Point

    @property
    def hash(self) -> str:
        """Of the picture, which is its name in `db.pictures`."""
        return self.href.removeprefix("/pictures/")[:32]


class HallPlan(msgspec.Struct, frozen=True):
    """A whole plan. Every coordinate is from 0 to ``width`` or ``height``; ``name`` may be empty."""

    name: str
    width: int
    height: int
    focus: Focus
    shapes: tuple[Shape, ...]
    picture: Picture | None
    sections: tuple[PlanSection, ...]

    def seats(self) -> Iterator[Seat]:
        """The key of every seat."""
        for section in self.sections:
            for row in section.rows:
                for seat in row.seats:
                    yield row.ticket_type_id, row.row_number, seat.seat_number
