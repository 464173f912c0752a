"""Answers about hall plans, and plans as operators give them.

Lengths are whole numbers in tenths of a seat's pitch; ``y`` grows downwards.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from db.plans.checking import CORNERS_MAX, LABEL_CHARS_MAX, NAME_CHARS_MAX, SECTIONS_MAX, SHAPES_MAX, SIZE_MAX
from db.plans.model import SECTION_SEATS_MAX
from db.texts import END, ONE_LINE
from gateway.contract.values import AnswerBody, Fault, HallInt, RequestBody, Revision, TicketTypeId, Why

Point = tuple[int, int]

Coordinate = Annotated[int, Meta(ge=0, le=SIZE_MAX)]
Place = tuple[Coordinate, Coordinate]
Corners = Annotated[tuple[Place, ...], Meta(max_length=CORNERS_MAX)]
Name = Annotated[str, Meta(max_length=NAME_CHARS_MAX, pattern=ONE_LINE)]
Label = Annotated[str, Meta(max_length=LABEL_CHARS_MAX, pattern=ONE_LINE)]
TypeName = Annotated[str, Meta(max_length=100, pattern=ONE_LINE)]
Attribute = Literal["accessible", "companion", "aisle", "restrictedView"]
PICTURE = r"^/pictures/[0-9a-f]{32}(-small)?\.webp" + END


class PlanFocus(AnswerBody, kw_only=True):
    """What the fans look at. ``at`` is where its label stands, and where distances are measured from."""

    label: str
    kind: Literal["stage", "pitch", "screen"]
    outline: tuple[Point, ...]
    at: Point


class PlanShape(AnswerBody, kw_only=True):
    """Scenery. A ``text`` has one point as its outline, where its label stands."""

    kind: Literal["polygon", "text"]
    outline: tuple[Point, ...]
    label: str


class PlanPicture(AnswerBody, kw_only=True):
    """A picture behind the seats, with its upper left corner at ``at``."""

    href: str
    at: Point
    size: Point


class PlanSectionSummary(AnswerBody, kw_only=True):
    """A section as the overview shows it. ``rows`` are the labels of its first and its last row; ``accessible`` counts
    its wheelchair spaces, free or not; ``href`` has its seats.
    """

    section_id: int
    name: str
    outline: tuple[Point, ...]
    label_at: Point
    ticket_type_ids: tuple[int, ...]
    price_min: int
    price_max: int
    seats: int
    free: int
    accessible: int
    rows: tuple[str, str]
    href: str


class PlanFrame(AnswerBody, kw_only=True):
    """What a plan shows besides its sections."""

    name: str
    width: int
    height: int
    focus: PlanFocus
    shapes: tuple[PlanShape, ...]
    picture: PlanPicture | None


class PlanOverview(PlanFrame, kw_only=True):
    """An event's hall plan without its seats. ``planVersion`` changes with positions, labels, attributes and seats, and
    not with bookings; ``version`` is that of the ``free`` counts. A plan that is generated was not given by the venue.
    """

    event_id: int
    plan_version: str
    version: int
    is_generated: bool
    sections: tuple[PlanSectionSummary, ...]


class PlanRow(AnswerBody, kw_only=True):
    """A row with its seats in the order in which they stand: ``[seatNumber, x, y, flags]``, and the seat's label where
    it is not its number. Seats that follow one another are neighbours unless they are more than 15 apart. The flags
    are a sum: 1 accessible, 2 companion, 4 on an aisle, 8 restricted view.
    """

    ticket_type_id: int
    row_number: int
    label: str
    seats: tuple[tuple[int | str, ...], ...]


class PlanSectionSeats(AnswerBody, kw_only=True):
    section_id: int
    rows: tuple[PlanRow, ...]


class PlanDrawingSection(AnswerBody, kw_only=True):
    section_id: int
    name: str
    outline: tuple[Point, ...]
    label_at: Point
    rows: tuple[PlanRow, ...]


class PlanDrawing(PlanFrame, kw_only=True):
    """A plan with its seats, to be looked at before it is saved."""

    sections: tuple[PlanDrawingSection, ...]


class PlanSeatBody(RequestBody, kw_only=True):
    """A seat by its number in the row. Its ``label`` is what it is called, where that is not its number."""

    seat_number: HallInt
    x: Coordinate
    y: Coordinate
    label: Label = ""
    attributes: Annotated[tuple[Attribute, ...], Meta(max_length=4)] = ()


class PlanRowBody(RequestBody, kw_only=True):
    """A row of one ticket type, which is named by its id or by its name, with the seats in the order in which they
    stand beside one another. Its ``label`` is what it is called, where that is not its number.
    """

    ticket_type_id: TicketTypeId | None = None
    ticket_type: TypeName = ""
    row_number: HallInt
    label: Label = ""
    seats: Annotated[tuple[PlanSeatBody, ...], Meta(min_length=1, max_length=SECTION_SEATS_MAX)]


class PlanSectionBody(RequestBody, kw_only=True):
    """A section; where it has no ``outline`` it gets the one around its seats. Its rows stand in order, the nearest to
    the stage first.
    """

    name: Name
    outline: Corners = ()
    label_at: Place | None = None
    rows: Annotated[tuple[PlanRowBody, ...], Meta(min_length=1, max_length=SECTION_SEATS_MAX)]


class PlanFocusBody(RequestBody, kw_only=True):
    """What the fans look at; distances are measured from ``at``, or else from the outline's middle."""

    label: Name = "Stage"
    kind: Literal["stage", "pitch", "screen"] = "stage"
    outline: Annotated[tuple[Place, ...], Meta(min_length=3, max_length=CORNERS_MAX)]
    at: Place | None = None


