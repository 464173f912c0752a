"""The list of events for everybody, by date; the copies that rehearsals make are not in it."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from db.events.halls import FACT_COLUMNS, EventFacts
from db.tables.events import Event


async def find_events(
    connection: AsyncConnection,
    *,
    limit: int,
    text: str = "",
    venue: str = "",
    date_min: dt.datetime | None = None,
    date_max: dt.datetime | None = None,
    after: tuple[dt.datetime, int] | None = None,
) -> list[EventFacts]:
    """The next events, the soonest first.

    Args:
        text: stands in the name, the artist or the venue.
        venue: stands in the venue.
        after: the date and the id of the last event that was read already.
    """
    query = select(*FACT_COLUMNS).where(Event.rehearsal_of.is_(None)).order_by(Event.date, Event.event_id).limit(limit)
    if text:
        query = query.where(
            or_(*(column.icontains(text, autoescape=True) for column in (Event.name, Event.artist, Event.venue)))
        )
    if venue:
        query = query.where(Event.venue.icontains(venue, autoescape=True))
    if date_min is not None:
        query = query.where(Event.date >= date_min)
    if date_max is not None:
        query = query.where(Event.date <= date_max)
    if after is not None:
        query = query.where(tuple_(Event.date, Event.event_id) > after)
    return [EventFacts(*row) for row in await connection.execute(query)]
