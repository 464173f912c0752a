"""What a page shows: events, places and purchases as plain values, and the protocol of what provides them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from litestar import Request
from litestar.datastructures import Cookie

from db.events.seed import RoomSeed
from gateway.contract.line import DrawAnswer, Lobby


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketView:
    """A ticket type on sale. ``price`` in minor units of the event's currency; lapsed holds count as free."""

    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event, its ticket types and its room as the line has it now (``waiting`` counts fans).

    ``absence_seconds`` is how long an absent fan's place is kept once it is their turn.
    """

    event_id: int
    name: str
    artist: str
    venue: str
    date: dt.datetime
    on_sale_at: dt.datetime
    currency: str
    seats_per_fan_max: int
    tickets: Sequence[TicketView]
    room_state: str
    waiting: int
    hold_seconds: int = 600
    absence_seconds: int = 120
    message: str = ""
    """The operators', to the line."""
    lobby: Lobby | None = None
    """Until it is drawn."""
    revision: int = 0
    """Goes up with each change by an operator."""

    @property
    def free(self) -> int:
        return sum(ticket.available_count for ticket in self.tickets)

    @property
    def held(self) -> int:
        return sum(ticket.held_count for ticket in self.tickets)

    @property
    def quantity(self) -> int:
        return sum(ticket.quantity for ticket in self.tickets)

    @property
    def price_from(self) -> int | None:
        return min((ticket.price for ticket in self.tickets), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a fan stands. ``state`` and ``room_state`` are the words of the API; None where it says null."""

    state: str
    room_state: str
    position: int | None = None
    ahead: int | None = None
    waiting: int | None = None
    eta_seconds: int | None = None
    eta_range: tuple[int, ...] | None = None
    """The least and the most, in seconds."""
    may_run_out: bool = False
    """The seats may not last until this place."""
    all_held: int = 0
    """How many seats are in other fans' holds, where no other is left."""
    holds_end_at: dt.datetime | None = None
    fan_hash: str | None = None
    """What stands for the fan in the draw's list, while in the lobby."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasedSeat:
    """``ticket_code`` is None once it is cancelled."""

    ticket_type_id: int
    ticket_type: str
    row_number: int
    seat_number: int
    amount: int
    ticket_code: str | None
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseView:
    """A purchase with its event. ``total_amount`` in minor units, ``status`` confirmed or cancelled.

    ``cancel_until``: its seats can be given back until then; None where none is left, or it is too late.
    """

    purchase_id: uuid.UUID
    event: EventView
    status: str
    total_amount: int
    currency: str
    purchase_at: dt.datetime
    seats: Sequence[PurchasedSeat]
    cancel_until: dt.datetime | None = None


class JoinRefusedError(Exception):
    """A join by form was refused. ``code`` is the problem's code in the API, e.g. ``line_full``."""

    def __init__(self, code: str, status: int = 503, retry_after_seconds: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class PageData(Protocol):
    """What the pages need of the gateway. Each method may raise litestar's `HTTPException`: an error page."""

    captcha_provider: str
    """``altcha``, ``recaptcha``, ``recaptcha_enterprise`` or ``off``: decides what the page may load."""
    new_room: RoomSeed
    """What a new event's room starts with."""

    async def ensure_session(self, request: Request[Any, Any, Any]) -> tuple[int, Cookie | None]:
        """The fan's user id, and the session cookie to set if the request came without a valid one."""

    async def list_events(self, q: str, limit: int) -> Sequence[EventView]:
        """Events to come whose name, artist or venue holds ``q`` (all when empty), soonest first."""

    async def event_view(self, event_id: int) -> EventView | None: ...

    async def draw(self, request: Request[Any, Any, Any], event_id: int) -> DrawAnswer | None:
        """The event's draw as everybody may know it; None where it has no lobby."""

    async def standing(self, event_id: int, user_id: int) -> Standing | None:
        """Where the fan stands (this read is a heartbeat), or None if never joined or left."""

    async def join(self, request: Request[Any, Any, Any], event_id: int, user_id: int) -> None:
        """Join the line.

        Raises:
            JoinRefusedError: the line is full, rebuilding, limited by rate or asks for a captcha.
        """

    async def leave(self, event_id: int, user_id: int) -> None: ...

    async def purchases(self, user_id: int) -> Sequence[PurchaseView]:
        """The fan's own purchases, the newest first."""

    async def purchase(self, user_id: int, purchase_id: uuid.UUID) -> PurchaseView | None:
        """The fan's own purchase; None also for somebody else's."""
