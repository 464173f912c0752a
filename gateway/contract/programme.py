"""Bodies and answers of events as operators make and change them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from db.events.sale import EventState, SaleState
from db.events.terms import BASIS_POINTS
from db.events.ticket_types import TICKET_TYPES_MAX
from db.events.time_zones import UNKNOWN_ZONE
from db.texts import END, ONE_LINE
from gateway.contract.plans import PlanBody
from gateway.contract.rooms import NewRoomBody
from gateway.contract.values import (
    PRICE_MAX,
    AnswerBody,
    Fault,
    HallInt,
    Moment,
    PictureHash,
    RequestBody,
    Revision,
    TicketTypeId,
    TimeZone,
    Why,
)

Price = Annotated[int, Meta(ge=0, le=PRICE_MAX)]

WORD_MAX: Final = 200

TYPE_NAME_MAX: Final = 100

Word = Annotated[str, Meta(min_length=1, max_length=WORD_MAX, pattern=ONE_LINE)]

Artist = Annotated[str, Meta(max_length=WORD_MAX, pattern=ONE_LINE)]

Town = Annotated[str, Meta(max_length=WORD_MAX, pattern=ONE_LINE, description="where the venue lies")]

TAG_MAX: Final = 40
"""Characters of a tag."""

Tags = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=TAG_MAX, pattern=ONE_LINE)], ...],
    Meta(max_length=10, description="a few words of what it is, e.g. jazz; fans find the event by them"),
]

TypeName = Annotated[str, Meta(min_length=1, max_length=TYPE_NAME_MAX, pattern=ONE_LINE)]

Entrance = Annotated[str, Meta(max_length=TYPE_NAME_MAX, pattern=ONE_LINE)]

ALT_MAX: Final = 500

Alt = Annotated[str, Meta(max_length=ALT_MAX, pattern=ONE_LINE)]

NOTICE_MAX: Final = 500
"""Characters of a notice to fans, as of the operators' message to a line."""

Notice = Annotated[str, Meta(max_length=NOTICE_MAX, pattern=ONE_LINE)]

Currency = Annotated[str, Meta(pattern="^[A-Z]{3}" + END)]

Payments = Literal["", "test"]
"""The provider that takes an event's payments; empty: nothing is to be paid here."""

SeatsPerFan = Annotated[int, Meta(ge=1, le=1000)]

BasisPoints = Annotated[int, Meta(ge=0, le=BASIS_POINTS)]


class HallBlock(RequestBody, kw_only=True):
    """``rows`` rows of ``seatsPerRow`` seats, numbered from ``firstRow`` and ``firstSeat`` on."""

    rows: Annotated[int, Meta(ge=1, le=100_000)]
    seats_per_row: Annotated[int, Meta(ge=1, le=100_000)]
    first_row: HallInt = 1
    first_seat: HallInt = 1


class HallRow(RequestBody, kw_only=True):
    """Seats of one row, each by its number."""

    row_number: HallInt
    seat_numbers: Annotated[tuple[HallInt, ...], Meta(min_length=1, max_length=10_000)]


Blocks = Annotated[tuple[HallBlock, ...], Meta(max_length=20_000)]

Rows = Annotated[tuple[HallRow, ...], Meta(max_length=20_000)]


class TicketTypeBody(RequestBody, kw_only=True):
    """A new ticket type. Its seats are all of ``blocks``, of ``rows``, and of the CSV's lines that have its name.
    ``entrance`` is where its fans come in, as their tickets tell them; empty: the venue has one for all.

    A seat costs its ``price``, and a booking fee of ``feeAmount`` and of ``feeBasisPoints`` of the price, in hundredths
    of a percent. The tax on both, of ``taxBasisPoints`` (1900 is 19 %), is in them with ``taxIncluded``, and otherwise
    comes on top. Fee and tax are rounded for each seat by itself, half up.

    Nothing of it is sold before ``soldFrom`` and from ``soldUntil`` on, even while the event is on sale. One fan may
    have ``seatsPerFanMax`` seats of it.
    """

    ticket_type: TypeName
    price: Price
    entrance: Entrance = ""
    fee_amount: Price = 0
    fee_basis_points: BasisPoints = 0
    tax_basis_points: BasisPoints = 0
    tax_included: bool = True
    sold_from: Moment | None = None
    sold_until: Moment | None = None
    seats_per_fan_max: SeatsPerFan | None = None
    blocks: Blocks = ()
    rows: Rows = ()


