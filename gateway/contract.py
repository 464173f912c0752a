"""The public contract's bodies and answers (see `api.md` of the design): camelCase, unknown fields refused."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from db.access_codes import CODES_MAX
from db.events import TICKET_TYPES_MAX
from db.models import MESSAGE_MAX
from waiting_room.access import CODE_MAX, NAMED_CODE

ID_MAX = 2**53 - 1
PRICE_MAX = 10**10
"""Minor units: so that a thousand seats' total is still exact in a browser."""
INT_MAX = 2**31 - 1

EventId = Annotated[int, Meta(ge=1, le=ID_MAX)]
UserId = Annotated[int, Meta(ge=1, le=ID_MAX)]
TicketTypeId = Annotated[int, Meta(ge=1, le=INT_MAX)]
SeatInt = Annotated[int, Meta(ge=0, le=INT_MAX)]
Moment = Annotated[dt.datetime, Meta(tz=True)]
CaptchaToken = Annotated[str, Meta(max_length=8192)]

LISTS_MAX = 1000
NO_NUL = r"^[^\x00]*$"
"""Postgres keeps no NUL in text."""


class _Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What a client sends."""


class _Answer(msgspec.Struct, rename="camel", kw_only=True):
    """What a client is told."""


class SeatNumbers(_Body, kw_only=True):
    """Arrays of one length: the n-th row and the n-th seat are one seat."""

    row_numbers: Annotated[tuple[SeatInt, ...], Meta(min_length=1, max_length=LISTS_MAX)]
    seat_numbers: Annotated[tuple[SeatInt, ...], Meta(min_length=1, max_length=LISTS_MAX)]

    def __post_init__(self) -> None:
        if len(self.row_numbers) != len(self.seat_numbers):
            raise ValueError(
                f"rowNumbers has {len(self.row_numbers)} entries and seatNumbers {len(self.seat_numbers)}; "
                "they name seats pairwise"
            )


class SeatDetail(_Body, kw_only=True):
    ticket_type_id: TicketTypeId
    meta_data: SeatNumbers


class BestAvailableBody(_Body, kw_only=True):
    ticket_type_id: TicketTypeId
    quantity: Annotated[int, Meta(ge=1, le=LISTS_MAX)]


SeatDetails = Annotated[tuple[SeatDetail, ...], Meta(min_length=1, max_length=LISTS_MAX)]


class ReserveBody(_Body, kw_only=True):
    event_id: EventId
    user_id: UserId | None = None
    seat_details: SeatDetails | None = None
    best_available: BestAvailableBody | None = None

    def __post_init__(self) -> None:
        if (self.seat_details is None) == (self.best_available is None):
            raise ValueError("name either seatDetails or bestAvailable")


class CheckoutBody(_Body, kw_only=True):
    event_id: EventId
    user_id: UserId | None = None
    seat_details: SeatDetails | None = None
    reservation_id: uuid.UUID | None = None
    captcha_token: CaptchaToken | None = None
    recaptcha_token: CaptchaToken | None = None

    def __post_init__(self) -> None:
        if (self.seat_details is None) == (self.reservation_id is None):
            raise ValueError("name either seatDetails or reservationId")


class SeatNamed(_Body, kw_only=True):
    ticket_type_id: TicketTypeId
    row_number: SeatInt
    seat_number: SeatInt


class CancelBody(_Body, kw_only=True):
    """Seats of a purchase to be given back; without ``details`` all that are left of it."""

    details: Annotated[tuple[SeatNamed, ...], Meta(min_length=1, max_length=LISTS_MAX)] | None = None


class JoinBody(_Body, kw_only=True):
    """With an ``accessCode`` the place is one of the priority class, also one that is already held."""

    captcha_token: CaptchaToken | None = None
    access_code: Annotated[str, Meta(max_length=CODE_MAX, pattern=NO_NUL)] | None = None


class CodesBody(_Body, kw_only=True):
    """``count`` random codes, or one ``code`` of a name of your own; each may be redeemed by ``usesMax`` fans."""

    label: Annotated[str, Meta(min_length=1, max_length=80, pattern=NO_NUL)]
    count: Annotated[int, Meta(ge=1, le=CODES_MAX)] = 1
    code: Annotated[str, Meta(max_length=CODE_MAX, pattern=NAMED_CODE)] | None = None
    uses_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    why: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] = ""

    def __post_init__(self) -> None:
        if self.code is not None and self.count != 1:
            raise ValueError("count is of random codes; name either count or code")
        if any(at is not None and not 2000 <= at.year < 2200 for at in (self.starts_at, self.ends_at)):
            raise ValueError("startsAt and endsAt are of years from 2000 to 2199")
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("startsAt must be before endsAt")


class OperatorBody(_Body, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class RoomPatch(_Body, kw_only=True):
    """Of the room as it stood at ``revision``, where that is named: at another the change is refused."""

    rate_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] | msgspec.UnsetType = msgspec.UNSET
    capacity: Annotated[int, Meta(ge=0, le=1_000_000)] | msgspec.UnsetType = msgspec.UNSET
    line_cap: Annotated[int, Meta(ge=0, le=5_000_000)] | msgspec.UnsetType = msgspec.UNSET
    claim_window_seconds: Annotated[int, Meta(ge=5, le=3600)] | msgspec.UnsetType = msgspec.UNSET
    pass_seconds: Annotated[int, Meta(ge=5, le=86_400)] | msgspec.UnsetType = msgspec.UNSET
    lobby_minutes: Annotated[int, Meta(ge=0, le=10_080)] | msgspec.UnsetType = msgspec.UNSET
    priority_share: Annotated[int, Meta(ge=0, le=100)] | msgspec.UnsetType = msgspec.UNSET
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    autopilot: bool | msgspec.UnsetType = msgspec.UNSET
    closed: bool | msgspec.UnsetType = msgspec.UNSET
    message: Annotated[str, Meta(max_length=MESSAGE_MAX, pattern=NO_NUL)] | msgspec.UnsetType = msgspec.UNSET
    revision: Annotated[int, Meta(ge=1, le=ID_MAX)] | msgspec.UnsetType = msgspec.UNSET
    why: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] = ""


HallInt = Annotated[int, Meta(ge=0, le=99_999)]
Price = Annotated[int, Meta(ge=0, le=PRICE_MAX)]
Word = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
SeatsPerFan = Annotated[int, Meta(ge=1, le=1000)]
Why = Annotated[str, Meta(max_length=500, pattern=NO_NUL)]
Revision = Annotated[int, Meta(ge=1, le=ID_MAX)]


class HallBlock(_Body, kw_only=True):
    """``rows`` rows of ``seatsPerRow`` seats, numbered from ``firstRow`` and ``firstSeat`` on."""

    rows: Annotated[int, Meta(ge=1, le=100_000)]
    seats_per_row: Annotated[int, Meta(ge=1, le=100_000)]
    first_row: HallInt = 1
    first_seat: HallInt = 1


class HallRow(_Body, kw_only=True):
    """Seats of one row, each by its number."""

    row_number: HallInt
    seat_numbers: Annotated[tuple[HallInt, ...], Meta(min_length=1, max_length=10_000)]


Blocks = Annotated[tuple[HallBlock, ...], Meta(max_length=20_000)]
Rows = Annotated[tuple[HallRow, ...], Meta(max_length=20_000)]


class TicketTypeBody(_Body, kw_only=True):
    """A new ticket type: its seats are ``blocks`` and ``rows`` together, and what a CSV has of its name."""

    ticket_type: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
    price: Price
    blocks: Blocks = ()
    rows: Rows = ()


class NewRoomBody(_Body, kw_only=True):
    """The room that a new event starts with; what is left out is as the settings say."""

    state: Literal["off", "open", "paused", "closed"] | msgspec.UnsetType = msgspec.UNSET
    rate_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] | msgspec.UnsetType = msgspec.UNSET
    capacity: Annotated[int, Meta(ge=0, le=1_000_000)] | msgspec.UnsetType = msgspec.UNSET
    line_cap: Annotated[int, Meta(ge=0, le=5_000_000)] | msgspec.UnsetType = msgspec.UNSET
    claim_window_seconds: Annotated[int, Meta(ge=5, le=3600)] | msgspec.UnsetType = msgspec.UNSET
    pass_seconds: Annotated[int, Meta(ge=5, le=86_400)] | msgspec.UnsetType = msgspec.UNSET
    lobby_minutes: Annotated[int, Meta(ge=0, le=10_080)] | msgspec.UnsetType = msgspec.UNSET


class EventBody(_Body, kw_only=True):
    """A new event, whole. Prices are in minor units of the currency.

    ``csv`` has a line a seat, under a line that names the columns: ``ticketType,row,seat``.
    """

    name: Word
    artist: Annotated[str, Meta(max_length=200, pattern=NO_NUL)] = ""
    venue: Word
    date: Moment
    on_sale_at: Moment
    currency: Currency
    seats_per_fan_max: SeatsPerFan = 10
    ticket_types: Annotated[tuple[TicketTypeBody, ...], Meta(min_length=1, max_length=TICKET_TYPES_MAX)]
    csv: str = ""
    room: NewRoomBody = msgspec.field(default_factory=NewRoomBody)
    why: Why = ""


class TicketTypePatch(_Body, kw_only=True):
    ticket_type_id: TicketTypeId
    ticket_type: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)] | msgspec.UnsetType = msgspec.UNSET
    price: Price | msgspec.UnsetType = msgspec.UNSET


class SeatsOfTypeBody(_Body, kw_only=True):
    ticket_type_id: TicketTypeId
    blocks: Blocks = ()
    rows: Rows = ()


class EventPatch(_Body, kw_only=True):
    """Of the event as it stood at ``revision``, where that is named: at another the change is refused.

    A price is that of reservations to come: what is held or bought keeps its own.
    """

    name: Word | msgspec.UnsetType = msgspec.UNSET
    artist: Annotated[str, Meta(max_length=200, pattern=NO_NUL)] | msgspec.UnsetType = msgspec.UNSET
    venue: Word | msgspec.UnsetType = msgspec.UNSET
    date: Moment | msgspec.UnsetType = msgspec.UNSET
    on_sale_at: Moment | msgspec.UnsetType = msgspec.UNSET
    currency: Currency | msgspec.UnsetType = msgspec.UNSET
    seats_per_fan_max: SeatsPerFan | msgspec.UnsetType = msgspec.UNSET
    ticket_types: Annotated[tuple[TicketTypePatch, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    add_ticket_types: Annotated[tuple[TicketTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    remove_ticket_types: Annotated[tuple[TicketTypeId, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    add_seats: Annotated[tuple[SeatsOfTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    remove_seats: Annotated[tuple[SeatsOfTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    revision: Revision | msgspec.UnsetType = msgspec.UNSET
    why: Why = ""


class SeatsBody(_Body, kw_only=True):
    """Seats to be added to a hall, and to be removed from it."""

    add: Annotated[tuple[SeatsOfTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    remove: Annotated[tuple[SeatsOfTypeBody, ...], Meta(max_length=TICKET_TYPES_MAX)] = ()
    revision: Revision | msgspec.UnsetType = msgspec.UNSET
    why: Why = ""


WebhookKind = Literal[
    "room.opened",
    "room.paused",
    "room.resumed",
    "room.sold_out",
    "room.closed",
    "purchase.made",
    "purchase.cancelled",
]
WebhookUrl = Annotated[
    str,
    Meta(max_length=2000, pattern=r"^https?://[A-Za-z0-9.\[\]:-]+(/[!\x22$-~]*)?$", description="https in production"),
]
WebhookKinds = Annotated[tuple[WebhookKind, ...], Meta(min_length=1, max_length=20)]
WebhookDescription = Annotated[str, Meta(max_length=200, pattern=NO_NUL)]


class WebhookBody(_Body, kw_only=True):
    """With ``eventId``: of this event alone."""

    url: WebhookUrl
    kinds: WebhookKinds
    event_id: EventId | None = None
    description: WebhookDescription = ""


class WebhookPatch(_Body, kw_only=True):
    url: WebhookUrl | msgspec.UnsetType = msgspec.UNSET
    kinds: WebhookKinds | msgspec.UnsetType = msgspec.UNSET
    event_id: EventId | msgspec.UnsetType | None = msgspec.UNSET
    description: WebhookDescription | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class ResendBody(_Body, kw_only=True):
    message_id: uuid.UUID | None = None


BODIES: tuple[type[_Body], ...] = (
    HallBlock,
    HallRow,
    TicketTypeBody,
    NewRoomBody,
    EventBody,
    TicketTypePatch,
    EventPatch,
    SeatsOfTypeBody,
    SeatsBody,
    SeatNumbers,
    SeatDetail,
    BestAvailableBody,
    ReserveBody,
    CheckoutBody,
    SeatNamed,
    CancelBody,
    JoinBody,
    CodesBody,
    OperatorBody,
    RoomPatch,
    WebhookBody,
    WebhookPatch,
    ResendBody,
)


class SeatAnswer(_Answer, kw_only=True):
    ticket_type_id: int
    row_number: int
    seat_number: int


class Fault(_Answer, kw_only=True):
    """What is wrong with a request, and where: a JSON path of the body, or a parameter's name.

    ``line`` is of a CSV, whose first line names the columns. ``seats`` are those that it is about, the first hundred.
    """

    path: str
    message: str
    code: str | msgspec.UnsetType = msgspec.UNSET
    line: int | msgspec.UnsetType = msgspec.UNSET
    seats: tuple[SeatAnswer, ...] | msgspec.UnsetType = msgspec.UNSET


class ProblemAnswer(_Answer, kw_only=True):
    """An error (RFC 9457). Beyond these members some codes have their own, e.g. ``seats`` of ``seats_taken``."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry_after_seconds: int | msgspec.UnsetType = msgspec.UNSET
    errors: tuple[Fault, ...] | msgspec.UnsetType = msgspec.UNSET


