"""Bodies and answers of the lanes in which events are booked."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta

from db.lanes.maps import LANES_MAX
from gateway.contract.values import AnswerBody, EventId, RequestBody


class LaneEvent(AnswerBody, kw_only=True):
    event_id: int
    name: str


class LaneAnswer(AnswerBody, kw_only=True):
    """A lane; ``batches`` wait in its queue. One that ``sharesEvents`` books those of its number, and each lane books
    the events that were moved to it. One that ``handsOver`` has yet to apply what it was given for an event that left.
    """

    lane: int
    has_worker: bool
    batches: int
    shares_events: bool
    hands_over: bool
    moved_here: tuple[LaneEvent, ...]


class LaneList(AnswerBody, kw_only=True):
    """The lanes that need a worker. ``count`` lanes share the events that have none of their own; ``madeBy`` set that
    last, and is missing while ``ADMITONE_LANES`` holds.
    """

    count: int
    revision: int
    made_at: dt.datetime | None
    made_by: str | None
    lanes: tuple[LaneAnswer, ...]


class LaneCountBody(RequestBody, kw_only=True):
    EXAMPLES = ({"count": 1},)

    count: Annotated[int, Meta(ge=1, le=LANES_MAX)]


class MoveBody(RequestBody, kw_only=True):
    """An event and its new lane; null: the one that its number gives it."""

    EXAMPLES = ({"eventId": 1, "lane": 0}, {"eventId": 1, "lane": None})

    event_id: EventId
    lane: Annotated[int, Meta(ge=0, lt=LANES_MAX)] | None