class EventBody(RequestBody, kw_only=True):
    """A new event with all its ticket types and seats. Prices are in minor units of the currency.

    The sale ends at ``offSaleAt``; where it is null, when the event begins. An event whose sale is over already is
    made, but sells nothing, and the answer's ``notes`` say so. ``pictureAlt`` says what the picture shows.

    The first line of ``csv`` names the columns, ``ticketType,row,seat``; each further line is one seat.

    A ``plan`` names its ticket types by their names. Its seats are the event's too: those that nothing else names are
    made of it.
    """

    EXAMPLES = (
        {
            "name": "Nachtflug",
            "artist": "Lena Brandt",
            "venue": "Kulturhalle",
            "town": "Hamburg",
            "tags": ["jazz"],
            "date": "2030-06-12T19:30:00+02:00",
            "timeZone": "Europe/Berlin",
            "onSaleAt": "2030-03-01T09:00:00Z",
            "currency": "EUR",
            "ticketTypes": [
                {"ticketType": "Stalls", "price": 4900, "blocks": [{"rows": 10, "seatsPerRow": 20}]},
                {"ticketType": "Boxes", "price": 12900, "rows": [{"rowNumber": 1, "seatNumbers": [1, 2, 5, 6]}]},
            ],
            "room": {"state": "paused", "ratePerMinute": 120, "lobbyMinutes": 30},
        },
    )

    name: Word
    artist: Artist = ""
    venue: Word
    date: Moment
    time_zone: TimeZone = UNKNOWN_ZONE
    on_sale_at: Moment
    off_sale_at: Moment | None = None
    currency: Currency
    seats_per_fan_max: SeatsPerFan = 10
    doors_at: Moment | None = None
    picture_hash: PictureHash | None = None
    picture_alt: Alt = ""
    account_required: bool = False
    payments: Payments = ""
    town: Town = ""
    tags: Tags = ()
    ticket_types: Annotated[tuple[TicketTypeBody, ...], Meta(min_length=1, max_length=TICKET_TYPES_MAX)]
    csv: str = ""
    plan: PlanBody | None = None
    room: NewRoomBody = msgspec.field(default_factory=NewRoomBody)
    why: Why = ""


class TicketTypePatch(RequestBody, kw_only=True):
    ticket_type_id: TicketTypeId
    ticket_type: TypeName | msgspec.UnsetType = msgspec.UNSET
    price: Price | msgspec.UnsetType = msgspec.UNSET
    entrance: Entrance | msgspec.UnsetType = msgspec.UNSET
    fee_amount: Price | msgspec.UnsetType = msgspec.UNSET
    fee_basis_points: BasisPoints | msgspec.UnsetType = msgspec.UNSET
    tax_basis_points: BasisPoints | msgspec.UnsetType = msgspec.UNSET
    tax_included: bool | msgspec.UnsetType = msgspec.UNSET
    sold_from: Moment | msgspec.UnsetType | None = msgspec.UNSET
    sold_until: Moment | msgspec.UnsetType | None = msgspec.UNSET
    seats_per_fan_max: SeatsPerFan | msgspec.UnsetType | None = msgspec.UNSET


class SeatsOfTypeBody(RequestBody, kw_only=True):
    ticket_type_id: TicketTypeId
    blocks: Blocks = ()
    rows: Rows = ()


