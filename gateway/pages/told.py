"""The forms and pages about messages: where a fan is told, what an address wants, and the links in mails.

All of them work without scripts. A link in a mail changes nothing when it is opened, because mail scanners open links:
its page has a button. Only the one-click way of mail programs (RFC 8058) is a POST without a page.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from litestar import MediaType, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import SkipValidation

from db.messages.kinds import CHOOSABLE, MAIL, PUSH, Followed, MessageKind
from gateway.identity.cookies import refuse_cross_site
from gateway.pages.languages import N_, current, gettext, prefix
from gateway.pages.look import page
from gateway.pages.views import PageData
from gateway.services import network, services_of
from gateway.wire.problems import ProblemError
from messages.links import Reader

Pages = NamedDependency[SkipValidation[PageData]]
FIELDS_MAX: Final = 100
HOURS: Final = [str(hour) for hour in range(24)]

KIND_WORDS: Final = {
    MessageKind.TURN_NEAR: N_("My turn in a line is near"),
    MessageKind.TURN: N_("It is my turn"),
    MessageKind.HOLD_ENDING: N_("My seats are about to be released"),
    MessageKind.PURCHASE: N_("My tickets"),
    MessageKind.PAYMENT_FAILED: N_("A payment did not go through"),
    MessageKind.REFUND: N_("Money is paid back"),
    MessageKind.EVENT_CHANGED: N_("Something about my event changed"),
    MessageKind.EVENT_MOVED: N_("My event was moved"),
    MessageKind.EVENT_CANCELLED: N_("My event was cancelled"),
    MessageKind.OFFER: N_("Seats from a waiting list"),
    MessageKind.SALE_TOMORROW: N_("A sale opens soon"),
    MessageKind.NEW_EVENT: N_("New events of artists and venues that I follow"),
    MessageKind.RETURNED_TICKETS: N_("Tickets came back for events that I follow"),
}
"""What each kind of message is called on the page where a person chooses."""

TICKETS_SENT: Final = "tickets"
TOLD_WORDS: Final = {
    TICKETS_SENT: N_("Thank you. Your tickets are on their way to you."),
    "contact": N_("Thank you. We shall write to you."),
    "follow": N_("Please look into your mail: a link there confirms your address."),
    "invalid_request": N_("That is no address that we can write to. Please check it."),
    "rate_limited": N_("Many addresses come from your network just now. Please try again in a minute."),
}
"""What a page says after one of the forms, by the word in its address."""
TOLD_OTHER: Final = N_("That did not work. Please try again.")


def told_words(word: str) -> str:
    """What the page says about how a form ended; empty for none."""
    return gettext(TOLD_WORDS.get(word, TOLD_OTHER)) if word else ""


async def _fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    form = await request.form()
    return {name: value for name in list(form)[:FIELDS_MAX] if isinstance(value := form[name], str)}


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _back(address: str) -> Response[str]:
    headers = {"Location": address, "Cache-Control": "no-store"}
    return Response("", status_code=303, media_type=MediaType.HTML, headers=headers)


@post("/events/{event_id:int}/contact")
async def contact_form(request: Request[Any, Any, Any], pages: Pages, event_id: int) -> Response[str]:
    """Be told of an event by mail, and by SMS where a number is given. The form of the tickets' page names the
    purchase, and leads back to it.
    """
    user_id, cookie = await pages.ensure_session(request)
    fields = await _fields(request)
    mail, phone = fields.get("mail", "").strip(), fields.get("phone", "").strip()
    purchase_id = _uuid(fields.get("purchase", ""))
    word = "contact" if purchase_id is None else TICKETS_SENT
    try:
        await services_of(request).contacts.give(
            event_id,
            user_id,
            network(request),
            mail=mail or None,
            phone=phone or None,
            language=current().tag,
        )
        if not (mail or phone):
            word = "invalid_request"
    except ProblemError as error:
        word = str(error)
    page_url = f"{prefix()}/events/{event_id}" if purchase_id is None else f"{prefix()}/purchases/{purchase_id}"
    answer = _back(f"{page_url}?told={word}#told")
    if cookie is not None:
        answer.cookies = [*answer.cookies, cookie]
    return answer


@post("/events/{event_id:int}/follow")
async def follow_form(request: Request[Any, Any, Any], event_id: int) -> Response[str]:
    """Hear of further events of this event's artist or venue, once the mail's link is opened."""
    refuse_cross_site(request)
    fields = await _fields(request)
    word = "follow"
    try:
        what = Followed.ARTIST if fields.get("what") == "artist" else Followed.VENUE
        await services_of(request).contacts.follow(
            event_id, what, network(request), mail=fields.get("mail", ""), language=current().tag
        )
    except ProblemError as error:
        word = str(error)
    return _back(f"{prefix()}/events/{event_id}?told={word}#told")


def _reader(request: Request[Any, Any, Any], token: str) -> Reader:
    reader = services_of(request).contacts.reader(token)
    if reader is None:
        raise NotFoundException
    return reader


@get("/messages/{token:str}")
async def preferences_page(request: Request[Any, Any, Any], token: str, saved: bool = False) -> Response[str]:
    """What an address wants to be told, for who has the link of a mail to it."""
    reader = _reader(request, token)
    contacts = services_of(request).contacts
    unwanted, followed = await contacts.choices(reader)
    return page(
        "messages.html",
        token=token,
        goes_to=_goes_to(reader),
        saved=saved,
        kinds=[(kind, gettext(KIND_WORDS[kind]), kind not in unwanted) for kind in kinds_of(reader)],
        followed=followed if reader.channel == MAIL else [],
        quiet=await contacts.quiet_hours(reader),
    )


def kinds_of(reader: Reader) -> list[MessageKind]:
    """The kinds that can reach a reader."""
    return [kind for kind in CHOOSABLE if reader.channel in kind.channels]


def _goes_to(reader: Reader) -> str:
    """Where a reader's messages go; the address of a browser says nothing to a person."""
    return gettext("this browser, as notifications") if reader.channel == PUSH else reader.address


