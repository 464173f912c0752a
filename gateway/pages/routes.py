"""The pages that a fan and an operator see, rendered on the server and served with their few static files.

The handlers ask `PageData` for what they show; the gateway provides it as the dependency ``pages``. Everything that
moves after the first paint comes from the public API, called by the scripts in ``gateway/pages/static``.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import Parameter, SkipValidation

from db.alarms.kinds import FOR_SECONDS_MAX, AlarmKind
from db.currencies import MINOR_DIGITS, minor_digits
from db.edge.keys import LISTS, event_key
from db.events.sale import SaleState
from db.lanes.maps import LANES_MAX
from db.operators.roles import ROLE_WORDS
from db.outbox.kinds import OutboxKind
from db.rooms.dials import DIALS
from db.shops.model import TARGET_MS, TARGET_MS_LEAST, TARGET_MS_MOST, Shop
from db.shops.writing import DIALS_AT_START
from db.texts import END
from gateway.contract.entries import GATE_CHARS_MAX, TICKET_CHARS_MAX
from gateway.contract.programme import TYPE_NAME_MAX
from gateway.contract.values import CURRENCY, CURSOR_CHARACTERS_MAX, ID_MAX, MONTH, PRICE_MAX
from gateway.identity.cookies import COOKIE_SECONDS_MAX
from gateway.pages.accounts import ACCOUNT_PAGES, ISSUER_PAGES
from gateway.pages.calendars import event_calendar, sale_calendar
from gateway.pages.languages import (
    CHOICE_COOKIE,
    ENGLISH,
    LANGUAGES,
    N_,
    address,
    gettext,
    names_language,
    preferred,
    prefix,
    reader_decides,
)
from gateway.pages.letters import LETTERS
from gateway.pages.listing import EVENTS_LISTED_MAX, Asked, choices, groups
from gateway.pages.look import SEATS_WHOLE_MAX, assets, brand, error_page, manifest, page
from gateway.pages.mailbox import MAILBOX
from gateway.pages.orders import FINDING, orders_page
from gateway.pages.paying import PAYING
from gateway.pages.plain import PLAIN_FORMS, form_fields, key_new, words_of
from gateway.pages.problems import OF_PAGES
from gateway.pages.sharing import sharing_of
from gateway.pages.shops import TO_CHARACTERS_MAX, Ways
from gateway.pages.tickets import KEY_TYPED_MAX, TICKET_PAGES, purchase_shown
from gateway.pages.told import TICKETS_SENT, TOLD_FORMS, TOLD_POSTS, told_words
from gateway.pages.views import EventView, JoinRefusedError, ListedView, PageData, Standing
from gateway.pages.waiting import WAITING_PAGES
from gateway.wire.addresses import below, cookie_path
from gateway.wire.bodies import StrictRequest
from gateway.wire.negotiation import coding, field
from gateway.wire.requests import origin_of
from gateway.wire.routers import OnceRouter
from gateway.wire.shared import MOVING_SECONDS, Shared, seconds_until_change
from messages.calendars import MEDIA_TYPE

REDIRECT_SECONDS = 60
"""An edge keeps for so long where the readers of a language are sent on to."""
SEARCH_CHARACTERS_MAX = 100
ADDRESS_CHARACTERS_MAX = 300
_of_this_site = re.compile(
    r"/(?:(?:account|events|pay|purchases|wait)(?:/[\w/-]*)?)?(?:\?[\w=&%+.-]*)?", re.ASCII
).fullmatch
"""The address of a fan's page. Any other would send a fan wherever the link's author likes."""

Pages = NamedDependency[SkipValidation[PageData]]


TICKETS_ELSEWHERE = (
    N_("These tickets do not open here"),
    N_(
        "Tickets open in the browser in which they were bought, and on any device by their own link. "
        "You find the link below the tickets, and in the mail that brought them."
    ),
)

CLOSED_WORDS = {
    SaleState.OVER: (
        N_("The sale is over"),
        N_("No more tickets are sold here. Tickets that you have bought stay valid."),
    ),
    SaleState.UNPUBLISHED: (
        N_("This event is off sale"),
        N_("The organiser has taken this event off sale for now. Tickets that you have bought stay valid."),
    ),
    SaleState.CANCELLED: (
        N_("This event was cancelled"),
        N_("The organiser has cancelled this event. If you have bought tickets, you get your money back."),
    ),
}
CLOSED_BY_OPERATOR = (
    N_("The line is closed"),
    N_("The organiser has closed the line for this event. Tickets that you have bought stay valid."),
)


CLOSED_SHOP = (N_("The line is closed"), N_("Nobody is let in here just now. Please try again later."))


def _stage(event: EventView, standing: Standing | None) -> str:
    """The part of the event's page to show first; the script moves on from there."""
    if event.sale is SaleState.CANCELLED:
        return "closed"
    if event.is_withdrawn and (standing is None or standing.state != "admitted"):
        return "closed"
    if event.room_state == "off":
        return "early" if event.sale is SaleState.COMING else "choose"
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
    request: Request[Any, Any, Any],
    pages: PageData,
    event_id: int,
    user_id: int | None,
    cookie: Cookie | None,
    refused: JoinRefusedError | None = None,
    problem: str = "",
    told: str = "",
    is_shared: bool = False,
) -> Response[str]:
    """The event as the fan sees it, or as a stranger does without ``user_id``. ``is_shared``: for every stranger."""
    event = await pages.event_view(event_id)
    if event is None:
        raise NotFoundException
    if event.shop is not None and refused is None:
        query = f"?{request.url.query}" if request.url.query else ""
        return _to(f"{prefix()}/wait/{event_id}{query}", cookie)
    return await _page_of(request, pages, event, user_id, cookie, refused, problem, told, is_shared)


