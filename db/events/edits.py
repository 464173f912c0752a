"""The changes that an operator may ask of an event, and the reasons why one is refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from db.change_log.changes import ChangeRow
from db.events.blocks import SeatBlock
from db.events.cancelling import Bookings
from db.events.terms import NO_TERMS, Terms
from db.events.ticket_types import block_row

SEATS_NAMED_MAX: Final = 100
FACTS: Final = (
    "name",
    "artist",
    "venue",
    "date",
    "time_zone",
    "on_sale_at",
    "off_sale_set",
    "event_state",
    "currency",
    "seats_per_fan_max",
    "notice",
    "doors_at",
    "picture_hash",
    "picture_alt",
    "account_required",
    "payments",
    "town",
    "tags",
)

Seat = tuple[int, int, int]
"""(ticket_type_id, row_number, seat_number)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change is refused: a problem's code, where in the request, and a sentence. ``seats`` are the seats in
    question, `SEATS_NAMED_MAX` at most.
    """

    code: str
    path: str
    message: str
    seats: tuple[Seat, ...] = ()


class EventRefusedError(Exception):
    """The change would strand a fan, or makes no sense; nothing was changed."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("; ".join(refusal.message for refusal in refusals))
        self.refusals = tuple(refusals)


class EventChangedError(Exception):
    """Another operator changed the event after the revision that a change was meant for.

    ``revision`` is the one in force, ``since`` the changes made meanwhile, the oldest first.
    """

    def __init__(self, revision: int, since: list[ChangeRow]) -> None:
        super().__init__(f"the event stands at revision {revision}")
        self.revision = revision
        self.since = since


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTicketType:
    """A ticket type to be added; it gets the next id. No seat stands in two of its blocks."""

    path: str
    ticket_type: str
    price: int
    blocks: tuple[SeatBlock, ...]
    entrance: str = ""
    terms: Terms = NO_TERMS


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedTicketType:
    """A ticket type's new name, price or entrance; None leaves it as it is. ``terms`` has the terms that are new."""

    path: str
    ticket_type_id: int
    ticket_type: str | None = None
    price: int | None = None
    entrance: str | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatsOfType:
    """Seats of a ticket type, to be added or removed."""

    path: str
    ticket_type_id: int
    blocks: tuple[SeatBlock, ...]


@dataclass(frozen=True, slots=True)
class NewAllotment:
    """A name for seats that are taken out of the sale, to be put back later."""

    allotment_id: uuid.UUID
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEdit:
    """What is to change: ``facts`` by their names in `EventRow` (`FACTS`), ticket types and seats.

    ``path`` of a part is where the caller's request names it. No seat is named twice among those to be added.

    With ``set_aside`` the removed seats are kept as an allotment of that name. ``put_back`` names an allotment whose
    seats come back.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    fact_paths: Mapping[str, str] = field(default_factory=dict)
    changed_types: tuple[ChangedTicketType, ...] = ()
    added_types: tuple[NewTicketType, ...] = ()
    removed_types: tuple[tuple[str, int], ...] = ()
    added_seats: tuple[SeatsOfType, ...] = ()
    removed_seats: tuple[SeatsOfType, ...] = ()
    set_aside: NewAllotment | None = None
    put_back: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit did.

    Attributes:
        sale_moved: the room's revision went up too, so its copy in Redis is to be renewed.
        cancelled: what fans had of the event, if the edit cancelled it.
        shortened: how many purchases can be cancelled for less long than before.
    """

    changed: bool
    sale_moved: bool
    cancelled: Bookings | None = None
    shortened: int = 0


def seat_rows(parts: Sequence[SeatsOfType]) -> str:
    """The parts' blocks as the JSON parameter of a statement; ``item`` is a part's index."""
    return json.dumps(
        [block_row(item, part.ticket_type_id, block) for item, part in enumerate(parts) for block in part.blocks]
    )
