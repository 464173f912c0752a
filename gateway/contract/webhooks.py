"""Bodies and answers of webhooks."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from db.outbox.kinds import OutboxKind
from db.texts import END, ONE_LINE, fault_of_line, tidy
from db.webhooks.endpoints import DESCRIPTION_CHARS_MAX
from gateway.contract.values import AnswerBody, EventId, Moment, RequestBody

WebhookUrl = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=r"^https?://[A-Za-z0-9.\[\]:-]+(/[!\x22$-~]*)?" + END,
        description="https in production",
    ),
]

WebhookKinds = Annotated[tuple[OutboxKind, ...], Meta(min_length=1, max_length=20)]

WebhookDescription = Annotated[str, Meta(max_length=DESCRIPTION_CHARS_MAX, pattern=ONE_LINE)]


def _refuse_long(description: str) -> None:
    fault = fault_of_line(tidy(description), DESCRIPTION_CHARS_MAX)
    if fault is not None:
        raise ValueError(f"description: {fault}")


_KINDS = [OutboxKind.ROOM_SOLD_OUT.value, OutboxKind.PURCHASE_MADE.value]


class WebhookBody(RequestBody, kw_only=True):
    """A new webhook. With an ``eventId`` it gets the news of this event alone."""

    EXAMPLES = ({"url": "https://shop.example.org/admit-one", "kinds": _KINDS, "eventId": 1},)

    url: WebhookUrl
    kinds: WebhookKinds
    event_id: EventId | None = None
    description: WebhookDescription = ""

    def __post_init__(self) -> None:
        _refuse_long(self.description)


class WebhookPatch(RequestBody, kw_only=True):
    EXAMPLES = ({"enabled": False},)

    url: WebhookUrl | msgspec.UnsetType = msgspec.UNSET
    kinds: WebhookKinds | msgspec.UnsetType = msgspec.UNSET
    event_id: EventId | msgspec.UnsetType | None = msgspec.UNSET
    description: WebhookDescription | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.description is not msgspec.UNSET:
            _refuse_long(self.description)

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["anyOf"] = [{"required": [name]} for name in schema["properties"]]


class ResendBody(RequestBody, kw_only=True):
    EXAMPLES = ({},)

    message_id: uuid.UUID | None = None


class WebhookAnswer(AnswerBody, kw_only=True):
    """A webhook. ``pending`` counts its deliveries still to be made, ``dead`` the ones that were given up; both counts
    stop at 10,000.

    ``failingSince`` is the first failure since the last success. ``disabledWhy`` is empty, ``operator``, ``gone`` (the
    webhook answered 410) or ``failing``. Until ``oldSecretUntil`` messages are also signed with the previous secret.
    """

    webhook_id: int
    url: str
    description: str
    kinds: tuple[OutboxKind, ...]
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


class WebhookList(AnswerBody, kw_only=True):
    webhooks: tuple[WebhookAnswer, ...]


class WebhookSecret(AnswerBody, kw_only=True):
    """A webhook and its ``secret``, which no later answer contains."""

    webhook: WebhookAnswer
    secret: str


class DeliveryAnswer(AnswerBody, kw_only=True):
    """A delivery. ``messageId`` is its header ``webhook-id``; ``status`` is the HTTP status of the webhook's last
    answer, null if it never answered.
    """

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


class DeliveryList(AnswerBody, kw_only=True):
    deliveries: tuple[DeliveryAnswer, ...]


class Resent(AnswerBody, kw_only=True):
    """How many deliveries will be sent again."""

    resent: int


class WebhookLogLine(AnswerBody, kw_only=True):
    at: Moment
    operator: str
    webhook_id: int
    field: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")


class WebhookLogList(AnswerBody, kw_only=True):
    entries: tuple[WebhookLogLine, ...]
