"""The pages that a fan and an operator see, rendered on the server and served with their few static files.

The handlers ask `PageData` for what they show; the gateway provides it as the dependency ``pages``. Everything that
moves after the first paint comes from the public API, called by the scripts in ``gateway/pages/static``.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Any

from litestar import MediaType, Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import Parameter, SkipValidation

from db.outbox.kinds import OutboxKind
from db.rooms.dials import DIALS
from gateway.contract.values import ID_MAX
from gateway.pages.formats import EXPONENTS
from gateway.pages.look import SEATS_DRAWN_MAX, assets, page
from gateway.pages.problems import OF_PAGES
from gateway.pages.views import EventView, JoinRefusedError, PageData, Standing
from gateway.wire.bodies import StrictRequest
from gateway.wire.negotiation import field, takes_gzip

EVENTS_LISTED_MAX = 60
SEARCH_CHARACTERS_MAX = 100

Pages = NamedDependency[SkipValidation[PageData]]


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
async def event_page(
    request: Request[Any, Any, Any], pages: Pages, event_id: int, session: Annotated[str, Parameter(max_length=8)] = ""
) -> Response[str]:
    """One event: the line, then the seats, then the checkout."""
    user_id, cookie = await pages.ensure_session(request)
    # A form without a session was just sent here with one, which the browser has not kept.
    refused = JoinRefusedError("no_cookies", 200) if session == "new" and cookie is not None else None
    return await _event_page(pages, event_id, user_id, cookie, refused)


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
    """The event's page; where the form came without a session, its address says that it was just given one."""
    return Response(
        "",
        status_code=303,
        media_type=MediaType.HTML,
        headers={"Location": f"/events/{event_id}{'?session=new' if cookie else ''}", "Cache-Control": "no-store"},
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
    """All that the fan has bought, so that a fan who closed the tickets' page finds the tickets again."""
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
async def static_file(request: StrictRequest, version: str, name: Path) -> Response[bytes]:
    """A static file of this release."""
    asset = assets.find(version, name.as_posix().lstrip("/"))
    if asset is None:
        raise NotFoundException
    zipped = takes_gzip(field(request, "accept-encoding"))
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.gzipped if zipped else asset.plain, media_type=asset.media_type, headers=headers)


def pages_router() -> Router:
    """The pages' routes; they need the dependency ``pages``, a `PageData`."""
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
        exception_handlers=OF_PAGES,
        include_in_schema=False,
    )
