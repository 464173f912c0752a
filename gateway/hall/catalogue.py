"""The catalogue: the events that fans can search, page by page."""

from __future__ import annotations

import base64
import datetime as dt
from functools import partial
from typing import Final

import msgspec

from db.connections.old_reads import OldReads
from db.events.catalogue import find_events
from db.events.halls import EventFacts
from gateway.contract.hall import EventAnswer, EventList
from gateway.contract.values import EventId, Moment
from gateway.wire.problems import invalid

SHOWN_AFTER_BEGIN: Final = dt.timedelta(hours=12)
"""An event that has begun is still listed as upcoming for this long."""


class Catalogue:
    """Searches the events that are on show."""

    def __init__(self, old_reads: OldReads) -> None:
        self._old_reads = old_reads

    async def search(
        self,
        *,
        text: str,
        venue: str,
        date_min: dt.datetime | None,
        date_max: dt.datetime | None,
        cursor: str | None,
        limit: int,
    ) -> EventList:
        """Events that have ``text`` in name, artist or venue, sorted by date; with a cursor if there are more.

        Args:
            cursor: the cursor that the page before gave; None for the first page.

        Raises:
            ProblemError: ``invalid_request`` for a NUL in a text, or a cursor that was never given.
        """
        _refuse_nul(q=text, venue=venue)
        after = None if cursor is None else _read_cursor(cursor)
        events = await self._old_reads.read(
            partial(
                find_events,
                limit=limit + 1,
                text=text,
                venue=venue,
                date_min=date_min,
                date_max=date_max,
                after=after,
            )
        )
        answers = tuple(event_answer(facts) for facts in events[:limit])
        return EventList(events=answers, cursor=_cursor(answers[-1]) if len(events) > limit else None)

    async def upcoming(self, text: str, now: dt.datetime, limit: int) -> list[int]:
        """The ids of events that have ``text`` and are to come, or began less than `SHOWN_AFTER_BEGIN` ago.

        Raises:
            ProblemError: ``invalid_request`` for a NUL.
        """
        _refuse_nul(q=text)
        date_min = now - SHOWN_AFTER_BEGIN
        events = await self._old_reads.read(partial(find_events, limit=limit, text=text, date_min=date_min))
        return [facts.event_id for facts in events]


def event_answer(facts: EventFacts) -> EventAnswer:
    """An event as the API describes it."""
    return EventAnswer(
        event_id=facts.event_id,
        name=facts.name,
        artist=facts.artist,
        date=facts.date,
        time_zone=facts.time_zone,
        venue=facts.venue,
        on_sale_at=facts.on_sale_at,
        off_sale_at=facts.off_sale_at,
        event_state=facts.event_state,
        currency=facts.currency,
        seats_per_fan_max=facts.seats_per_fan_max,
        notice=facts.notice,
        doors_at=facts.doors_at,
        picture_hash=facts.picture_hash,
        picture_alt=facts.picture_alt,
        account_required=facts.account_required,
        payments=facts.payments,
        asks=facts.asks is not None,
    )


def _refuse_nul(**texts: str) -> None:
    # Postgres takes no NUL in a text.
    for name, text in texts.items():
        if "\0" in text:
            raise invalid("no text holds a NUL", name)


def _cursor(last: EventAnswer) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((last.date, last.event_id))).decode()


def _read_cursor(cursor: str) -> tuple[dt.datetime, int]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[Moment, EventId])
    except ValueError:
        raise invalid("not a cursor of ours", "cursor") from None
