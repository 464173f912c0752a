"""Letters: a message as its reader sees it, made of the template of its kind, in the reader's language.

Each kind has one template, whose macro ``body`` is written once and rendered twice: with the parts of ``_html.j2`` and
with those of ``_text.j2``.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from db.messages.kinds import CHOOSABLE, MAIL, MessageChannel, MessageKind
from db.messages.queue import EventFacts, TicketFacts
from messages.languages import known, locale_of, translations_of
from messages.links import Links, Reader
from messages.look import Look
from messages.moments import CLOCK, moment_in
from messages.money import money_in

N_: Final = str
CHOOSE: Final = N_("Choose or stop")
FOLDER: Final = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is shown in the letter, under the name by which its HTML knows it."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class File:
    """A file that comes with the letter."""

    name: str
    media_type: str
    content: bytes


@dataclass(slots=True, kw_only=True)
class Letter:
    """``short`` is all there is of it in an SMS or a notification; ``url`` is where it leads."""

    kind: MessageKind
    language: str
    subject: str
    short: str
    text: str
    html: str
    url: str
    tag: str
    preferences: str = ""
    choose: str = ""
    """What the link to the preferences is called in an SMS or a notification."""
    unsubscribe: str = ""
    images: list[Image] = field(default_factory=list)
    files: list[File] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a letter is about. ``tickets`` are those of the purchase that it tells of; ``user_id`` is the fan's, and 0
    where the reader is none.
    """

    kind: MessageKind
    event_id: int
    event: EventFacts
    payload: Mapping[str, Any]
    tickets: Sequence[TicketFacts] = ()
    user_id: int = 0


@cache
def _environment(*, html: bool) -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=html,  # noqa: S701 - a mail's text is no HTML
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def write_letter(
    occasion: Occasion, channel: MessageChannel, address: str, language: str, look: Look, links: Links
) -> Letter:
    """The letter to an address, in its language or else in English."""
    token = links.tokens.sign_reader(Reader(channel=channel, address=address, kind=occasion.kind))
    return compose(occasion, channel, token, language, look, links)


def compose(occasion: Occasion, channel: MessageChannel, token: str, language: str, look: Look, links: Links) -> Letter:
    """The letter to the reader whom ``token`` names."""
    language = known(language)
    is_chosen = occasion.kind in CHOOSABLE
    letter = Letter(
        kind=occasion.kind,
        language=language,
        subject="",
        short="",
        text="",
        html="",
        url=_url(occasion, language, links),
        tag=str(occasion.payload.get("tag") or f"event-{occasion.event_id}"),
        preferences=links.preferences(token, language) if is_chosen and token else "",
        unsubscribe=links.unsubscribe(token) if is_chosen and channel == MAIL else "",
    )
    if letter.preferences:
        letter.choose = translations_of(language).gettext(CHOOSE)
    letter.subject, letter.short, letter.text = _render(occasion, letter, look, html=False)
    if channel == MAIL:
        letter.html = _render(occasion, letter, look, html=True)[2]
        letter.images = [Image(f"ticket-{n}", _qr(one.qr)) for n, one in enumerate(occasion.tickets, 1)]
    return letter


def _url(occasion: Occasion, language: str, links: Links) -> str:
    payload, kind = occasion.payload, occasion.kind
    if kind is MessageKind.CONFIRM:
        return links.confirm(links.tokens.sign_confirmation(str(payload["followerId"])), language)
    if kind is MessageKind.ACCOUNT_LINK:
        return links.account(links.tokens.sign_account_link(str(payload["mail"])), language)
    if kind is MessageKind.TICKETS_LINK:
        return links.tickets(links.tokens.sign_tickets_link(str(payload["mail"])), language)
    if kind is MessageKind.ACCOUNT_JOINED:
        return links.page("/account", language)
    if kind is MessageKind.ALARM:
        return links.page(str(payload["path"]))
    if kind is MessageKind.PURCHASE or (kind is MessageKind.REFUND and payload["purchaseId"]):
        return links.purchase(str(payload["purchaseId"]), occasion.user_id, language)
    return links.event(occasion.event_id, language, str(payload.get("place") or ""))


def _render(occasion: Occasion, letter: Letter, look: Look, *, html: bool) -> tuple[str, str, str]:
    """Subject, short form and whole text of a letter."""
    environment, event = _environment(html=html), occasion.event
    locale = locale_of(letter.language)
    _ = _translating(letter.language, html=html)
    names: dict[str, Any] = {
        "_": _,
        "ngettext": _counting(letter.language, html=html),
        "look": look,
        "event": event,
        "payload": {"place": "", "before": {}, **occasion.payload},
        "tickets": occasion.tickets,
        "url": letter.url,
        "when": moment_in(locale, event.date, event.time_zone),
        "doors": moment_in(locale, event.doors_at, event.time_zone, CLOCK) if event.doors_at else "",
        "money": lambda amount, currency: money_in(locale, amount, currency),
        "moment": lambda at: moment_in(locale, _moment(at), event.time_zone),
        "clock": lambda at: moment_in(locale, _moment(at), event.time_zone, CLOCK),
        "seat_words": lambda one: _seat_words(_, one),
        "language": letter.language,
        "direction": str(locale.text_direction),
        "preferences": letter.preferences,
        "unsubscribe": letter.unsubscribe,
        "why": "",
    }
    if letter.preferences:
        names["why"] = (
            _("You get this because you gave us this address for %(event)s.", event=event.name)
            if occasion.kind.transactional
            else _("You get this because you asked for news of %(name)s.", name=event.artist or event.venue)
        )
    parts: Any = environment.get_template("_html.j2" if html else "_text.j2").make_module(names)
    words: Any = environment.get_template(f"{occasion.kind}.j2").make_module(names)
    subject = str(words.subject())
    names |= {"subject": subject if not html else Markup(subject), "body": words.body(parts)}  # noqa: S704 - escaped
    page = environment.get_template("_page.html.j2" if html else "_page.text.j2").render(names)
    return subject, str(words.short()), page


def _moment(at: str | dt.datetime) -> dt.datetime:
    return at if isinstance(at, dt.datetime) else dt.datetime.fromisoformat(at)


def _seat_words(_: Callable[..., str], one: TicketFacts) -> str:
    kind = f"{one.section} · {one.ticket_type}" if one.section else one.ticket_type
    return _("%(type)s, row %(row)s, seat %(seat)s", type=kind, row=one.row, seat=one.seat)


def _translating(language: str, *, html: bool) -> Callable[..., str]:
    """Gettext with values. In HTML the values are escaped, and the texts are ours."""
    translations = translations_of(language)

    def translate(text: str, **values: object) -> str:
        said = translations.gettext(text)
        if html:
            return Markup(said) % values if values else Markup(said)  # noqa: S704 - a text of the catalogues
        return said % values if values else said

    return translate


def _counting(language: str, *, html: bool) -> Callable[..., str]:
    translations = translations_of(language)

    def translate(one: str, many: str, n: int, **values: object) -> str:
        said = translations.ngettext(one, many, n)
        return (Markup(said) if html else said) % {"n": n, **values}  # noqa: S704 - a text of the catalogues

    return translate


def _qr(code: str) -> bytes:
    picture = io.BytesIO()
    segno.make_qr(code, error="m").save(picture, kind="png", scale=6, border=4, dark="#000", light="#fff")
    return picture.getvalue()