class SessionAnswer(_Answer, kw_only=True):
    token: str
    user_id: int


class OperatorAnswer(_Answer, kw_only=True):
    token: str


class OperatorName(_Answer, kw_only=True):
    """Whose session it is."""

    name: str


class ChallengeAnswer(_Answer, kw_only=True):
    """An ALTCHA challenge, as its widget reads it."""

    algorithm: str
    challenge: str
    maxnumber: int
    salt: str
    signature: str


class JobAccepted(_Answer, kw_only=True):
    job_id: uuid.UUID
    status: Literal["queued"]
    href: str


class Job(_Answer, kw_only=True, omit_defaults=True):
    job_id: uuid.UUID
    kind: str
    status: Literal["queued", "succeeded", "failed"]
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None


class EventAnswer(_Answer, kw_only=True):
    event_id: int
    name: str
    artist: str
    date: Moment
    venue: str
    on_sale_at: Moment
    currency: str
    seats_per_fan_max: int


class TicketAnswer(_Answer, kw_only=True):
    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int


class RoomSummary(_Answer, kw_only=True):
    """``waiting`` are in line, and in the lobby while there is one."""

    state: str
    waiting: int


class InitialCall(_Answer, kw_only=True):
    event: EventAnswer
    tickets: tuple[TicketAnswer, ...]
    room: RoomSummary
    version: int