async def _page_of(
    request: Request[Any, Any, Any],
    pages: PageData,
    event: EventView,
    user_id: int | None,
    cookie: Cookie | None,
    refused: JoinRefusedError | None = None,
    problem: str = "",
    told: str = "",
    is_shared: bool = False,
    *,
    further_cookies: Sequence[Cookie] = (),
    shop_lost_pass: bool = False,
) -> Response[str]:
    event_id = event.event_id
    page_address = f"/events/{event_id}" if event.shop is None else f"/wait/{event_id}"
    is_own = user_id is not None
    standing = None if user_id is None or event.room_state == "off" else await pages.standing(event_id, user_id)
    stage = _stage(event, standing)
    if refused is not None and stage == "join" and refused.code in {"line_full", "rebuilding", "closed", "sold_out"}:
        stage = refused.code
    may_hold = stage in {"choose", "expired", "done"} and event.shop is None
    data = {
        "own": is_own,
        "eventId": event.event_id,
        "name": event.name,
        "currency": event.currency,
        "exponent": minor_digits(event.currency),
        "seatsPerFanMax": event.seats_per_fan_max,
        "seatsWholeMax": SEATS_WHOLE_MAX,
        "roomState": event.room_state,
        "state": standing.state if standing else None,
        "onSaleAt": event.on_sale_at.isoformat(),
        "holdSeconds": event.hold_seconds,
        "revision": event.revision,
        "pushKey": pages.push_key,
        "lobby": None
        if event.lobby is None
        else {"state": event.lobby.state, "opensAt": event.lobby.opens_at.isoformat()},
        "tickets": [
            {
                "ticketTypeId": ticket.ticket_type_id,
                "ticketType": ticket.ticket_type,
                "price": ticket.price,
                "quantity": ticket.quantity,
            }
            for ticket in event.tickets
        ],
        "isShop": event.shop is not None,
    }
    return page(
        "event.html",
        status=refused.status if refused else 200,
        retry_after_seconds=refused.retry_after_seconds if refused else None,
        shared=_shared([event], pages, event_key(event_id)) if is_shared else None,
        cookie=cookie,
        further_cookies=(*further_cookies, *(standing.pass_cookies if standing else ())),
        captcha=pages.captcha_provider,
        shop_lost_pass=shop_lost_pass,
        event=event,
        standing=standing,
        stage=stage,
        refused=refused.code if refused else "",
        patience=refused.patience if refused else "",
        patience_seconds=refused.retry_after_seconds if refused else None,
        plain_problem=words_of(problem or (refused.code if refused else ""), user_id=user_id, appeal=pages.appeal),
        told=told_words(told),
        takes_mail=pages.takes_mail,
        takes_phone=pages.takes_phone,
        plain_seats_max=pages.seats_per_request_max,
        needs_script_to_buy=pages.captcha_provider != "off",
        holds=await pages.holds(event_id, user_id) if user_id is not None and may_hold else (),
        # Strangers would all have the same one.
        form_key=key_new() if is_own else "",
        needs_account=event.account_required and not pages.is_account(request),
        data=data,
        page_address=page_address,
        site_url=origin_of(request),
        sharing=sharing_of(event, origin_of(request), f"{prefix()}/events/{event_id}", brand().name),
        closed_words=[
            gettext(words)
            for words in (CLOSED_WORDS.get(event.sale, CLOSED_BY_OPERATOR) if event.shop is None else CLOSED_SHOP)
        ],
    )


