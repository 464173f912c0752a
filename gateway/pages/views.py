"""What a page shows: events, places and purchases as plain values, and the protocol of what provides them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from litestar import Request
from litestar.datastructures import Cookie

from db.booking.charges import Charge
from db.booking.results import Breakdown, breakdown
from db.edge.settings import EdgeSettings
from db.events.sale import WITHDRAWN, SaleState
from db.events.seed import RoomSeed
from db.languages import Texts
from db.orders.asks import Asks
from db.search.reading import Wanted
from db.shops.model import Shop
from gateway.contract.hall import Facets
from gateway.contract.line import DrawAnswer, Lobby
from gateway.line.places import is_quiet
from tickets.wallets import Wallets


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketView:
    """A ticket type on sale. ``price`` is what a fan pays for a seat, with ``fee`` and tax, in minor units of the
    event's currency; lapsed holds count as free. ``tax_basis_points`` is the rate of the tax that is in the price.

    ``sold_from`` and ``sold_until`` are there while its own sale window is not open: it opens then, or has ended.
    """

    ticket_type_id: int
    ticket_type: str
    price: int
    fee: int = 0
    tax_basis_points: int = 0
    sold_from: dt.datetime | None = None
    sold_until: dt.datetime | None = None
    seats_per_fan_max: int | None = None
    quantity: int
    available_count: int
    held_count: int


class OnShow(Protocol):
    """What a page says of an event's sale follows from its room, its seats and where its sale stands."""

    @property
    def sale(self) -> SaleState: ...
    @property
    def room_state(self) -> str: ...
    @property
    def free(self) -> int: ...
    @property
    def held(self) -> int: ...


def is_sold_out(event: OnShow) -> bool:
    """Whether no seat is free and none is held."""
    return event.room_state == "sold_out" or not (event.free or event.held)


def is_on_sale(event: OnShow) -> bool:
    """Whether a fan who comes now can get a ticket, or a place in the line for one."""
    return event.sale is SaleState.ON_SALE and not is_sold_out(event) and event.room_state != "closed"


