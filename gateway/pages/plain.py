"""The forms by which a fan without scripts goes from the call to the tickets: come in, hold the best seats, buy them.

Each form is answered with a redirect: to the event's page, whose address may name a problem, or to the tickets.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any, Final

from litestar import MediaType, Request, Response, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from gateway.contract.values import INT_MAX
from gateway.pages.languages import N_, gettext, prefix
from gateway.pages.views import PageData, PlainRefusedError
from waiting_room.access import CODE_MAX

Pages = NamedDependency[SkipValidation[PageData]]

KEY_CHARACTERS_MAX: Final = 64
FIELD_CHARACTERS_MAX: Final = 1000

_SLOW = N_(
    "This takes a little longer. Reload this page in a few seconds, and look at “Your tickets” before you try again."
)
_NEEDS_SCRIPTS = N_("Buying needs JavaScript here, because this site checks that you are a person.")
WORDS: Final[Mapping[str, str]] = {
    "no_block": N_("There are not that many seats next to each other. Try fewer, or another kind of ticket."),
    "sold_out": N_("Every ticket of this kind is sold. Try another kind."),
    "limit_exceeded": N_("That is more tickets than one person can buy here."),
    "type_limit_exceeded": N_("That is more tickets than one person can buy here."),
    "type_not_on_sale": N_("These tickets are not on sale yet."),
    "type_sale_over": N_("These tickets are not on sale any more."),
    "voucher_unknown": N_("There is no such voucher here. Check it for typing errors."),
    "voucher_used": N_("This voucher has been used up."),
    "voucher_expired": N_("This voucher is not valid any more."),
    "voucher_not_for_these": N_("This voucher is not for these tickets."),
    "not_admitted": N_("Your time to choose seats has ended. Please join the line again."),
    "not_called": N_("It is not your turn, or your turn has passed."),
    "account_required": N_("Here you need an account. Sign in first; a place in line that you have comes along."),
    "not_on_sale": N_("Tickets are not on sale yet."),
    "sale_over": N_("The sale is over."),
    "kept_for_waiting": N_("Tickets that come back go to the people on the waiting list first."),
    "hold_expired": N_("Your time to buy these seats ran out. Please choose again."),
    "answers_missing": N_("Something is missing in what the organiser asks. Please fill in all fields below."),
    "terms_changed": N_("Please agree to the terms of the organiser first."),
    "captcha_failed": _NEEDS_SCRIPTS,
    "captcha_required": _NEEDS_SCRIPTS,
    "ticket_link_ended": N_("Somebody took this ticket already, or it was cancelled, or the event has begun."),
    "timed_out": _SLOW,
    "queued": _SLOW,
    "overloaded": N_("We are very busy. Wait a few seconds and try again."),
}
REFUSED_AS_PROGRAM: Final = {
    True: N_(
        "This session looks like a program’s, so it has to wait for ten minutes. If you are a person, write to {address} and name the number {number}."  # noqa: E501
    ),
    False: N_(
        "This session looks like a program’s, so it has to wait for ten minutes. If you are a person, write to the organiser and name the number {number}."  # noqa: E501
    ),
}
"""By whether the settings name an address to write to. The scripts have the same words."""
OTHER: Final = N_("That did not work. Please try again.")
"""What is said of every other problem."""


def words_of(code: str, *, user_id: int | None = None, appeal: str = "") -> str:
    """What the page says about a problem that its address names; empty for none.

    Args:
        user_id: by which a fan writes to ``appeal`` who was refused as a program.
    """
    if code == "conduct_refused" and user_id is not None:
        return gettext(REFUSED_AS_PROGRAM[bool(appeal)]).format(address=appeal, number=user_id)
    return gettext(WORDS.get(code, OTHER)) if code else ""


def key_new() -> str:
    """The Idempotency-Key of a form that is shown: sent twice, it is carried out once."""
    return secrets.token_urlsafe(18)


async def form_fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The form's fields of text; longer ones than any of ours are left out."""
    form = await request.form()
    return {name: value for name in form if isinstance(value := form[name], str) and len(value) <= FIELD_CHARACTERS_MAX}


def number_in(fields: Mapping[str, str], name: str) -> int:
    """A positive number of a form.

    Raises:
        PlainRefusedError: ``invalid_request``.
    """
    text = fields.get(name, "")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= INT_MAX):
        raise PlainRefusedError("invalid_request")
    return int(text)


def _hold_named(fields: Mapping[str, str]) -> uuid.UUID:
    try:
        return uuid.UUID(fields.get("reservationId", ""))
    except ValueError:
        raise PlainRefusedError("invalid_request") from None


def _to(path: str, *cookies: Cookie | None) -> Response[str]:
    return Response(
        "",
        status_code=303,
        media_type=MediaType.HTML,
        headers={"Location": f"{prefix()}/{path}", "Cache-Control": "no-store"},
        cookies=[cookie for cookie in cookies if cookie is not None],
    )


def _back(event_id: int, cookie: Cookie | None, code: str = "") -> Response[str]:
    return _to(f"events/{event_id}{f'?problem={code}' if code else ''}", cookie)


@post("/events/{event_id:int}/claim")
async def claim_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Come in when called. `PageData.ensure_session` refuses another site's form, here and below."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        return _to(f"events/{event_id}", cookie, *await pages.claim(request, event_id, user_id))
    except PlainRefusedError as refused:
        return _back(event_id, cookie, refused.code)


@post("/events/{event_id:int}/hold")
async def hold_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Hold the best seats of a ticket type."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        fields = await form_fields(request)
        await pages.hold_best(
            request,
            event_id,
            user_id,
            ticket_type_id=number_in(fields, "ticketTypeId"),
            quantity=number_in(fields, "quantity"),
            accessible="accessible" in fields,
            key=fields.get("key", "")[:KEY_CHARACTERS_MAX] or key_new(),
        )
    except PlainRefusedError as refused:
        return _back(event_id, cookie, refused.code)
    return _back(event_id, cookie)


@post("/events/{event_id:int}/buy")
async def buy_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Buy a hold, where the site asks for no captcha."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        fields = await form_fields(request)
        voucher = fields.get("voucher", "").strip()[:CODE_MAX]
        await pages.answer(request, event_id, user_id, _hold_named(fields), fields)
        path = await pages.buy(request, event_id, user_id, _hold_named(fields), voucher)
    except PlainRefusedError as refused:
        return _back(event_id, cookie, refused.code)
    return _to(path, cookie)


@post("/events/{event_id:int}/give-back")
async def give_back_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Give a hold back, to choose again."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        await pages.give_back(request, event_id, user_id, _hold_named(await form_fields(request)))
    except PlainRefusedError as refused:
        return _back(event_id, cookie, refused.code)
    return _back(event_id, cookie)


PLAIN_FORMS: Final = (claim_form, hold_form, buy_form, give_back_form)