class SeatRow(_Answer, kw_only=True):
    row_number: int
    seat_numbers: tuple[int, ...]


class Section(_Answer, kw_only=True):
    ticket_type_id: int
    rows: tuple[SeatRow, ...]


class SeatMap(_Answer, kw_only=True):
    event_id: int
    version: int
    sections: tuple[Section, ...]
    taken: tuple[tuple[int, int, int, Literal["reserved", "booked"]], ...]


class EventList(_Answer, kw_only=True):
    events: tuple[EventAnswer, ...]
    cursor: str | None = None


class HeldSeat(SeatAnswer, kw_only=True):
    """``amount`` is what was agreed when it was held, whatever its ticket type costs by now."""

    amount: int


class ReservationAnswer(_Answer, kw_only=True):
    reservation_id: uuid.UUID
    event_id: int
    expires_at: Moment
    total_amount: int
    currency: str
    seats: tuple[HeldSeat, ...]


class ReservationList(_Answer, kw_only=True):
    reservations: tuple[ReservationAnswer, ...]


class PurchaseDetailAnswer(_Answer, kw_only=True):
    """A seat of a purchase. Cancelled, it is somebody else's to buy, and has no ``ticketCode`` any more."""

    ticket_type_id: int
    ticket_type: str
    row_number: int
    seat_number: int
    amount: int
    ticket_code: str | None
    cancelled_at: Moment | None = None


