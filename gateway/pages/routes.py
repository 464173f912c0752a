"""The pages a fan and an operator see, rendered on the server and served with their few static files.

The pages ask `PageData` for what they show; the gateway gives it as the dependency ``pages``. Everything that
moves after the first paint comes from the public API, called by the scripts in ``gateway/pages/static``.
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import logging
import mimetypes
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import Parameter, SkipValidation
from markupsafe import Markup, escape

from db.events.seed import RoomSeed
from db.outbox.kinds import OutboxKind
from db.rooms.dials import DIALS
from gateway.contract.line import DrawAnswer, Lobby
from gateway.contract.values import ID_MAX
from gateway.pages.bundles import bundle_scripts

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parent
EVENTS_LISTED_MAX = 60
SEARCH_CHARACTERS_MAX = 100
SEATS_DRAWN_MAX = 3000
REFRESH_SECONDS = 10
"""How often a page without scripts reloads itself to show the place."""

# ISO 4217: currencies whose minor unit is not a hundredth.
EXPONENTS = dict.fromkeys(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ],
    0,
) | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)
SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥"}


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


Pages = NamedDependency[SkipValidation[PageData]]


SEATS_BACK = dt.timedelta(seconds=30)


def format_money(amount: int, currency: str) -> str:
    """``amount`` minor units of an ISO 4217 currency, e.g. 4500 EUR is ``€45.00``, 4500 JPY is ``¥4,500``."""
    exponent = EXPONENTS.get(currency, 2)
    whole, fraction = divmod(abs(amount), 10**exponent)
    digits = f"{whole:,}" + (f".{fraction:0{exponent}d}" if exponent else "")
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{digits}" if symbol else f"{sign}{currency}\u00a0{digits}"


def format_time(moment: dt.datetime) -> str:
    """A moment in UTC words, e.g. ``Fri 12 Jun 2026, 19:30 UTC``; a script shows it in local time."""
    return moment.astimezone(dt.UTC).strftime("%a %-d %b %Y, %H:%M UTC")


def format_eta(seconds: int | None, least_most: tuple[int, ...] | None = None) -> str:
    """An estimate in words, e.g. ``About 4-7 minutes``, from its range in seconds, as the script says it."""
    if seconds is None:
        return "We are working out how long it will take"
    least, most = least_most or (seconds * 4 // 5, seconds * 4 // 3)
    if most < 60:
        return "Less than a minute"
    low = max(1, least // 60)
    high = max(low + 1, -(-most // 60))
    if high > 120 and low < 60:
        return f"{low} minute{'' if low == 1 else 's'} to {-(-high // 60)} hours"
    if high > 120:
        return f"About {low // 60}\u2013{-(-high // 60)} hours"
    return f"About {low}\u2013{high} minutes"


def format_returning(held: int, ends_at: dt.datetime | None) -> str:
    """What the line is told while every seat left is in somebody's hands, as the script says it."""
    seats, hands = ("1 seat is", "another fan\u2019s") if held == 1 else (f"{held:,} seats are", "other fans\u2019")
    until = ""
    if ends_at is not None:
        # A full minute by which they are back: a checkout on its way has some seconds more than the hold.
        full = ends_at.astimezone(dt.UTC) + SEATS_BACK + dt.timedelta(minutes=1) - dt.timedelta(microseconds=1)
        until = f" until {full:%H:%M} UTC at the latest"
    return f"{seats} in {hands} hands{until}. What comes back goes to the line, in order."