class EventPatch(RequestBody, kw_only=True):
    """A change of an event. If it names a ``revision`` and the event is at another one, the change is refused. With an
    ``offSaleAt`` of null the sale ends when the event begins. An ``unpublished`` event is in no list, its line is
    closed and nothing of it is sold; what was bought and held stays, and it can be published again.

    A ``cancelled`` event stays cancelled, so ``why`` must say why. Its line is closed, its holds and passes end,
    nothing of it is sold or given back, and its purchases have the status ``event_cancelled``. ``notice`` is a sentence
    that fans read on the event's page and with their tickets.

    ``accountRequired`` has fans join the line and hold seats with an account alone. Set it before the sale: fans who
    wait without an account are asked to sign in, and take their places along; those who are let in cannot.

    A new price, fee or tax is for later reservations: seats that are held or bought keep what they had.
    """

    EXAMPLES = (
        {"ticketTypes": [{"ticketTypeId": 1, "price": 5900}], "why": "the second price band"},
        {
            "state": "cancelled",
            "notice": "The singer is ill. We pay you back within two weeks.",
            "why": "the agency called",
        },
    )

    name: Word | msgspec.UnsetType = msgspec.UNSET
    artist: Artist | msgspec.UnsetType = msgspec.UNSET
    venue: Word | msgspec.UnsetType = msgspec.UNSET
    date: Moment | msgspec.UnsetType = msgspec.UNSET
    time_zone: TimeZone | msgspec.UnsetType = msgspec.UNSET
    on_sale_at: Moment | msgspec.UnsetType = msgspec.UNSET
    off_sale_at: Moment | msgspec.UnsetType | None = msgspec.UNSET
    state: EventState | msgspec.UnsetType = msgspec.UNSET
    notice: Notice | msgspec.UnsetType = msgspec.UNSET
    currency: Currency | msgspec.UnsetType = msgspec.UNSET
    seats_per_fan_max: SeatsPerFan | msgspec.UnsetType = msgspec.UNSET
    doors_at: Moment | msgspec.UnsetType | None = msgspec.UNSET
    picture_hash: PictureHash | msgspec.UnsetType | None = msgspec.UNSET
    picture_alt: Alt | msgspec.UnsetType = msgspec.UNSET
    account_required: bool | msgspec.UnsetType = msgspec.UNSET
    payments: Payments | msgspec.UnsetType = msgspec.UNSET
    town: Town | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    ticket_types: Annotated[tuple[TicketTypePatch, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    add_ticket_types: Annotated[tuple[TicketTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    remove_ticket_types: Annotated[tuple[TicketTypeId, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    add_seats: Annotated[tuple[SeatsOfTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    remove_seats: Annotated[tuple[SeatsOfTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    revision: Revision | msgspec.UnsetType = msgspec.UNSET
    why: Why = ""


class SeatsBody(RequestBody, kw_only=True):
    """Seats to be added to a hall, and to be removed from it."""

    EXAMPLES = (
        {"add": [{"ticketTypeId": 1, "blocks": [{"rows": 2, "seatsPerRow": 20, "firstRow": 21}]}]},
        {
            "remove": [{"ticketTypeId": 1, "rows": [{"rowNumber": 3, "seatNumbers": [1]}]}],
            "why": "a camera stands there",
        },
    )

    add: Annotated[tuple[SeatsOfTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    remove: Annotated[tuple[SeatsOfTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    revision: Revision | msgspec.UnsetType = msgspec.UNSET
    why: Why = ""


class DefinedTicketType(AnswerBody, kw_only=True):
    """A ticket type with its seats as blocks that do not overlap. ``bookedCount`` of its ``quantity`` are sold.
    ``amount`` is what a fan pays for a seat: its price, the fee, and the tax where it comes on top.
    """

    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int
    booked_count: int
    entrance: str = ""
    fee_amount: int = 0
    fee_basis_points: int = 0
    tax_basis_points: int = 0
    tax_included: bool = True
    sold_from: Moment | None = None
    sold_until: Moment | None = None
    seats_per_fan_max: int | None = None
    amount: int
    blocks: tuple[HallBlock, ...]


class EventDefinition(AnswerBody, kw_only=True):
    """An event with all its ticket types and seats.

    ``sale`` is where its sale stands. ``notes`` are sentences for the operator on what follows from the event as it is
    now, or from the change that was just made.
    """

    event_id: int
    name: str
    artist: str
    venue: str
    date: Moment
    time_zone: TimeZone
    on_sale_at: Moment
    off_sale_at: Moment
    state: EventState
    sale: SaleState
    notes: tuple[str, ...] = ()
    notice: str = ""
    currency: str
    seats_per_fan_max: int
    doors_at: Moment | None = None
    picture_hash: PictureHash | None = None
    picture_alt: str = ""
    account_required: bool = False
    payments: str = ""
    town: str = ""
    tags: tuple[str, ...] = ()
    ticket_types: tuple[DefinedTicketType, ...]
    is_on_sale: bool
    has_lobby: bool
    version: int
    revision: int


class EventPreview(AnswerBody, kw_only=True):
    """The result that a change would have: its faults, or the event as it would become (the id of a new one is 0)."""

    valid: bool
    faults: tuple[Fault, ...]
    event: EventDefinition | None


class DefinedEvent(AnswerBody, kw_only=True):
    """An entry in the list of events."""

    event_id: int
    name: str
    artist: str
    venue: str
    date: Moment
    time_zone: TimeZone
    on_sale_at: Moment
    off_sale_at: Moment
    event_state: EventState = msgspec.field(name="state")
    sale: SaleState
    currency: str
    quantity: int
    sold: int
    held: int
    revision: int


class DefinedEventList(AnswerBody, kw_only=True):
    """Events, the newest first. The next page is of events whose ids are below ``next``; null on the last page."""

    events: tuple[DefinedEvent, ...]
    next: int | None