class PurchaseAnswer(_Answer, kw_only=True):
    """``total_amount`` is of the seats that are not cancelled; ``status`` is ``cancelled`` where none is left."""

    purchase_id: uuid.UUID
    event_id: int
    user_id: int
    total_amount: int
    currency: str
    purchase_at: Moment
    status: str
    details: tuple[PurchaseDetailAnswer, ...]


class PurchaseList(_Answer, kw_only=True):
    purchases: tuple[PurchaseAnswer, ...]


class Lobby(_Answer, kw_only=True):
    """A lobby to be drawn at the on-sale: ``early`` before it opens, ``drawing`` from the on-sale on.

    ``seed_hash`` is the SHA-256 of the seed, in hexadecimal; ``fan_hash`` stands for the fan in the public list.
    """

    state: Literal["early", "open", "drawing"]
    opens_at: Moment
    on_sale_at: Moment
    seconds_to_on_sale: float
    participants: int
    drawn: int
    seed_hash: str
    fan_hash: str | None


class DrawAnswer(_Answer, kw_only=True):
    """A draw as everybody may know it: the seed is told once it is drawn. Hashes and keys are in hexadecimal."""

    event_id: int
    state: Literal["early", "open", "drawing", "drawn"]
    on_sale_at: Moment
    opens_at: Moment
    rule: str
    seed_hash: str
    seed: str | None
    participants: int
    drawn_at: Moment | None
    list_href: str


