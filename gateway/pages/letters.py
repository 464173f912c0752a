"""Previews of letters for operators: every kind in every language, as a made-up fan would get it."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from litestar import MediaType, Request, Response, get
from litestar.exceptions import NotFoundException

from db.languages import LANGUAGE_TAGS
from db.messages.kinds import MAIL, MessageKind
from db.messages.queue import EventFacts, TicketFacts
from gateway.pages.look import page
from gateway.pages.mailbox import FRAME_HEADERS, with_images
from gateway.services import services_of
from gateway.wire.addresses import below
from gateway.wire.requests import origin_of
from messages.letters import Letter, Occasion, write_letter
from messages.links import Links, LinkTokens
from messages.look import Look

_AT: Final = dt.datetime(2031, 5, 9, 18, 0, tzinfo=dt.UTC)
_EVENT: Final = EventFacts(
    name="A Night at the Lyceum",
    artist="Ada and the Engines",
    venue="Lyceum, Berlin",
    date=_AT,
    time_zone="Europe/Berlin",
    doors_at=_AT - dt.timedelta(hours=1),
    on_sale_at=_AT - dt.timedelta(days=60),
    currency="EUR",
    notice="",
    state="published",
    revision=1,
)
_TICKETS: Final = tuple(
    TicketFacts(9800, "EUR", "Stalls", "A", "3", seat, 4900, f"AO-7F3K-{seat}", order_code="K7XP4MQ2")
    for seat in ("7", "8")
)
_PAYLOAD: Final = {
    "minutes": 5,
    "place": "preview",
    "endsAt": (_AT - dt.timedelta(hours=4)).isoformat(),
    "purchaseId": "00000000-0000-7000-8000-000000000000",
    "followerId": "00000000-0000-7000-8000-000000000000",
    "name": _EVENT.artist,
    "mail": "ada@example.org",
    "amount": 4900,
    "currency": "EUR",
    "cause": "cancelled",
    "seats": 2,
    "title": "Alarm: The line is long · A Night at the Lyceum",
    "short": "The line has 5,120 fans.",
    "alarms": [
        {
            "title": "The line is long",
            "sentence": "The line has 5,120 fans.",
            "facts": [
                ["Event", _EVENT.name],
                ["Threshold", "5,000 fans"],
                ["Since", "Fri 9 May 2031, 20:00 CEST"],
            ],
        }
    ],
    "more": "",
    "path": "/ops",
    "before": {"date": (_AT - dt.timedelta(days=7)).isoformat()},
}


@get("/ops/messages")
async def letters_page() -> Response[str]:
    """Messages that were given up, and previews of all."""
    return page("letters.html", kinds=[(kind, kind.headline) for kind in MessageKind], languages=LANGUAGE_TAGS)


@get("/ops/messages/preview/{kind:str}/{language:str}")
async def letter_preview(
    request: Request[Any, Any, Any], kind: str, language: str, text: bool = False
) -> Response[str]:
    """A mail of a kind in a language. It is about a made-up event, so that anybody may see it."""
    if kind not in set(MessageKind) or language not in LANGUAGE_TAGS:
        raise NotFoundException
    letter = _preview(request, next(one for one in MessageKind if one == kind), language)
    if text:
        return Response(letter.text, media_type=MediaType.TEXT, headers={"Cache-Control": "no-store"})
    html = with_images(letter.html, {image.name: image.content for image in letter.images})
    return Response(html, media_type=MediaType.HTML, headers=FRAME_HEADERS)


def _preview(request: Request[Any, Any, Any], kind: MessageKind, language: str) -> Letter:
    settings = services_of(request).settings
    # Links that are signed by another key than the site's open nothing.
    links = Links(origin_of(request) + below(""), LinkTokens("a preview's own key, which signs nothing real"))
    occasion = Occasion(
        kind=kind,
        event_id=1,
        event=_EVENT,
        payload=_PAYLOAD,
        tickets=_TICKETS if kind is MessageKind.PURCHASE else (),
    )
    return write_letter(occasion, MAIL, "ada@example.org", language, Look.of(settings.brand), links)


LETTERS: Final = (letters_page, letter_preview)