def is_withdrawn(event: OnShow) -> bool:
    """Whether nothing is sold, and nothing is about to be."""
    return event.sale in WITHDRAWN


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedView:
    """An event in the list, and its room as the line has it now. Its seats may be some seconds old."""

    event_id: int
    name: str
    artist: str
    venue: str
    town: str
    date: dt.datetime
    time_zone: str
    on_sale_at: dt.datetime
    sale: SaleState
    currency: str
    price_from: int | None
    quantity: int
    free: int
    held: int
    room_state: str
    waiting: int
    lobby: Lobby | None
    picture_hash: str | None
    picture_alt: str
    changes_at: Sequence[dt.datetime]
    """When the clock alone changes what is said of the event; moments that are past may be among them."""

    @property
    def is_on_sale(self) -> bool:
        return is_on_sale(self)

    @property
    def is_withdrawn(self) -> bool:
        return is_withdrawn(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListView:
    """A page of the list. ``cursor`` goes on from its end; ``loose``: no event has every word of the search."""

    events: Sequence[ListedView]
    cursor: str | None
    loose: bool
    facets: Facets


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
    time_zone: str
    on_sale_at: dt.datetime
    off_sale_at: dt.datetime
    sale: SaleState
    currency: str
    seats_per_fan_max: int
    tickets: Sequence[TicketView]
    """The cheapest first, as everywhere on the pages."""
    room_state: str
    waiting: int
    hold_seconds: int = 600
    absence_seconds: int = 120
    message: str = ""
    """The operators', to the line."""
    messages: Texts = Texts()  # noqa: RUF009 - it is frozen
    """What some languages have in its place."""
    lobby: Lobby | None = None
    """Until it is drawn."""
    notice: str = ""
    """The operators', to the event's fans."""
    doors_at: dt.datetime | None = None
    picture_hash: str | None = None
    picture_alt: str = ""
    account_required: bool = False
    asks: Asks | None = None
    """What a fan answers before buying."""
    has_waiting_list: bool = False
    takes_payments: bool = False
    """Money goes back by itself, in the way in which it was paid."""
    revision: int = 0
    """Goes up with each change by an operator."""
    shop: Shop | None = None
    """What the line stands before, where that is no hall of ours."""
    changes_at: Sequence[dt.datetime] = ()
    """When the clock alone changes what is said of the event; moments that are past may be among them."""

    @property
    def is_quiet(self) -> bool:
        return is_quiet(self.sale, self.room_state, self.lobby)

    @property
    def is_withdrawn(self) -> bool:
        return is_withdrawn(self)

    @property
    def is_sold_out(self) -> bool:
        return is_sold_out(self)

    @property
    def is_on_sale(self) -> bool:
        return is_on_sale(self)

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
    class_waiting: int | None = None
    """Of the fan's own class."""
    priority: bool = False
    eta_seconds: int | None = None
    eta_range: tuple[int, ...] | None = None
    """The least and the most, in seconds."""
    may_run_out: bool = False
    """The seats may not last until this place."""
    all_held: int = 0
    """How many seats are in other fans' holds, where no other is left."""
    holds_end_at: dt.datetime | None = None
    claim_by_seconds: int | None = None
    """How long a called fan has to come in."""
    pass_cookies: Sequence[Cookie] = ()
    """The cookie of an admitted fan's pass."""
    fan_hash: str | None = None
    """What stands for the fan in the draw's list, while in the lobby."""
    place: bool = False
    """The fan holds a place, even if it cannot be shown now."""

    @property
    def behind(self) -> int | None:
        """How many of the fan's own class wait behind the fan."""
        if self.position is None or self.class_waiting is None:
            return None
        return max(0, self.class_waiting - self.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasedSeat:
    """``ticket_code`` and ``ticket``, which the QR code says, are None once the seat or its event is cancelled, or
    another fan has the ticket (``handed_on``). ``hand_on`` is the token by which the fan can hand it on, empty where
    that cannot be. ``row`` and ``seat`` are what they are called in the hall, and ``section`` is empty where no hall
    plan names one; so is ``entrance`` where the ticket type does not.
    """

    ticket_type_id: int
    ticket_type: str
    row_number: int
    seat_number: int
    row: str
    seat: str
    section: str
    entrance: str
    amount: int
    charge: Charge
    ticket_code: str | None
    ticket: str | None = None
    issue_number: int = 1
    handed_on: bool = False
    hand_on: str = ""
    cancelled: bool = False
    fee: int = 0
    """What is kept of the amount of a cancelled seat, or would be if it were cancelled now."""

    @property
    def refund(self) -> int:
        return self.amount - self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseView:
    """A purchase with its event. ``total_amount`` in minor units, ``status`` confirmed, cancelled or
    event_cancelled.

    ``cancel_until``: its seats can be given back until then; None where none is left, or it is too late.
    ``key`` is the key in the purchase's own link, and ``user_id`` the fan who sees it: who bought, or to whom the
    tickets were handed (``received``).
    """

    purchase_id: uuid.UUID
    user_id: int
    key: str
    event: EventView
    status: str
    total_amount: int
    currency: str
    purchase_at: dt.datetime
    seats: Sequence[PurchasedSeat]
    cancel_until: dt.datetime | None = None
    received: bool = False
    order_code: str = ""
    complimentary: bool = False

    @property
    def breakdown(self) -> Breakdown | None:
        """What of the seats that are left is fee and tax; None where neither is."""
        return breakdown([seat.charge for seat in self.seats if not seat.cancelled])


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order's own facts, amounts in minor units. ``name`` is empty where the event asked for none, ``attendees`` are
    (ticket type, row, seat) with the name of who comes.
    """

    name: str
    mail: str
    attendees: Mapping[tuple[int, int, int], str]
    paid: int
    returned: int
    """Has gone back, or is on its way."""
    has_invoice: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTicket:
    """A ticket that somebody hands on, as its link shows it. ``row`` and ``seat`` are what they are called."""

    event: EventView
    ticket_type: str
    section: str
    row: str
    seat: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSeatView:
    """A held seat. ``amount`` in minor units; row and seat by what they are called."""

    ticket_type: str
    row_label: str
    label: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """A live hold of the fan's. ``total_amount`` in minor units; ``breakdown`` where fee or tax are in it."""

    reservation_id: uuid.UUID
    seats: Sequence[HeldSeatView]
    total_amount: int
    currency: str
    expires_at: dt.datetime
    breakdown: Breakdown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingView:
    """A fan's entry in a waiting list. ``state`` is ``waiting``, ``offered`` or what became of it, ``ahead`` how many
    wait before it for the same ticket type, and ``offer_ends_at`` until when the seats of an offer are kept.
    """

    number: int
    ticket_type: str
    quantity: int
    state: str
    ahead: int
    offer_ends_at: dt.datetime | None = None


class PlainRefusedError(Exception):
    """A form of a fan without scripts was refused. ``code`` is the problem's code in the API, or ``queued`` if what
    comes of it is not known yet.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class JoinRefusedError(Exception):
    """A join by form was refused. ``code`` is the problem's code in the API, e.g. ``line_full``; or ``patience``: the
    fan can join with the ticket ``patience`` once the time is over.
    """

    def __init__(
        self, code: str, status: int = 503, retry_after_seconds: int | None = None, patience: str = ""
    ) -> None:
        super().__init__(code)
        self.patience = patience
        self.code = code
        self.status = status
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentView:
    """A payment. ``stage``: ``open`` (the fan can pay), ``waiting``, ``processing`` (a bank takes days), ``returned``
    or ``failed``; with a ``purchase_id`` it is over. ``client_secret`` is for the provider's script, ``href`` its own
    page; one of them is empty, or both. ``discount`` is what a voucher lowers the seats' amounts by. ``job_id`` is that
    of a checkout that waits for the payment.
    """

    payment_id: uuid.UUID
    event: EventView
    seats: Sequence[HeldSeatView]
    amount: int
    currency: str
    expires_at: dt.datetime
    provider: str
    stage: str
    purchase_id: uuid.UUID | None
    client_secret: str
    href: str
    discount: int
    job_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page: ``user_id`` is None without a valid session.

    ``is_stranger``: the request brought no session at all, so it is shown what everybody is shown. ``cookie`` has the
    browser forget a session that is not valid.
    """

    user_id: int | None
    is_stranger: bool
    cookie: Cookie | None = None


class PageData(Protocol):
    """What the pages need of the gateway. Each method may raise litestar's `HTTPException`: an error page."""

    captcha_provider: str
    """``altcha``, ``recaptcha``, ``recaptcha_enterprise`` or ``off``: decides what the page may load."""
    seats_per_request_max: int
    stripe_key: str
    """Stripe's publishable key; empty without Stripe."""
    takes_mail: bool
    takes_phone: bool
    """Whether this site sends mail, and whether it sends SMS."""
    push_key: str
    """The VAPID key by which browsers subscribe to web push; empty: this site sends none."""
    wallets: Wallets
    """Those of phones that tickets can be put into."""
    new_room: RoomSeed
    """What a new event's room starts with."""

    edge: EdgeSettings
    appeal: str
    """Where a fan writes to who was refused as a program; empty: to the organiser."""

    async def ensure_session(self, request: Request[Any, Any, Any]) -> tuple[int, Cookie | None]:
        """The user id of the fan who sends a form, and the session cookie to set if it came without a valid one."""

    def visitor(self, request: Request[Any, Any, Any], *, for_tickets: bool = False) -> Visitor:
        """Who looks at a page. To look makes no session. `for_tickets` a session that has ended is valid too, if
        `keep_session` says so.
        """

    def now(self) -> dt.datetime:
        """The moment by the clock that sales go by."""

    async def list_events(self, wanted: Wanted, *, by_date: bool, cursor: str | None, limit: int) -> ListView:
        """The events that are wanted and are to come, or began some hours ago.

        Raises:
            ProblemError: ``invalid_request``: the cursor was never given.
        """

    async def event_view(self, event_id: int) -> EventView | None: ...

    async def draw(self, request: Request[Any, Any, Any], event_id: int) -> DrawAnswer | None:
        """The event's draw as everybody may know it; None where it has no lobby."""

    async def standing(self, event_id: int, user_id: int) -> Standing | None:
        """Where the fan stands (this read is a heartbeat), or None if never joined or left."""

    async def join(self, request: Request[Any, Any, Any], event_id: int, user_id: int, patience: str | None) -> None:
        """Join the line, perhaps with a ticket of patience.

        Raises:
            JoinRefusedError: the line is full, rebuilding, limited by rate or asks for a captcha, or what the session
                did looks like a program's.
        """

    async def leave(self, event_id: int, user_id: int) -> None: ...

    async def way_to_shop(self, request: Request[Any, Any, Any], shop: EventView, user_id: int, to: str) -> str | None:
        """The address by which an admitted fan comes to a shop, with what gives a pass there; None for one who is not
        admitted.
        """
        ...

    async def claim(self, request: Request[Any, Any, Any], event_id: int, user_id: int) -> Sequence[Cookie]:
        """Claim the call; return the cookie of the pass.

        Raises:
            PlainRefusedError
        """

    async def holds(self, event_id: int, user_id: int) -> Sequence[HoldView]:
        """The fan's live holds."""

    async def hold_best(
        self,
        request: Request[Any, Any, Any],
        event_id: int,
        user_id: int,
        *,
        ticket_type_id: int,
        quantity: int,
        accessible: bool,
        key: str,
    ) -> None:
        """Hold the best available seats; ``key`` is the form's Idempotency-Key.

        Raises:
            PlainRefusedError
        """

    async def order(self, purchase: PurchaseView) -> OrderView:
        """What the fan of a purchase answered and paid for it, and what went back."""

    async def answer(
        self,
        request: Request[Any, Any, Any],
        event_id: int,
        user_id: int,
        reservation_id: uuid.UUID,
        fields: Mapping[str, str],
    ) -> None:
        """Keep what a form answers to what the event asks; nothing where it asks for nothing.

        Raises:
            PlainRefusedError
        """

    async def buy(
        self, request: Request[Any, Any, Any], event_id: int, user_id: int, reservation_id: uuid.UUID, voucher: str
    ) -> str:
        """Buy a hold where no captcha is asked for, with a voucher unless it is empty; return the path of the purchase,
        or of the page to pay it.

        Raises:
            PlainRefusedError
        """

    async def payment(self, request: Request[Any, Any, Any], user_id: int, payment_id: uuid.UUID) -> PaymentView | None:
        """The fan's own payment; None for somebody else's."""

    async def payment_with_news(
        self, request: Request[Any, Any, Any], user_id: int, payment: PaymentView, wait_seconds: float
    ) -> PaymentView | None:
        """The payment again, once the checkout that waits for it has news, or after so long."""

    async def payments_at_banks(self, request: Request[Any, Any, Any], user_id: int) -> Sequence[PaymentView]:
        """The fan's own payments that banks take days for."""

    async def act_on_payment(self, payment: PaymentView, act: str) -> None:
        """Do what the fan chose: one of the test provider's ways (`gateway.booking.payments.Payments.pay_test`), or
        ``there`` to pay on the provider's own page; else look at the payment.
        """

    async def give_back(
        self, request: Request[Any, Any, Any], event_id: int, user_id: int, reservation_id: uuid.UUID
    ) -> None:
        """Give a hold back.

        Raises:
            PlainRefusedError
        """

    async def waiting(self, event_id: int, user_id: int) -> WaitingView | None:
        """The fan's latest entry in the event's waiting list."""

    async def wait(
        self, request: Request[Any, Any, Any], event_id: int, user_id: int, *, ticket_type_id: int, quantity: int
    ) -> None:
        """Enter the waiting list.

        Raises:
            PlainRefusedError
        """

    async def stop_waiting(self, event_id: int, user_id: int) -> None:
        """Leave the waiting list, or decline what is offered.

        Raises:
            PlainRefusedError
        """

    def keep_session(self, request: Request[Any, Any, Any], purchases: Sequence[PurchaseView | PaymentView]) -> bool:
        """Have the session outlive the events of these purchases and payments, to which it is the key. False for a
        session that has ended, where these events are over too.
        """

    def is_account(self, request: Request[Any, Any, Any]) -> bool:
        """Whether the fan has signed in to an account."""

    async def fans_of(self, request: Request[Any, Any, Any], user_id: int) -> Sequence[int]:
        """The user ids whose purchases the session shows: its own, and then those that an account's fan had before."""

    async def end_session(self, request: Request[Any, Any, Any]) -> Cookie:
        """End the session of an account; the cookie has the browser forget the fan.

        Raises:
            ProblemError: ``cross_site``.
        """

    async def purchases(self, user_id: int) -> Sequence[PurchaseView]:
        """The fan's own purchases, the newest first."""

    async def purchase_by_key(self, purchase_id: uuid.UUID, key: str) -> PurchaseView | None:
        """The purchase that this key opens."""

    async def purchase(self, user_id: int, purchase_id: uuid.UUID) -> PurchaseView | None:
        """The fan's own purchase; None also for somebody else's."""

    async def tickets_pdf(self, request: Request[Any, Any, Any], purchase: PurchaseView, title: str) -> bytes | None:
        """The purchase's valid tickets as a PDF in the reader's language; None where no font has their letters.

        Raises:
            ProblemError: ``rate_limited``.
        """

    async def invoices_pdf(self, request: Request[Any, Any, Any], purchase: PurchaseView) -> bytes:
        """The invoice of the purchase and its credit notes as a PDF, in the language in which they were made.

        Raises:
            ProblemError: ``no_invoice`` or ``rate_limited``.
        """

    async def offered(self, token: str) -> OfferedTicket | None:
        """The ticket that the link with this token hands on; None for a token that we did not make. The ticket may be
        taken already.
        """

    async def take(self, request: Request[Any, Any, Any], user_id: int, token: str) -> uuid.UUID:
        """Take the ticket, and return the id of its purchase.

        Raises:
            PlainRefusedError
        """
