"""Files that come with a mail: tickets as a PDF, and a calendar entry."""

from __future__ import annotations

import datetime as dt
from urllib.parse import urlsplit

from db.messages.kinds import MessageKind
from messages.letters import File, Letter, Occasion
from messages.look import Look
from messages.pdf import tickets_pdf


def files_of(occasion: Occasion, letter: Letter, look: Look, font: str = "") -> list[File]:
    """What comes with a letter: tickets and their evening, or the moment of a sale."""
    if occasion.kind is MessageKind.PURCHASE:
        files = [_evening(occasion, letter)]
        pdf = tickets_pdf(occasion.event, occasion.tickets, letter.language, letter.subject, look, font)
        return files if pdf is None else [File("tickets.pdf", "application/pdf", pdf), *files]
    if occasion.kind is MessageKind.SALE_TOMORROW:
        return [_sale(occasion, letter)]
    return []


def _evening(occasion: Occasion, letter: Letter) -> File:
    # Most kinds of mail have no calendar, and its library takes long to load.
    from messages.calendars import MEDIA_TYPE, evening_entry

    event = occasion.event
    entry = evening_entry(
        occasion.payload["purchaseId"],
        urlsplit(letter.url).netloc,
        letter.url,
        event.name,
        event.date,
        event.time_zone,
        revision=event.revision,
        now=dt.datetime.now(dt.UTC),
    )
    entry.say(location=event.venue)
    return File("event.ics", MEDIA_TYPE, entry.file())


def _sale(occasion: Occasion, letter: Letter) -> File:
    # As for the evening.
    from messages.calendars import MEDIA_TYPE, sale_entry

    event, host, now = occasion.event, urlsplit(letter.url).netloc, dt.datetime.now(dt.UTC)
    entry = sale_entry(
        occasion.event_id, host, letter.url, letter.subject, event.on_sale_at, revision=event.revision, now=now
    )
    entry.say(location=event.venue)
    return File("sale.ics", MEDIA_TYPE, entry.file())