class DrawList(_Answer, kw_only=True):
    """Fan hashes in the drawn order, from number ``first`` on; ``next`` is the number to go on with, if any."""

    first: int
    fan_hashes: tuple[str, ...]
    next: int | None


class ReceiptEntry(_Answer, kw_only=True):
    """What befell the fan: the state it led to, and why."""

    at: Moment
    state: str
    reason: str


class DrawProof(_Answer, kw_only=True):
    """The fan's part in the draw. What is told only afterwards is null before; ``number`` also for who took no part."""

    state: Literal["early", "open", "drawing", "drawn"]
    rule: str
    seed_hash: str
    fan_hash: str
    seed: str | None
    draw_value: str | None
    number: int | None
    participants: int
    href: str


class Receipt(_Answer, kw_only=True):
    """A fan's own history, the oldest first, and the proof of the draw where there is a lobby."""

    event_id: int
    user_id: int
    state: str
    entries: tuple[ReceiptEntry, ...]
    draw: DrawProof | None


class StockLeft(_Answer, kw_only=True, omit_defaults=True):
    """What is left of all seats. ``mayReturn`` are in other fans' holds, the last of which ends at ``lastHoldEndsAt``;
    both are told where no seat is free."""

    free: int
    held: int
    may_return: int | None = None
    last_hold_ends_at: Moment | None = None


class Place(_Answer, kw_only=True):
    """A fan's place, as join, poll and stream tell it. Of ``position`` and ``ahead`` null means: not in line.

    ``linePerMinute`` is how fast the line is forecast to move: while it stays, no estimate rises. With ``mayRunOut``
    the seats would not reach this place if everybody before it took two. ``position`` and ``ahead`` count the fan's own
    class, ``priority`` or not; ``waiting`` and ``linePerMinute`` both.
    """

    state: str
    room_state: str
    token: str | None
    ticket_number: int | None
    position: int | None
    ahead: int | None
    waiting: int
    eta_seconds: int | None
    eta_range: Annotated[tuple[int, ...], Meta(min_length=2, max_length=2)] | None = None
    line_per_minute: float | None = None
    may_run_out: bool = False
    stock: StockLeft | None = None
    claim_by_seconds: int | None = None
    # ``pass`` is a word of Python's; the wire has the contract's name.
    admission_pass: str | None = msgspec.field(name="pass", default=None)
    expires_at: Moment | None = None
    href: str
    stream_href: str
    lobby: Lobby | None = None
    message: str = ""
    priority: bool = False