def _shared(events: Sequence[EventView], pages: PageData, *keys: str) -> Shared:
    """How long words about these events stay true, and the keys of the answer that has them."""
    most = pages.edge.quiet_seconds if all(event.is_quiet for event in events) else MOVING_SECONDS
    moments = [moment for event in events for moment in event.changes_at]
    return Shared(seconds_until_change(pages.now(), moments, most), keys)


@get("/")
async def events_page(
    request: Request[Any, Any, Any],
    pages: Pages,
    q: Annotated[str, Parameter(max_length=SEARCH_CHARACTERS_MAX)] = "",
    town: Annotated[str, Parameter(max_length=SEARCH_CHARACTERS_MAX)] = "",
    month: Annotated[str, Parameter(pattern=MONTH)] = "",
    currency: Annotated[str, Parameter(pattern=CURRENCY)] = "",
    price_min: Annotated[int, Parameter(query="priceMin", ge=0, le=PRICE_MAX)] = 0,
    price_max: Annotated[int | None, Parameter(query="priceMax", ge=1, le=PRICE_MAX)] = None,
    available: bool = False,
    sort: Annotated[str, Parameter(pattern="^(date)?" + END)] = "",
    cursor: Annotated[str | None, Parameter(max_length=CURSOR_CHARACTERS_MAX)] = None,
) -> Response[str]:
    """The events to come, and a search of them. It is the same for every fan."""
    asked = Asked(
        q=q.replace("\0", "").strip(),
        town=town,
        month=month,
        currency=currency,
        price_min=price_min,
        price_max=price_max,
        available=available,
        by_date=sort == "date",
        cursor=cursor,
    )
    found = await pages.list_events(
        asked.wanted, by_date=asked.in_order_of_date, cursor=cursor, limit=EVENTS_LISTED_MAX
    )
    return page(
        "events.html",
        shared=None if reader_decides(request) else _shared_list(found.events, pages),
        q=asked.q,
        asked=asked,
        found=found,
        groups=groups(found.events),
        choices=choices(asked, found.facets),
        onward=None if found.cursor is None else replace(asked, cursor=found.cursor).address,
        other_order=replace(asked, by_date=not asked.by_date, cursor=None).address,
        site_url=origin_of(request),
    )


def _shared_list(events: Sequence[ListedView], pages: PageData) -> Shared:
    """How long a list of these events may be kept. It has no event's key: an event that it lacks can change it too."""
    moments = [moment for event in events for moment in event.changes_at]
    return Shared(seconds_until_change(pages.now(), moments, pages.edge.list_seconds), (LISTS,))


@get("/events/{event_id:int}")
async def event_page(
    request: Request[Any, Any, Any],
    pages: Pages,
    event_id: int,
    session: Annotated[str, Parameter(max_length=8)] = "",
    problem: Annotated[str, Parameter(max_length=32)] = "",
    told: Annotated[str, Parameter(max_length=32)] = "",
) -> Response[str]:
    """One event: the line, then the seats, then the checkout."""
    visitor = pages.visitor(request)
    # A form without a session was just sent here with one, which the browser has not kept.
    refused = JoinRefusedError("no_cookies", 200) if session == "new" and visitor.user_id is None else None
    is_shared = visitor.is_stranger and not (session or problem or told or reader_decides(request))
    return await _event_page(
        request, pages, event_id, visitor.user_id, visitor.cookie, refused, problem, told, is_shared
    )