def format_span(seconds: int) -> str:
    """A length of time in words, e.g. ``10 minutes``."""
    count, unit = (seconds // 60, "minute") if seconds % 60 == 0 else (seconds, "second")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def format_prose(text: str) -> Markup:
    """Words of the API's description, whose names stand in backquotes, as HTML."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def _format_json(value: object) -> str:
    """Not jinja's own, which is for scripts: it sorts the fields and writes apostrophes as escapes."""
    return json.dumps(value, ensure_ascii=False)


def qr_svg(text: str) -> str:
    """A QR code (error correction M, quiet zone kept) as inline SVG that scales to its box."""
    return str(
        segno.make_qr(text, error="m").svg_inline(
            border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None
        )
    )


@dataclass(frozen=True, slots=True)
class Asset:
    media_type: str
    plain: bytes
    gzipped: bytes


class Assets:
    """The static files, read and bundled once. Their address holds a hash of them all, so that a browser may keep them.

    Raises:
        BundleError: the scripts cannot be bundled.
    """

    def __init__(self, folder: Path) -> None:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        ours = [name for name in sorted(files) if name.endswith(".js") and not name.startswith("vendor/")]
        scripts = {name: files.pop(name).decode() for name in ours}
        files.update((name, text.encode()) for name, text in bundle_scripts(scripts).items())
        self._files: dict[str, Asset] = {}
        digest = hashlib.sha256()
        for name, plain in sorted(files.items()):
            digest.update(name.encode() + b"\0" + plain)
            media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            if media_type.startswith("text/"):
                media_type += "; charset=utf-8"
            self._files[name] = Asset(media_type, plain, gzip.compress(plain, 9, mtime=0))
        self.version = digest.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Where a page finds a file.

        Raises:
            KeyError: there is no such file; a page's mistake is found by its first render.
        """
        self._files[name]
        return f"/static/{self.version}/{name}"

    def find(self, version: str, name: str) -> Asset | None:
        return self._files.get(name) if version == self.version else None


assets = Assets(FOLDER / "static")

templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters.update(
    money=format_money, moment=format_time, span=format_span, prose=format_prose, json=_format_json
)
templates.globals.update(
    asset=assets.address,
    qr=qr_svg,
    eta=format_eta,
    returning=format_returning,
    seats_drawn_max=SEATS_DRAWN_MAX,
    refresh_seconds=REFRESH_SECONDS,
)


def _policy(google: bool = False) -> str:
    recaptcha = " https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/" if google else ""
    frames = "https://www.google.com/recaptcha/ https://recaptcha.google.com/recaptcha/" if google else "'none'"
    return (
        f"default-src 'none'; script-src 'self'{recaptcha}; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'{' https://www.google.com/recaptcha/' if google else ''}; worker-src 'self'; "
        f"frame-src {frames}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _policy(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(
    template: str,
    *,
    status: int = 200,
    cookie: Cookie | None = None,
    google: bool = False,
    retry_after_seconds: int | None = None,
    **context: Any,
) -> Response[str]:
    """Render a template with the headers every page has. ``google`` lets reCAPTCHA's own scripts load."""
    headers = PAGE_HEADERS | {"Content-Security-Policy": _policy(google)}
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    return Response(
        templates.get_template(template).render(**context),
        media_type=MediaType.HTML,
        status_code=status,
        headers=headers,
        cookies=[cookie] if cookie else [],
    )


ERROR_WORDS = {
    403: ("That came from another site", "Open the page here, and try again from there."),
    404: ("We cannot find that page", "The address may be mistyped, or what was here is gone."),
    405: ("That cannot be done here", "Go back and try again from the page you came from."),
    429: ("One moment, please", "Many requests come from your network just now. Wait a little and reload."),
    503: ("We are very busy", "Nothing is lost. Wait a few seconds and reload this page."),
}
ERROR_OTHER = ("Something went wrong on our side", "Nothing you did caused it. Reload in a few seconds.")


def error_page(status: int, title: str | None = None, detail: str | None = None) -> Response[str]:
    """An error in the pages' look. Words default to those for the status."""
    words = ERROR_WORDS.get(status, ERROR_OTHER)
    return page("error.html", status=status, title=title or words[0], detail=detail or words[1])


def wants_html(request: Request[Any, Any, Any]) -> bool:
    """Whether an error at this request is best told as a page: a browser asks for HTML first."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    answer = error_page(error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def _on_error(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    log.error("page %s failed", request.url.path, exc_info=error)
    return error_page(500)


def _stage(event: EventView, standing: Standing | None) -> str:
    """The part of the event's page to show first; the script moves on from there."""
    if event.room_state == "off":
        return "choose"
    if standing is not None and standing.state == "lobby":
        return "lobby"
    if standing is not None and standing.state == "waiting" and event.room_state != "sold_out":
        return "waiting"
    if standing is not None and standing.state in {"called", "done", "expired"}:
        return standing.state
    if standing is not None and standing.state == "admitted":
        return "choose"
    if event.lobby is not None and event.lobby.state == "early":
        return "early"
    return event.room_state if event.room_state in {"sold_out", "closed", "rebuilding"} else "join"


async def _event_page(
    pages: PageData,
    event_id: int,
    user_id: int,
    cookie: Cookie | None,
    refused: JoinRefusedError | None = None,
) -> Response[str]:
    event = await pages.event_view(event_id)
    if event is None:
        raise NotFoundException
    standing = None if event.room_state == "off" else await pages.standing(event_id, user_id)
    stage = _stage(event, standing)
    if refused is not None and stage == "join" and refused.code in {"line_full", "rebuilding", "closed", "sold_out"}:
        stage = refused.code
    data = {
        "eventId": event.event_id,
        "name": event.name,
        "currency": event.currency,
        "exponent": EXPONENTS.get(event.currency, 2),
        "seatsPerFanMax": event.seats_per_fan_max,
        "seatsDrawnMax": SEATS_DRAWN_MAX,
        "roomState": event.room_state,
        "state": standing.state if standing else None,
        "holdSeconds": event.hold_seconds,
        "revision": event.revision,
        "lobby": None
        if event.lobby is None
        else {"state": event.lobby.state, "opensAt": event.lobby.opens_at.isoformat()},
        "tickets": [
            {"ticketTypeId": ticket.ticket_type_id, "ticketType": ticket.ticket_type, "price": ticket.price}
            for ticket in event.tickets
        ],
    }
    return page(
        "event.html",
        status=refused.status if refused else 200,
        retry_after_seconds=refused.retry_after_seconds if refused else None,
        cookie=cookie,
        google=pages.captcha_provider.startswith("recaptcha"),
        event=event,
        standing=standing,
        stage=stage,
        refused=refused.code if refused else "",
        data=data,
    )


@get("/")
async def events_page(
    request: Request[Any, Any, Any],
    pages: Pages,
    q: Annotated[str, Parameter(max_length=SEARCH_CHARACTERS_MAX)] = "",
) -> Response[str]:
    """The events to come, and a search of them."""
    _, cookie = await pages.ensure_session(request)
    events = await pages.list_events(q.strip(), EVENTS_LISTED_MAX + 1)
    more = len(events) > EVENTS_LISTED_MAX
    return page("events.html", cookie=cookie, q=q.strip(), events=events[:EVENTS_LISTED_MAX], more=more)


@get("/events/{event_id:int}")
async def event_page(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """One event: the line, then the seats, then the checkout."""
    user_id, cookie = await pages.ensure_session(request)
    return await _event_page(pages, event_id, user_id, cookie)


@get("/events/{event_id:int}/draw")
async def draw_page(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """The draw of an event's lobby, and a way to recheck it in the browser."""
    _, cookie = await pages.ensure_session(request)
    event = await pages.event_view(event_id)
    draw = await pages.draw(request, event_id)
    if event is None or draw is None:
        raise NotFoundException
    return page("draw.html", cookie=cookie, event=event, draw=draw, data={"eventId": event_id})


def _back_to(event_id: int, cookie: Cookie | None) -> Response[str]:
    return Response(
        "",
        status_code=303,
        media_type=MediaType.HTML,
        headers={"Location": f"/events/{event_id}", "Cache-Control": "no-store"},
        cookies=[cookie] if cookie else [],
    )


@post("/events/{event_id:int}/join")
async def join_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Join without scripts. `PageData.ensure_session` refuses another site's form."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        await pages.join(request, event_id, user_id)
    except JoinRefusedError as refused:
        return await _event_page(pages, event_id, user_id, cookie, refused)
    return _back_to(event_id, cookie)


@post("/events/{event_id:int}/leave")
async def leave_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Leave the line without scripts."""
    user_id, cookie = await pages.ensure_session(request)
    await pages.leave(event_id, user_id)
    return _back_to(event_id, cookie)


@get("/purchases")
async def purchases_page(request: Request[Any, Any, Any], pages: Pages) -> Response[str]:
    """All that the fan has bought: who closed the tickets' page finds them again."""
    user_id, cookie = await pages.ensure_session(request)
    return page("purchases.html", cookie=cookie, purchases=await pages.purchases(user_id))


@get("/purchases/{purchase_id:uuid}")
async def purchase_page(request: Request[Any, Any, Any], pages: Pages, purchase_id: uuid.UUID) -> Response[str]:
    """The fan's tickets, each with its QR code; somebody else's purchase is not found."""
    user_id, cookie = await pages.ensure_session(request)
    purchase = await pages.purchase(user_id, purchase_id)
    if purchase is None:
        raise NotFoundException
    return page("purchase.html", cookie=cookie, purchase=purchase, exponent=EXPONENTS.get(purchase.currency, 2))


@get("/ops")
async def ops_page() -> Response[str]:
    """The operators' console. It holds nothing by itself: its script asks the operators' API."""
    return page("ops.html", message_max=DIALS["message"].most)


@get("/ops/events")
async def programme_page() -> Response[str]:
    """The console's list of events."""
    return page("programme.html", view="list")


@get(["/ops/events/new", "/ops/events/{event_id:int}"])
async def event_form_page(pages: Pages, event_id: int | None = None) -> Response[str]:
    """The console's form of an event: a new one, or one to be changed. Its script asks the operators' API."""
    return page(
        "programme.html",
        view="new" if event_id is None else "edit",
        room=pages.new_room,
        data={"eventId": event_id, "exponents": EXPONENTS},
    )


@get("/ops/webhooks")
async def webhooks_page() -> Response[str]:
    """The operators' webhooks, as the console."""
    return page("webhooks.html", kinds=[(kind.value, kind.headline) for kind in OutboxKind])


@get("/ops/rooms/{event_id:int}/codes")
async def codes_page(event_id: Annotated[int, Parameter(ge=1, le=ID_MAX)]) -> Response[str]:
    """An event's access codes, for its operators; asked for by its script, as in the console."""
    return page("codes.html", event_id=event_id)


@get("/static/{version:str}/{name:path}")
async def static_file(request: Request[Any, Any, Any], version: str, name: Path) -> Response[bytes]:
    """A static file of this release."""
    asset = assets.find(version, name.as_posix().lstrip("/"))
    if asset is None:
        raise NotFoundException
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.gzipped if zipped else asset.plain, media_type=asset.media_type, headers=headers)


def pages_router(problems: Mapping[int | type[Exception], Any]) -> Router:
    """The pages' routes; needs the dependency ``pages``, a `PageData`.

    Args:
        problems: how errors are told that are no HTTP error of the pages' own.
    """
    return Router(
        path="/",
        route_handlers=[
            events_page,
            event_page,
            draw_page,
            join_form,
            leave_form,
            purchases_page,
            purchase_page,
            ops_page,
            programme_page,
            event_form_page,
            webhooks_page,
            codes_page,
            static_file,
        ],
        exception_handlers={**problems, HTTPException: _on_http_error, Exception: _on_error},
        include_in_schema=False,
    )