class Claimed(_Answer, kw_only=True):
    admission_pass: str = msgspec.field(name="pass")
    expires_at: Moment


class RoomAnswer(_Answer, kw_only=True):
    """``calledPerMinute`` is of the last ten to twenty seconds, ``measuredPerMinute`` of the last minute's admissions.

    Of those ``waiting`` ``priorityWaiting`` are of the priority class, which has ``priorityShare`` percent of the calls
    while both wait. Bookings are those of the event's lane in the last minute; ``errors`` counts the refused ones by
    their code. ``letIn`` are the fans called or let straight in so far. ``gatewaysInForce`` of the ``gateways`` that
    are up go by this ``revision``. ``closed``: by an operator; the state is so too while a lobby is yet to open.
    """

    event_id: int
    name: str
    state: str
    waiting: int
    priority_waiting: int
    called: int
    admitted: int
    rate_per_minute: int
    rate_now_per_minute: float
    measured_per_minute: float | None
    called_per_minute: float | None
    let_in: int
    capacity: int
    line_cap: int
    claim_window_seconds: int
    pass_seconds: int
    lobby_minutes: int
    priority_share: int
    lobby: int
    paused: bool
    closed: bool
    autopilot: bool
    autopilot_why: str
    no_show_rate: float
    p50_booking_ms: float | None
    p95_booking_ms: float | None
    errors: dict[str, int]
    backlog: int
    sold: int
    held: int
    free: int
    message: str
    revision: int
    gateways: int
    gateways_in_force: int


class RoomList(_Answer, kw_only=True):
    rooms: tuple[RoomAnswer, ...]


class RoomLogLine(_Answer, kw_only=True):
    at: Moment
    operator: str
    field: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    why: str
    revision: int


class RoomLogList(_Answer, kw_only=True):
    entries: tuple[RoomLogLine, ...]


class RoomHistory(_Answer, kw_only=True):
    """A room's last hour, the oldest first: a column a figure, its n-th entry taken at the n-th moment of ``at``
    (Unix time, seconds), about every ``seconds``. Null: not measured then.
    """

    seconds: int
    at: tuple[float, ...]
    waiting: tuple[int, ...]
    called: tuple[int, ...]
    admitted: tuple[int, ...]
    rate_now_per_minute: tuple[float, ...]
    called_per_minute: tuple[float | None, ...]
    p50_booking_ms: tuple[float | None, ...]
    p95_booking_ms: tuple[float | None, ...]
    backlog: tuple[int, ...]
    errors: tuple[int, ...]
    sold: tuple[int, ...]
    held: tuple[int, ...]


class DefinedTicketType(_Answer, kw_only=True):
    """A ticket type with its seats as blocks, none of which overlap; ``booked`` of its ``quantity`` are sold."""

    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int
    booked_count: int
    blocks: tuple[HallBlock, ...]


class EventDefinition(_Answer, kw_only=True):
    """An event as it is defined, whole."""

    event_id: int
    name: str
    artist: str
    venue: str
    date: Moment
    on_sale_at: Moment
    currency: str
    seats_per_fan_max: int
    ticket_types: tuple[DefinedTicketType, ...]
    is_on_sale: bool
    has_lobby: bool
    version: int
    revision: int


class EventPreview(_Answer, kw_only=True):
    """What would become of a change: all that speaks against it, or the event as it would be (a new one's id: 0)."""

    valid: bool
    faults: tuple[Fault, ...]
    event: EventDefinition | None


class DefinedEvent(_Answer, kw_only=True):
    """A line of the list of events."""

    event_id: int
    name: str
    artist: str
    venue: str
    date: Moment
    on_sale_at: Moment
    currency: str
    quantity: int
    sold: int
    held: int
    revision: int