def _quiet(start: str, end: str) -> tuple[int, int] | None:
    """The quiet hours of a form; None where it names none."""
    if start not in HOURS or end not in HOURS or start == end:
        return None
    return int(start), int(end)


@post("/messages/{token:str}")
async def preferences_form(request: Request[Any, Any, Any], token: str) -> Response[str]:
    """Keep what an address wants to be told."""
    reader = _reader(request, token)
    form = await request.form()
    wanted = set(form.getall("kind", []))
    followed = [found for name in form.getall("followed", []) if (found := _uuid(str(name)))]
    quiet = _quiet(str(form.get("quietFrom", "")), str(form.get("quietUntil", "")))
    unwanted = [kind for kind in kinds_of(reader) if kind not in wanted]
    await services_of(request).contacts.choose(reader, unwanted, followed, quiet)
    return _back(f"{prefix()}/messages/{token}?saved=true")


@get("/messages/{token:str}/unsubscribe")
async def unsubscribe_page(request: Request[Any, Any, Any], token: str) -> Response[str]:
    """A button that ends the messages of one kind."""
    reader = _reader(request, token)
    kind = next((kind for kind in CHOOSABLE if kind == reader.kind), None)
    return page(
        "unsubscribe.html",
        token=token,
        goes_to=_goes_to(reader),
        kind=gettext(KIND_WORDS[kind]) if kind else "",
        done=False,
    )


@post("/messages/{token:str}/unsubscribe", status_code=200)
async def unsubscribe(request: Request[Any, Any, Any], token: str) -> Response[str]:
    """End the messages of one kind: for the button, and for mail programs (RFC 8058), which show no page."""
    reader = _reader(request, token)
    await services_of(request).contacts.unsubscribe(reader)
    return page("unsubscribe.html", token=token, goes_to=_goes_to(reader), kind="", done=True)


@get("/messages/confirm/{token:str}")
async def confirm_page(token: str) -> Response[str]:
    """A button that confirms an address."""
    return page("confirm.html", token=token, name="", done=False)


@post("/messages/confirm/{token:str}", status_code=200)
async def confirm(request: Request[Any, Any, Any], token: str) -> Response[str]:
    """Confirm an address: from now on it hears of what it follows."""
    name = await services_of(request).contacts.confirm(token)
    if name is None:
        raise NotFoundException
    return page("confirm.html", token=token, name=name, done=True)


TOLD_FORMS: Final = (contact_form, follow_form, preferences_page, confirm_page, unsubscribe_page)
"""The pages and forms that a fan sees in the language of the address."""
TOLD_POSTS: Final = (preferences_form, unsubscribe, confirm)
"""What links in mails lead to. They take no session, so no other site's form can misuse one."""
