"""Bodies and answers of rooms: steering, figures, log, access codes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from db.change_log.changes import ChangeRow
from db.codes.access_codes import CODES_MAX, LABEL_MAX
from db.events.sale import SaleState
from db.rooms.dials import DIALS, SETTING_DIALS
from db.rooms.steps import STEP_DIALS, StepRow
from db.texts import ONE_LINE, fault_of_name, tidy
from gateway.contract.dials import answer_of_dials, body_of_dials
from gateway.contract.line import StockLeft
from gateway.contract.values import AnswerBody, Moment, RequestBody, Revision, TimeZone, Why
from waiting_room.access import CODE_MAX, NAMED_CODE


class CodesBody(RequestBody, kw_only=True):
    """Access codes to issue: ``count`` random ones, or the one given in ``code``. ``usesMax`` fans may redeem each."""

    EXAMPLES = (
        {"label": "Fan club", "count": 2},
        {"label": "Press", "code": "PRESS-2026", "usesMax": 40},
    )

    label: Annotated[str, Meta(min_length=1, max_length=LABEL_MAX, pattern=ONE_LINE)]
    count: Annotated[int, Meta(ge=1, le=CODES_MAX)] = 1
    code: Annotated[str, Meta(max_length=CODE_MAX, pattern=NAMED_CODE)] | None = None
    uses_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    why: Why = ""

    def __post_init__(self) -> None:
        fault = fault_of_name(tidy(self.label), LABEL_MAX)
        if fault is not None:
            raise ValueError(f"label: {fault}")
        if self.code is not None and self.count != 1:
            raise ValueError("count is for random codes; give either count or code")
        if any(at is not None and not 2000 <= at.year < 2200 for at in (self.starts_at, self.ends_at)):
            raise ValueError("the years of startsAt and endsAt must be from 2000 to 2199")
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("startsAt must be before endsAt")

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["anyOf"] = [{"properties": {"count": {"const": 1}}}, {"properties": {"code": {"type": "null"}}}]


if TYPE_CHECKING:
    _DialsPatch = RequestBody
    _DialsAtStart = RequestBody
    _DialsAnswer = AnswerBody
    _DialsOfStep = RequestBody
else:
    _DialsPatch = body_of_dials("_DialsPatch", DIALS.values(), RequestBody)
    _DialsAtStart = body_of_dials("_DialsAtStart", SETTING_DIALS, RequestBody)
    _DialsOfStep = body_of_dials("_DialsOfStep", STEP_DIALS, RequestBody)
    _DialsAnswer = answer_of_dials("_DialsAnswer", DIALS.values(), AnswerBody)


class RoomPatch(_DialsPatch, kw_only=True):
    """A change of a room. If it names a ``revision`` and the room is at another one, the change is refused.

    ``messages`` are the texts by language that fans read in place of ``message``. They replace those of before, so a
    language that is left out has none any more.
    """

    EXAMPLES = (
        {"ratePerMinute": 120, "capacity": 200, "why": "the hall's doors are slow"},
        {"message": "Doors at eight", "messages": {"de": "Einlass um acht", "fr": "Portes à huit heures"}},
    )

    paused: bool | msgspec.UnsetType = msgspec.UNSET
    closed: bool | msgspec.UnsetType = msgspec.UNSET
    revision: Revision | msgspec.UnsetType = msgspec.UNSET
    why: Why = ""

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        steered = [name for name in schema["properties"] if name not in ("revision", "why")]
        schema["anyOf"] = [{"required": [name]} for name in steered]


class RoomStepBody(_DialsOfStep, kw_only=True):
    """What is to be set at a moment to come. If it names a ``revision`` and the room is at another one, the step is
    refused.
    """

    EXAMPLES = ({"at": "2027-01-09T09:00:00Z", "ratePerMinute": 200, "why": "the doors open"},)

    at: Moment
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    revision: Revision | msgspec.UnsetType = msgspec.UNSET
    why: Why = ""

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        steered = [name for name in schema["properties"] if name not in ("at", "revision", "why")]
        schema["anyOf"] = [{"required": [name]} for name in steered]


class RoomStepAnswer(AnswerBody, kw_only=True):
    """A step to come. ``sets`` has the values by the names that they have in the room."""

    step_id: uuid.UUID
    at: Moment
    sets: dict[str, int | bool]
    scheduled_by: str
    scheduled_at: Moment
    why: str


def step_answer(row: StepRow) -> RoomStepAnswer:
    """A step as the contract has it."""
    names = dict(zip(RoomStepBody.__struct_fields__, RoomStepBody.__struct_encode_fields__, strict=True))
    return RoomStepAnswer(
        step_id=row.step_id,
        at=row.at,
        sets={names[name]: value for name, value in row.asks.items() if isinstance(value, int)},
        scheduled_by=row.scheduled_by,
        scheduled_at=row.scheduled_at,
        why=row.why,
    )


class RoomStepList(AnswerBody, kw_only=True):
    """A room's steps to come, the first to come first."""

    steps: tuple[RoomStepAnswer, ...]