@get("/events/{event_id:int}/draw")
async def draw_page(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """The draw of an event's lobby, and a way to recheck it in the browser."""
    event = await pages.event_view(event_id)
    draw = await pages.draw(request, event_id)
    if event is None or draw is None:
        raise NotFoundException
    return page("draw.html", event=event, draw=draw, data={"eventId": event_id}, site_url=origin_of(request))


@get("/wait/{event_id:int}")
async def wait_page(
    request: Request[Any, Any, Any],
    pages: Pages,
    event_id: int,
    to: Annotated[str, Parameter(max_length=TO_CHARACTERS_MAX)] = "",
    session: Annotated[str, Parameter(max_length=8)] = "",
    problem: Annotated[str, Parameter(max_length=32)] = "",
) -> Response[str]:
    """The line before a shop, which sends its fan back to the shop once the turn has come.

    The address to which the fan goes back stands in a cookie too, for forms and reloads.
    """
    visitor = pages.visitor(request)
    event, shop = await _with_shop(pages, event_id)
    ways = Ways(request, shop, event_id)
    if event.room_state == "off":
        return _to(ways.back_to(to), visitor.cookie)
    if visitor.user_id is not None and not ways.goes_in_circles:
        way = await pages.way_to_shop(request, event, visitor.user_id, ways.back_to(to))
        if way is not None:
            return _to(way, ways.kept(to), ways.counted())
    refused = JoinRefusedError("no_cookies", 200) if session == "new" and visitor.user_id is None else None
    return await _page_of(
        request,
        pages,
        event,
        visitor.user_id,
        visitor.cookie,
        refused,
        problem,
        further_cookies=[ways.kept(to)],
        shop_lost_pass=ways.goes_in_circles,
    )


@get("/wait/{event_id:int}/go")
async def go_to_shop(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Send an admitted fan to the shop, and anybody else to the line."""
    visitor = pages.visitor(request)
    event, shop = await _with_shop(pages, event_id)
    ways = Ways(request, shop, event_id)
    if event.room_state == "off":
        return _to(ways.back_to(""), visitor.cookie)
    if visitor.user_id is None:
        return _to(f"{prefix()}/wait/{event_id}", visitor.cookie)
    way = await pages.way_to_shop(request, event, visitor.user_id, ways.back_to(""))
    if way is None:
        return _to(f"{prefix()}/wait/{event_id}")
    return _to(way, ways.counted())


async def _with_shop(pages: PageData, event_id: int) -> tuple[EventView, Shop]:
    event = await pages.event_view(event_id)
    if event is None or event.shop is None:
        raise NotFoundException
    return event, event.shop


def _to(address: str, *cookies: Cookie | None) -> Response[str]:
    return Response(
        "",
        status_code=303,
        media_type=MediaType.HTML,
        headers={"Location": address, "Cache-Control": "no-store"},
        cookies=[cookie for cookie in cookies if cookie is not None],
    )


def _back_to(event_id: int, cookie: Cookie | None) -> Response[str]:
    """The event's page; where the form came without a session, its address says that it was just given one."""
    return _to(f"{prefix()}/events/{event_id}{'?session=new' if cookie else ''}", cookie)


@post("/events/{event_id:int}/join")
async def join_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Join without scripts. `PageData.ensure_session` refuses another site's form."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        patience = (await form_fields(request)).get("patience")
        await pages.join(request, event_id, user_id, patience)
    except JoinRefusedError as refused:
        return await _event_page(request, pages, event_id, user_id, cookie, refused)
    return _back_to(event_id, cookie)


@post("/events/{event_id:int}/leave")
async def leave_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Leave the line without scripts."""
    user_id, cookie = await pages.ensure_session(request)
    await pages.leave(event_id, user_id)
    return _back_to(event_id, cookie)


@get("/purchases")
async def purchases_page(request: Request[Any, Any, Any], pages: Pages) -> Response[str]:
    """All that the fan has bought, so that a fan who closed the tickets' page finds the tickets again."""
    user_id = pages.visitor(request, for_tickets=True).user_id
    purchases = []
    payments = []
    if user_id is not None:
        fans = await pages.fans_of(request, user_id)
        payments = [one for fan in fans for one in await pages.payments_at_banks(request, fan)]
        purchases = [one for fan in fans for one in await pages.purchases(fan)]
        if not pages.keep_session(request, [*purchases, *payments]):
            purchases, payments = [], []
    return page(
        "purchases.html",
        purchases=purchases,
        payments=payments,
        takes_mail=pages.takes_mail,
        is_account=pages.is_account(request),
        user_id=user_id,
        site_url=origin_of(request),
    )


@post("/sign-out")
async def sign_out_form(request: Request[Any, Any, Any], pages: Pages) -> Response[str]:
    """Have the browser forget the fan, on a computer that others use too."""
    headers = {"Location": below("/"), "Cache-Control": "no-store"}
    cookie = await pages.end_session(request)
    return Response("", status_code=303, media_type=MediaType.HTML, headers=headers, cookies=[cookie])


@get("/purchases/{purchase_id:uuid}")
async def purchase_page(
    request: Request[Any, Any, Any],
    pages: Pages,
    purchase_id: uuid.UUID,
    key: Annotated[str, Parameter(max_length=KEY_TYPED_MAX)] = "",
    told: Annotated[str, Parameter(max_length=32)] = "",
) -> Response[str]:
    """The tickets, each with its QR code. Somebody else's are not found, and the page says what opens them."""
    purchase = await purchase_shown(request, pages, purchase_id, key)
    if purchase is None:
        return error_page(404, gettext(TICKETS_ELSEWHERE[0]), gettext(TICKETS_ELSEWHERE[1]))
    return page(
        "purchase.html",
        told=told_words(told),
        told_well=told == TICKETS_SENT,
        purchase=purchase,
        is_by_link=bool(key),
        takes_mail=pages.takes_mail,
        order=None if purchase.received else await pages.order(purchase),
        wallets=pages.wallets,
        exponent=minor_digits(purchase.currency),
    )


def _calendar_file(name: str, content: bytes) -> Response[bytes]:
    headers = {"Content-Disposition": f'attachment; filename="{name}.ics"', "Cache-Control": "no-store"}
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


@get("/events/{event_id:int}/sale.ics")
async def sale_calendar_file(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[bytes]:
    """The opening of an event's lobby or sale, for a calendar."""
    event = await pages.event_view(event_id)
    if event is None:
        raise NotFoundException
    site_origin = origin_of(request)
    page_url = f"{site_origin}{prefix()}/events/{event_id}"
    content = sale_calendar(event, urlsplit(site_origin).hostname or "", page_url, dt.datetime.now(dt.UTC))
    return _calendar_file(f"sale-{event_id}", content)


@get("/purchases/{purchase_id:uuid}/event.ics")
async def event_calendar_file(
    request: Request[Any, Any, Any],
    pages: Pages,
    purchase_id: uuid.UUID,
    key: Annotated[str, Parameter(max_length=KEY_TYPED_MAX)] = "",
) -> Response[bytes]:
    """The evening of the fan's own tickets, for a calendar."""
    purchase = await purchase_shown(request, pages, purchase_id, key)
    if purchase is None:
        raise NotFoundException
    site_origin = origin_of(request)
    page_url = f"{site_origin}{prefix()}/purchases/{purchase_id}?key={purchase.key}"
    content = event_calendar(purchase, urlsplit(site_origin).hostname or "", page_url, dt.datetime.now(dt.UTC))
    return _calendar_file(f"tickets-{purchase_id}", content)


@get("/ops")
async def ops_page() -> Response[str]:
    """The operators' console. It holds nothing by itself: its script asks the operators' API."""
    return page("ops.html", message_max=DIALS["message"].most, data={"exponents": MINOR_DIGITS})


@get("/ops/events")
async def programme_page() -> Response[str]:
    """The console's list of events."""
    return page("programme.html", view="list")


@get(["/ops/events/new", "/ops/events/{event_id:int}"])
async def event_form_page(
    pages: Pages, event_id: Annotated[int, Parameter(ge=1, le=ID_MAX)] | None = None
) -> Response[str]:
    """The console's form of an event: a new one, or one to be changed. Its script asks the operators' API."""
    return page(
        "programme.html",
        view="new" if event_id is None else "edit",
        room=pages.new_room,
        data={"eventId": event_id, "exponents": MINOR_DIGITS},
    )


@get("/ops/events/{event_id:int}/allotments")
async def allotments_page(event_id: Annotated[int, Parameter(ge=1, le=ID_MAX)]) -> Response[str]:
    """An event's seats that are out of the sale, for its operators; asked for by its script, as in the console."""
    return page("allotments.html", event_id=event_id, name_max=TYPE_NAME_MAX, data={"eventId": event_id})


@get("/ops/events/{event_id:int}/vouchers")
async def vouchers_page(event_id: Annotated[int, Parameter(ge=1, le=ID_MAX)]) -> Response[str]:
    """An event's vouchers and takings, for its operators; asked for by its script, as in the console."""
    return page("vouchers.html", event_id=event_id, data={"eventId": event_id, "exponents": MINOR_DIGITS})


@get("/ops/webhooks")
async def webhooks_page() -> Response[str]:
    """The operators' webhooks, as the console."""
    return page("webhooks.html", kinds=[(kind.value, kind.headline) for kind in OutboxKind])


@get("/ops/desk")
async def desk_page() -> Response[str]:
    """The operators' desk for fans: find one, see the history, and help."""
    return page("desk.html", data={"exponents": MINOR_DIGITS})


@get("/scan")
async def scan_page() -> Response[str]:
    """Check-in at a gate. It holds nothing by itself, so that a device can keep it; its script asks the API."""
    addresses = {"reader": assets.address("vendor/qr.iife.min.js"), "worker": below("/scan-worker.js")}
    return page(
        "scan.html", camera=True, gate_chars_max=GATE_CHARS_MAX, ticket_chars_max=TICKET_CHARS_MAX, data=addresses
    )


@get("/scan-worker.js")
async def scan_worker() -> Response[bytes]:
    """The service worker that keeps check-in for when there is no network. Its address is above the page's."""
    asset = assets.named("scan-worker.js")
    return Response(asset.plain, media_type=asset.media_type, headers={"Cache-Control": "no-cache"})


@get("/scan.webmanifest")
async def scan_manifest_file() -> Response[bytes]:
    """What a gate's device shows of check-in on its home screen."""
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(manifest("Check-in", below("/scan")), media_type="application/manifest+json", headers=headers)


@get("/ops/shops")
async def shops_page() -> Response[str]:
    """The shops that rooms stand before: how each is protected, how it bears its fans, and what its proxy needs."""
    target = {"least": TARGET_MS_LEAST, "most": TARGET_MS_MOST, "at_start": TARGET_MS}
    return page("shops.html", dials=DIALS, at_start=DIALS_AT_START, target=target)


@get("/ops/networks")
async def networks_page() -> Response[str]:
    """What came from which network at an event, and the networks that operators let through or turn away."""
    return page("networks.html")


@get("/ops/lanes")
async def lanes_page() -> Response[str]:
    """Which lane books which event, and how an event gets another one while it is sold."""
    return page("lanes.html", lanes_max=LANES_MAX)


@get("/ops/operators")
async def operators_page() -> Response[str]:
    """All operators and scripts' tokens, for owners."""
    return page("operators.html", role_words=list(ROLE_WORDS.items()))


@get("/ops/account")
async def account_page() -> Response[str]:
    """The operator's own account: second factors, sessions and the password."""
    return page("account.html")


@get("/ops/alarms")
async def alarms_page(pages: Pages) -> Response[str]:
    """The operators' alarms, as the console."""
    return page("alarms.html", kinds=list(AlarmKind), for_seconds_max=FOR_SECONDS_MAX, push_key=pages.push_key)


@get("/ops/rooms/{event_id:int}/codes")
async def codes_page(event_id: Annotated[int, Parameter(ge=1, le=ID_MAX)]) -> Response[str]:
    """An event's access codes, for its operators; asked for by its script, as in the console."""
    return page("codes.html", event_id=event_id)


@get("/ops/rooms/{event_id:int}/waiting-list")
async def waiting_list_page(event_id: Annotated[int, Parameter(ge=1, le=ID_MAX)]) -> Response[str]:
    """An event's waiting list and its rules for cancelling, for its operators; asked for by its script."""
    return page("waiting_rules.html", event_id=event_id)


@get("/static/{version:str}/{name:path}")
async def static_file(request: StrictRequest, version: str, name: Path) -> Response[bytes]:
    """A static file of this release."""
    asset = assets.find(version, name.as_posix().lstrip("/"))
    if asset is None:
        raise NotFoundException
    chosen = coding(field(request, "accept-encoding"))
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
        "ETag": f'"{version}{f"-{chosen}" if chosen else ""}"',
    }
    body = asset.plain
    if chosen:
        headers["Content-Encoding"] = chosen
        body = await asset.brotli() if chosen == "br" else asset.gzipped
    return Response(body, media_type=asset.media_type, headers=headers)


@get("/language/{tag:str}")
async def choose_language(
    tag: str, to: Annotated[str, Parameter(max_length=ADDRESS_CHARACTERS_MAX)] = "/"
) -> Response[str]:
    """Keep the language that a fan chose, and show the page ``to`` in it. ``to`` is an address without a language."""
    language = LANGUAGES.get(tag)
    if language is None or _of_this_site(to) is None:
        raise NotFoundException
    cookie = Cookie(
        CHOICE_COOKIE, value=tag, path=cookie_path(), max_age=COOKIE_SECONDS_MAX, httponly=True, samesite="lax"
    )
    headers = {"Location": below(f"/{tag}{to}"), "Cache-Control": "no-store"}
    return Response("", status_code=303, media_type=MediaType.HTML, headers=headers, cookies=[cookie])


def _in_preferred_language(request: Request[Any, Any, Any]) -> Response[str] | None:
    """Send a fan who prefers another language to the page's address in it."""
    if names_language() or request.method != "GET":
        return None
    language = preferred(request)
    if language is ENGLISH:
        return None
    query = f"?{request.url.query}" if request.url.query else ""
    headers = {
        "Location": below(f"/{language.tag}{address()}{query}"),
        "Cache-Control": "no-store",
        "Vary": "Accept-Language, Cookie",
    }
    if (address() == "/" or address().startswith("/events/")) and not reader_decides(request):
        headers |= Shared(REDIRECT_SECONDS, ()).headers | {"Vary": "Accept-Language"}
    return Response("", status_code=302, media_type=MediaType.HTML, headers=headers)


@get("/manifest.webmanifest")
async def manifest_file() -> Response[bytes]:
    """What a phone shows of this site on its home screen."""
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(manifest(), media_type="application/manifest+json", headers=headers)


@get("/alerts.js")
async def alert_worker() -> Response[bytes]:
    """The service worker that shows alerts. Its address is above all pages, which it could not serve from below."""
    asset = assets.named("alert-worker.js")
    return Response(asset.plain, media_type=asset.media_type, headers={"Cache-Control": "no-cache"})


@get("/wait/widget.js")
async def widget(request: Request[Any, Any, Any], lang: Annotated[str, Parameter(max_length=8)] = "") -> Response[str]:
    """The banner that shops put into their own pages, in the language that ``lang`` or else the browser names."""
    asset = assets.spoken("widget.js", LANGUAGES.get(lang) or preferred(request))
    # Nothing of it may meet a name of the shop's own scripts.
    body = f"(() => {{\n{asset.plain.decode()}}})();\n"
    headers = {"Cache-Control": "public, max-age=300", "Vary": "Accept-Language, Cookie"}
    return Response(body, media_type=asset.media_type, headers=headers)


def pages_router() -> OnceRouter:
    """The pages' routes; they need the dependency ``pages``, a `PageData`."""
    for_fans = OnceRouter(
        path="/",
        route_handlers=[
            events_page,
            event_page,
            wait_page,
            go_to_shop,
            draw_page,
            join_form,
            leave_form,
            *PLAIN_FORMS,
            *TOLD_FORMS,
            *WAITING_PAGES,
            *ACCOUNT_PAGES,
            *PAYING,
            *FINDING,
            purchases_page,
            purchase_page,
            sign_out_form,
            sale_calendar_file,
            event_calendar_file,
            *TICKET_PAGES,
        ],
        before_request=_in_preferred_language,
    )
    return OnceRouter(
        path="/",
        route_handlers=[
            for_fans,
            *TOLD_POSTS,
            *ISSUER_PAGES,
            *MAILBOX,
            *LETTERS,
            choose_language,
            manifest_file,
            alert_worker,
            widget,
            ops_page,
            programme_page,
            event_form_page,
            webhooks_page,
            alarms_page,
            codes_page,
            waiting_list_page,
            allotments_page,
            vouchers_page,
            orders_page,
            account_page,
            desk_page,
            scan_page,
            scan_worker,
            scan_manifest_file,
            networks_page,
            shops_page,
            lanes_page,
            operators_page,
            static_file,
        ],
        exception_handlers=OF_PAGES,
        include_in_schema=False,
    )
