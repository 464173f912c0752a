"""The page of an event's waiting list: enter, see the place, take or decline what is offered. It needs no scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import Parameter, SkipValidation

from db.waiting.states import QUANTITY_MAX
from gateway.pages.languages import N_, gettext, prefix
from gateway.pages.look import page
from gateway.pages.plain import OTHER, WORDS, form_fields, number_in
from gateway.pages.views import PageData, PlainRefusedError
from gateway.wire.requests import origin_of

Pages = NamedDependency[SkipValidation[PageData]]

WAITING_WORDS: Final[Mapping[str, str]] = {
    "not_sold_out": N_("Tickets of this kind can still be bought, so there is no need to wait."),
    "already_waiting": N_("You are on the list already. Leave it first to enter anew."),
    "waiting_list_off": N_("This list takes nobody at the moment."),
    "captcha_required": N_("Many people are joining from your network. Please try again in a few seconds."),
}
"""What is said of the problems that only this page meets."""


def words_of(code: str) -> str:
    """What the page says about a problem that its address names; empty for none."""
    return gettext(WAITING_WORDS.get(code) or WORDS.get(code, OTHER)) if code else ""


def _back(event_id: int, cookie: Cookie | None, code: str = "") -> Response[str]:
    return Response(
        "",
        status_code=303,
        media_type=MediaType.HTML,
        headers={
            "Location": f"{prefix()}/events/{event_id}/waiting-list{f'?problem={code}' if code else ''}",
            "Cache-Control": "no-store",
        },
        cookies=[cookie] if cookie else [],
    )


@get("/events/{event_id:int}/waiting-list")
async def waiting_page(
    request: Request[Any, Any, Any],
    pages: Pages,
    event_id: int,
    problem: Annotated[str, Parameter(max_length=32)] = "",
) -> Response[str]:
    """The fan's place in the list, the offer, or the form to enter."""
    visitor = pages.visitor(request)
    user_id = visitor.user_id
    event = await pages.event_view(event_id)
    entry = None if event is None or user_id is None else await pages.waiting(event_id, user_id)
    if event is None or not (event.has_waiting_list or entry):
        raise NotFoundException
    is_offered = entry is not None and entry.state == "offered"
    ends_at = entry.offer_ends_at.isoformat() if entry and entry.offer_ends_at else None
    return page(
        "waiting_list.html",
        cookie=visitor.cookie,
        event=event,
        entry=entry,
        stage="held",
        holds=await pages.holds(event_id, user_id) if user_id is not None and is_offered else (),
        needs_script_to_buy=pages.captcha_provider != "off",
        needs_account=event.account_required and not pages.is_account(request),
        takes_mail=pages.takes_mail,
        quantity_max=min(QUANTITY_MAX, event.seats_per_fan_max),
        problem=words_of(problem),
        data={
            "eventId": event_id,
            "state": entry.state if entry else None,
            "offerEndsAt": ends_at,
            "own": user_id is not None,
        },
        site_url=origin_of(request),
    )


@post("/events/{event_id:int}/waiting-list")
async def wait_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Enter the list. `PageData.ensure_session` refuses another site's form, here and below."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        fields = await form_fields(request)
        await pages.wait(
            request,
            event_id,
            user_id,
            ticket_type_id=number_in(fields, "ticketTypeId"),
            quantity=number_in(fields, "quantity"),
        )
    except PlainRefusedError as refused:
        return _back(event_id, cookie, refused.code)
    return _back(event_id, cookie)


@post("/events/{event_id:int}/waiting-list/leave")
async def stop_waiting_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Leave the list, or decline what is offered."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        await pages.stop_waiting(event_id, user_id)
    except PlainRefusedError as refused:
        if refused.code != "not_waiting":
            return _back(event_id, cookie, refused.code)
    return _back(event_id, cookie)


WAITING_PAGES: Final = (waiting_page, wait_form, stop_waiting_form)
