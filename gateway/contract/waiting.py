"""Bodies and answers of waiting lists."""

from __future__ import annotations

import uuid
from typing import Annotated

from msgspec import Meta

from db.waiting.states import QUANTITY_MAX
from gateway.contract.values import AnswerBody, Moment, RequestBody, TicketTypeId


class WaitBody(RequestBody, kw_only=True):
    """So many seats of one ticket type; an offer never has fewer."""

    EXAMPLES = ({"ticketTypeId": 1, "quantity": 2},)

    ticket_type_id: TicketTypeId
    quantity: Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]


class WaitingEntryAnswer(AnswerBody, kw_only=True):
    """``state`` is ``waiting``, ``offered`` (the hold ``reservationId`` is the fan's until ``offerEndsAt``), ``taken``,
    ``declined``, ``lapsed``, ``left``, or ``passed``: at its turn the fan had as many seats as one fan may have.
    ``ahead`` is how many wait before it for the same ticket type; it never rises. ``link`` chains the entry to the one
    before (ADR 82).
    """

    event_id: int
    number: int
    ticket_type_id: int
    quantity: int
    state: str
    entered_at: Moment
    link: str
    ahead: int | None = None
    reservation_id: uuid.UUID | None = None
    offer_ends_at: Moment | None = None


class WaitingEntryListed(AnswerBody, kw_only=True):
    """An entry as everybody may see it; whose it is, nobody is told."""

    number: int
    ticket_type_id: int
    quantity: int
    state: str
    entered_at: Moment
    ended_at: Moment | None
    link: str


class WaitingEntryList(AnswerBody, kw_only=True):
    """``next`` is the number to go on from; null at the end of the list."""

    entries: tuple[WaitingEntryListed, ...]
    next: int | None


class WaitingOfType(AnswerBody, kw_only=True):
    """Entries of a ticket type by what became of them; ``seats`` is what those that wait ask for together."""

    ticket_type_id: int
    ticket_type: str
    waiting: int = 0
    seats: int = 0
    offered: int = 0
    taken: int = 0
    declined: int = 0
    lapsed: int = 0
    left: int = 0
    passed: int = 0


class WaitingFigures(AnswerBody, kw_only=True):
    """An event's waiting list in numbers. Whether fans can enter and how long an offer lasts are dials of its room."""

    event_id: int
    is_on: bool
    offer_minutes: int
    types: tuple[WaitingOfType, ...]
