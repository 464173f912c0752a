"""Bodies and answers of the operators' desk for fans."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from msgspec import Meta

from db.texts import ONE_LINE
from gateway.contract.line import ReceiptEntry
from gateway.contract.values import AnswerBody, Moment, RequestBody

WHY_CHARS_MAX = 500
EXTEND_SECONDS_MIN, EXTEND_SECONDS_MAX = 60, 1800

Why = Annotated[str, Meta(min_length=1, max_length=WHY_CHARS_MAX, pattern=ONE_LINE, description="for the log")]


class FanMessageBody(RequestBody, kw_only=True):
    EXAMPLES = ({"messageId": "019a5b1e-7c1a-7b44-9d3e-5f0a2b6c8d10", "why": "deleted by mistake"},)

    message_id: uuid.UUID
    why: Why


class ExtendBody(RequestBody, kw_only=True):
    EXAMPLES = ({"reservationId": "019a5b1e-7c1a-7b44-9d3e-5f0a2b6c8d10", "seconds": 300, "why": "card was slow"},)

    reservation_id: uuid.UUID
    seconds: Annotated[int, Meta(ge=EXTEND_SECONDS_MIN, le=EXTEND_SECONDS_MAX)]
    why: Why


class PutBackBody(RequestBody, kw_only=True):
    """``old``: at the place that ended. ``front``: before all who wait in the fan's class."""

    EXAMPLES = ({"where": "old", "why": "telephone broke down"},)

    where: Literal["old", "front"]
    why: Why


class FoundFanAnswer(AnswerBody, kw_only=True):
    """``foundBy`` is ``order``, ``hold``, ``address``, ``ticket``, ``session`` or ``place``."""

    event_id: int
    event_name: str
    user_id: int
    found_by: str


class FoundFans(AnswerBody, kw_only=True):
    fans: tuple[FoundFanAnswer, ...]


class FanPlace(AnswerBody, kw_only=True):
    """Where the fan stands in the line. ``position`` is 0 unless the fan waits."""

    state: str
    room_state: str
    position: int
    ticket_number: int
    priority: bool
    claim_by_seconds: int | None
    pass_until: Moment | None


class FanHold(AnswerBody, kw_only=True):
    reservation_id: uuid.UUID
    state: str
    seats: int
    total_amount: int
    made_at: Moment
    expires_at: Moment
    network: str


class FanPurchase(AnswerBody, kw_only=True):
    purchase_id: uuid.UUID
    status: str
    seats: int
    total_amount: int
    currency: str
    purchase_at: Moment


class FanMessage(AnswerBody, kw_only=True):
    message_id: uuid.UUID
    kind: str
    channel: str
    address: str
    state: str
    created_at: Moment
    error: str


class PardonBody(RequestBody, kw_only=True):
    EXAMPLES = ({"why": "She called; she uses a program that reads pages aloud."},)

    why: Why


class DeskLine(AnswerBody, kw_only=True):
    """What an operator did for the fan."""

    at: Moment
    operator: str
    what: str
    detail: str
    why: str


class FanFile(AnswerBody, kw_only=True):
    """All that an event has of a fan: the place, its history, holds, purchases, messages, and what the desk did."""

    event_id: int
    event_name: str
    user_id: int
    place: FanPlace | None
    history: tuple[ReceiptEntry, ...]
    addresses: dict[str, str]
    holds: tuple[FanHold, ...]
    purchases: tuple[FanPurchase, ...]
    messages: tuple[FanMessage, ...]
    acts: tuple[DeskLine, ...]