class DefinedEventList(_Answer, kw_only=True):
    """Events, the newest first; ``next`` is the id to go on before, if any."""

    events: tuple[DefinedEvent, ...]
    next: int | None


class WebhookAnswer(_Answer, kw_only=True):
    """``pending`` deliveries are to be made yet, ``dead`` ones were given up; both are counted up to 10,000.

    ``failingSince``: the first failure since the last success. ``disabledWhy``: empty, ``operator``, ``gone`` (it
    answered 410) or ``failing``. Until ``oldSecretUntil`` messages are signed with the secret before this one too.
    """

    webhook_id: int
    url: str
    description: str
    kinds: tuple[WebhookKind, ...]
    event_id: int | None
    enabled: bool
    disabled_why: str
    disabled_at: Moment | None
    created_at: Moment
    delivered_at: Moment | None
    failing_since: Moment | None
    old_secret_until: Moment | None
    pending: int
    dead: int


class WebhookList(_Answer, kw_only=True):
    webhooks: tuple[WebhookAnswer, ...]


class WebhookSecret(_Answer, kw_only=True):
    """``secret`` is told this once."""

    webhook: WebhookAnswer
    secret: str


class DeliveryAnswer(_Answer, kw_only=True):
    """``messageId`` is the header ``webhook-id``; ``status`` the webhook's last answer, null without one."""

    message_id: uuid.UUID
    event_id: int
    kind: str
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    created_at: Moment
    next_attempt_at: Moment | None
    ended_at: Moment | None
    status: int | None
    error: str


class DeliveryList(_Answer, kw_only=True):
    deliveries: tuple[DeliveryAnswer, ...]


class Resent(_Answer, kw_only=True):
    """How many deliveries are due anew."""

    resent: int


class WebhookLogLine(_Answer, kw_only=True):
    at: Moment
    operator: str
    webhook_id: int
    field: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")


class WebhookLogList(_Answer, kw_only=True):
    entries: tuple[WebhookLogLine, ...]


class CodesIssued(_Answer, kw_only=True):
    """The codes, which nobody is told again."""

    issue_id: uuid.UUID
    codes: tuple[str, ...]


class CodeIssueAnswer(_Answer, kw_only=True):
    """Codes issued in one go: so many ``codes``, each for ``usesMax`` fans; ``uses`` is how often one was redeemed."""

    issue_id: uuid.UUID
    label: str
    codes: int
    uses_max: int
    uses: int
    starts_at: Moment | None
    ends_at: Moment | None
    issued_at: Moment
    issued_by: str
    revoked_at: Moment | None
    revoked_by: str | None


class CodeIssueList(_Answer, kw_only=True):
    issues: tuple[CodeIssueAnswer, ...]


class Health(_Answer, kw_only=True):
    status: Literal["ok", "failing"]
    failing: tuple[str, ...] = ()


ANSWERS: tuple[type[_Answer], ...] = (
    DefinedTicketType,
    EventDefinition,
    EventPreview,
    DefinedEvent,
    DefinedEventList,
    Fault,
    ProblemAnswer,
    SessionAnswer,
    OperatorAnswer,
    OperatorName,
    ChallengeAnswer,
    JobAccepted,
    Job,
    EventAnswer,
    TicketAnswer,
    RoomSummary,
    InitialCall,
    SeatRow,
    Section,
    SeatMap,
    EventList,
    SeatAnswer,
    HeldSeat,
    ReservationAnswer,
    ReservationList,
    PurchaseDetailAnswer,
    PurchaseAnswer,
    PurchaseList,
    Lobby,
    DrawAnswer,
    DrawList,
    ReceiptEntry,
    DrawProof,
    Receipt,
    Place,
    Claimed,
    RoomAnswer,
    RoomList,
    RoomLogLine,
    RoomLogList,
    RoomHistory,
    WebhookAnswer,
    WebhookList,
    WebhookSecret,
    DeliveryAnswer,
    DeliveryList,
    Resent,
    WebhookLogLine,
    WebhookLogList,
    CodesIssued,
    CodeIssueAnswer,
    CodeIssueList,
    Health,
)
