"""Bodies and answers of operators' alarms."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from db.alarms.kinds import FOR_SECONDS_MAX, AlarmKind, ReceiverChannel
from db.alarms.receivers import NAME_CHARS_MAX
from db.texts import ONE_LINE, fault_of_line, tidy
from gateway.contract.contacts import Mail
from gateway.contract.push import Endpoint, PushKeys
from gateway.contract.values import AnswerBody, Moment, RequestBody
from gateway.contract.webhooks import WebhookUrl

THRESHOLD_MAX: Final = 10_000_000
_CHANNELS: Final = ("mail", "chat", "push")

AlarmKinds = Annotated[
    tuple[AlarmKind, ...], Meta(max_length=20, description="the kinds that it hears of; empty: of all")
]
ReceiverName = Annotated[str, Meta(max_length=NAME_CHARS_MAX, pattern=ONE_LINE)]


def _refuse_long(name: str) -> None:
    fault = fault_of_line(tidy(name), NAME_CHARS_MAX)
    if fault is not None:
        raise ValueError(f"name: {fault}")


class AlarmRuleBody(RequestBody, kw_only=True):
    """When an alarm of a kind begins: once the figure has been at the threshold or above it for ``forSeconds``. What is
    left out is the kind's default.
    """

    EXAMPLES = ({"enabled": True, "threshold": 2000, "forSeconds": 60}, {"enabled": False})

    enabled: bool
    threshold: Annotated[int, Meta(ge=0, le=THRESHOLD_MAX)] | msgspec.UnsetType = msgspec.UNSET
    for_seconds: Annotated[int, Meta(ge=0, le=FOR_SECONDS_MAX)] | msgspec.UnsetType = msgspec.UNSET


class AlarmRuleAnswer(AnswerBody, kw_only=True):
    """A rule of the whole site. A kind without a ``unit`` holds or does not, and its threshold cannot be set.

    ``scope``: whether there is an alarm for each event, or for each lane, on which the bookings of some events run.
    """

    kind: AlarmKind
    headline: str
    meaning: str
    scope: Literal["event", "lane"]
    unit: Literal["ms", "%", "fans", "s", ""]
    enabled: bool
    threshold: int
    for_seconds: int
    threshold_min: int
    threshold_max: int
    default_threshold: int
    default_for_seconds: int


class AlarmExceptionAnswer(AnswerBody, kw_only=True):
    """A rule of one event, in the place of the site's. ``event`` is the event's name."""

    kind: AlarmKind
    event_id: int
    event: str
    enabled: bool
    threshold: int
    for_seconds: int


class AlarmRuleList(AnswerBody, kw_only=True):
    """The rules of the site, and the ones of single events."""

    rules: tuple[AlarmRuleAnswer, ...]
    exceptions: tuple[AlarmExceptionAnswer, ...]


class AlarmAnswer(AnswerBody, kw_only=True):
    """An alarm that stands, or one that is over. ``figure`` and ``threshold`` are in words, with their unit.

    ``events`` are names of the events that it is about, ``more`` says how many are not named; ``eventId`` is the one
    whose room shows it, null where there is none.
    """

    kind: AlarmKind
    headline: str
    sentence: str
    threshold: str
    is_trouble: bool
    events: tuple[str, ...]
    more: int
    event_id: int | None
    time_zone: str
    since: Moment
    ended_at: Moment | None


class AlarmList(AnswerBody, kw_only=True):
    """The alarms that stand, and the latest ones that are over. ``lookedAt`` is the last look at the figures: while it
    is old, or null, nobody is told of anything, because no worker runs.
    """

    firing: tuple[AlarmAnswer, ...]
    ended: tuple[AlarmAnswer, ...]
    looked_at: Moment | None


class OperatorBrowser(RequestBody, kw_only=True):
    """A browser's `PushSubscription` as its ``toJSON`` gives it."""

    endpoint: Endpoint
    keys: PushKeys


class AlarmReceiverBody(RequestBody, kw_only=True):
    """A new receiver: a mail address, the incoming webhook of a chat, or a browser. One that is known is set anew."""

    EXAMPLES = (
        {"mail": "ops@venue.example", "kinds": ["booking_errors", "line_long"]},
        {"chat": "https://hooks.chat.example/services/T0/B0/x", "name": "On-sale channel"},
    )

    mail: Mail | msgspec.UnsetType = msgspec.UNSET
    chat: WebhookUrl | msgspec.UnsetType = msgspec.UNSET
    push: OperatorBrowser | msgspec.UnsetType = msgspec.UNSET
    name: ReceiverName = ""
    kinds: AlarmKinds = ()

    def __post_init__(self) -> None:
        if sum(getattr(self, channel) is not msgspec.UNSET for channel in _CHANNELS) != 1:
            raise ValueError("give one of mail, chat and push")
        _refuse_long(self.name)

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["oneOf"] = [{"required": [channel]} for channel in _CHANNELS]


class AlarmReceiverPatch(RequestBody, kw_only=True):
    """A change of a receiver. It is told nothing until ``quietUntil``, and then of what still stands."""

    EXAMPLES = ({"kinds": ["sold_out"]}, {"quietUntil": None})

    name: ReceiverName | msgspec.UnsetType = msgspec.UNSET
    kinds: AlarmKinds | msgspec.UnsetType = msgspec.UNSET
    quiet_until: Moment | msgspec.UnsetType | None = msgspec.UNSET

    def __post_init__(self) -> None:
        if isinstance(self.name, str):
            _refuse_long(self.name)
        if isinstance(self.quiet_until, dt.datetime) and not 2000 <= self.quiet_until.year < 2200:
            raise ValueError("the year of quietUntil must be from 2000 to 2199")

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["anyOf"] = [{"required": [name]} for name in schema["properties"]]


class AlarmReceiverAnswer(AnswerBody, kw_only=True):
    """A receiver. Of a chat's or a browser's address only the host and the last characters are shown.

    ``failingSince`` is the first failure since the last success, and ``error`` says why. One that is ``gone`` is told
    no more until a test alarm reaches it.
    """

    receiver_id: int
    channel: ReceiverChannel
    address: str
    name: str
    kinds: tuple[AlarmKind, ...]
    quiet_until: Moment | None
    made_at: Moment
    delivered_at: Moment | None
    failing_since: Moment | None
    error: str
    gone: bool


class AlarmReceiverList(AnswerBody, kw_only=True):
    receivers: tuple[AlarmReceiverAnswer, ...]


class AlarmLogLine(AnswerBody, kw_only=True):
    """One changed field: of a rule, whose ``id`` is its event's (0: the whole site), or of a receiver."""

    at: Moment
    operator: str
    subject: Literal["alarm_rule", "alarm_receiver"]
    id: int
    field: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")


class AlarmLogList(AnswerBody, kw_only=True):
    entries: tuple[AlarmLogLine, ...]