class PlanShapeBody(RequestBody, kw_only=True):
    """Scenery. A ``text`` has one point as its outline, where its label stands."""

    kind: Literal["polygon", "text"] = "polygon"
    outline: Annotated[tuple[Place, ...], Meta(min_length=1, max_length=CORNERS_MAX)]
    label: Name = ""


class PlanPictureBody(RequestBody, kw_only=True):
    """A picture of this site behind the seats, with its upper left corner at ``at``."""

    href: Annotated[str, Meta(max_length=200, pattern=PICTURE)]
    at: Place = (0, 0)
    size: Place


class PlanBody(RequestBody, kw_only=True):
    """An event's hall plan. It has each seat of the event exactly once.

    Without a ``width`` and a ``height`` it ends behind the last seat, and without a ``focus`` a stage stands at its
    top.
    """

    EXAMPLES = (
        {
            "name": "Kulturhalle",
            "focus": {"label": "Stage", "outline": [[0, 0], [80, 0], [80, 40], [0, 40]]},
            "sections": [
                {
                    "name": "Stalls",
                    "rows": [
                        {
                            "ticketTypeId": 1,
                            "rowNumber": 1,
                            "label": "AA",
                            "seats": [
                                {"seatNumber": 1, "x": 35, "y": 80, "attributes": ["accessible", "aisle"]},
                                {"seatNumber": 2, "x": 45, "y": 80, "label": "2b"},
                            ],
                        }
                    ],
                }
            ],
        },
    )

    name: Name = ""
    width: Annotated[int, Meta(ge=1, le=SIZE_MAX)] | None = None
    height: Annotated[int, Meta(ge=1, le=SIZE_MAX)] | None = None
    focus: PlanFocusBody | None = None
    shapes: Annotated[tuple[PlanShapeBody, ...], Meta(max_length=SHAPES_MAX)] = ()
    picture: PlanPictureBody | None = None
    sections: Annotated[tuple[PlanSectionBody, ...], Meta(min_length=1, max_length=SECTIONS_MAX)]
    revision: Revision | None = None
    why: Why = ""


class PlanDocumentSeat(AnswerBody, kw_only=True, omit_defaults=True):
    seat_number: int
    x: int
    y: int
    label: str = ""
    attributes: tuple[Attribute, ...] = ()


class PlanDocumentRow(AnswerBody, kw_only=True, omit_defaults=True):
    ticket_type: str = ""
    ticket_type_id: int | None = None
    row_number: int
    label: str
    seats: tuple[PlanDocumentSeat, ...]


class PlanDocumentSection(AnswerBody, kw_only=True):
    name: str
    outline: tuple[Point, ...]
    label_at: Point
    rows: tuple[PlanDocumentRow, ...]


class PlanDocument(PlanFrame, kw_only=True):
    """A plan as it is stored. It can be sent back as it is (`PlanBody`)."""

    sections: tuple[PlanDocumentSection, ...]


class PlanReport(AnswerBody, kw_only=True):
    """What became of a plan that was given, or would become of it. ``seatsAdded`` of its seats are new in the event.

    ``drawing`` is there only where the plan was not saved but looked at.
    """

    valid: bool
    faults: tuple[Fault, ...]
    revision: int
    sections: int
    seats: int
    seats_added: int
    drawing: PlanDrawing | None = None


class PlanReading(AnswerBody, kw_only=True):
    """A plan file that was read, for an event that is yet to be made: its faults, the plan, and its picture.

    The rows of ``plan`` name their ticket types.
    """

    valid: bool
    faults: tuple[Fault, ...]
    plan: PlanDocument | None
    drawing: PlanDrawing | None
