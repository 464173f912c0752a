"""Bodies and answers of allotments."""

from __future__ import annotations

import uuid
from typing import Annotated

from msgspec import Meta

from db.events.ticket_types import TICKET_TYPES_MAX
from gateway.contract.programme import SeatsOfTypeBody, TypeName
from gateway.contract.values import AnswerBody, Moment, RequestBody, SeatAnswer, Why


class AllotmentBody(RequestBody, kw_only=True):
    """Free seats to be taken out of the sale under a name."""

    EXAMPLES = (
        {"name": "House seats", "seats": [{"ticketTypeId": 1, "rows": [{"rowNumber": 1, "seatNumbers": [1, 2]}]}]},
    )

    name: TypeName
    seats: Annotated[tuple[SeatsOfTypeBody, ...], Meta(min_length=1, max_length=TICKET_TYPES_MAX)]
    why: Why = ""


class AllotmentMade(AnswerBody, kw_only=True):
    allotment_id: uuid.UUID
    name: str


class AllotmentAnswer(AnswerBody, kw_only=True):
    """Seats that are out of the sale."""

    allotment_id: uuid.UUID
    name: str
    made_at: Moment
    made_by: str
    seats: tuple[SeatAnswer, ...]


class AllotmentList(AnswerBody, kw_only=True):
    allotments: tuple[AllotmentAnswer, ...]