class NewRoomBody(_DialsAtStart, kw_only=True):
    """The room that a new event starts with. What is left out is taken from the gateway's settings."""

    state: Literal["off", "open", "paused", "closed"] | msgspec.UnsetType = msgspec.UNSET


class NewcomerView(AnswerBody, kw_only=True):
    """What the waiting page would tell a fan who joined the line now (see ``Place``)."""

    eta_seconds: int | None
    eta_range: Annotated[tuple[int, ...], Meta(min_length=2, max_length=2)] | None
    line_per_minute: float | None
    may_run_out: bool
    stock: StockLeft | None


class RoomAnswer(_DialsAnswer, kw_only=True):
    """A room: its state, its dials and its figures.

    ``calledPerMinute`` counts the calls of the last ten to twenty seconds, ``measuredPerMinute`` the admissions of the
    last minute. ``priorityWaiting`` of the ``waiting`` fans are in the priority class, which gets ``priorityShare``
    percent of the calls while both classes wait. The figures of bookings are of the event's lane in the last minute;
    ``errors`` counts the refused ones by their code, and ``faults`` those of them that are no answer to a fan's own
    choice, as ``seats_taken`` is. ``letIn`` counts the fans called or let straight in so far.
    ``gatewaysInForce`` of the ``gateways`` that are up use this ``revision``. ``closed`` says that an operator closed
    the room; its state is ``closed`` too until a lobby opens, and once the event is off sale. ``sale`` is where the
    event's sale stands; before it begins, a room without a lobby is ``paused``. ``takings`` are what the sold seats
    cost by the prices now in force, in minor units of ``currency``. ``newcomer`` is null where nobody can join.
    ``shop`` is the origin of somebody else's shop that the room stands before; null for a room of an event with seats.
    """

    event_id: int
    name: str
    venue: str
    date: Moment
    time_zone: TimeZone
    state: str
    sale: SaleState
    waiting: int
    priority_waiting: int
    called: int
    admitted: int
    rate_now_per_minute: float
    measured_per_minute: float | None
    called_per_minute: float | None
    let_in: int
    lobby: int
    paused: bool
    closed: bool
    autopilot_why: str
    no_show_rate: float
    p50_booking_ms: float | None
    p95_booking_ms: float | None
    errors: dict[str, int]
    faults: int
    backlog: int
    sold: int
    held: int
    free: int
    takings: int
    currency: str
    newcomer: NewcomerView | None
    revision: int
    gateways: int
    gateways_in_force: int
    shop: str | None


class RoomList(AnswerBody, kw_only=True):
    rooms: tuple[RoomAnswer, ...]


class RoomLogLine(AnswerBody, kw_only=True):
    at: Moment
    operator: str
    field: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    why: str
    revision: int


def log_line(row: ChangeRow) -> RoomLogLine:
    """A line of a room's or an event's log as the contract has it."""
    return RoomLogLine(
        at=row.at,
        operator=row.operator,
        field=row.field,
        before=row.before,
        after=row.after,
        why=row.why,
        revision=row.revision,
    )


class RoomLogList(AnswerBody, kw_only=True):
    entries: tuple[RoomLogLine, ...]


class RoomHistory(AnswerBody, kw_only=True):
    """A room's figures over the last hour, the oldest first, taken about every ``seconds``.

    The n-th entry of each array was taken at the n-th moment of ``at`` (Unix time, seconds); it is null if the figure
    was not measured then. ``errors`` are the ``faults`` of the room.
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


class CodesIssued(AnswerBody, kw_only=True):
    """The codes just issued. No later answer contains them."""

    issue_id: uuid.UUID
    codes: tuple[str, ...]


class CodeIssueAnswer(AnswerBody, kw_only=True):
    """Codes that were issued together: ``codes`` is their number, ``usesMax`` how many fans may redeem each, ``uses``
    how often they were redeemed in all.
    """

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


class CodeIssueList(AnswerBody, kw_only=True):
    issues: tuple[CodeIssueAnswer, ...]
