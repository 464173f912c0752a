"""The list of events for everybody, by date; neither the copies that rehearsals make nor shops' rooms are in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from db.events.halls import FACT_COLUMNS, EventFacts, event_facts
from db.events.sale import EventState
from db.tables.events import Event
from db.tables.shops import ShopRow
from db.texts import INVISIBLE, sought


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
    """The next events, the soonest first. Texts are compared as people read them (`db.texts.sought`).

    Args:
        text: stands in the name, the artist or the venue.
        venue: stands in the venue.
        after: the date and the id of the last event that was read already.
    """
    query = (
        select(*FACT_COLUMNS)
        .where(Event.rehearsal_of.is_(None), Event.state != EventState.UNPUBLISHED)
        .where(Event.event_id.not_in(select(ShopRow.event_id)))
        .order_by(Event.date, Event.event_id)
        .limit(limit)
    )
    if text := sought(text):
        query = query.where(or_(*(_holds(column, text) for column in (Event.name, Event.artist, Event.venue))))
    if venue := sought(venue):
        query = query.where(_holds(Event.venue, venue))
    if date_min is not None:
        query = query.where(Event.date >= date_min)
    if date_max is not None:
        query = query.where(Event.date <= date_max)
    if after is not None:
        query = query.where(tuple_(Event.date, Event.event_id) > after)
    return [event_facts(row) for row in await connection.execute(query)]


async def names_of(connection: AsyncConnection, event_ids: Iterable[int]) -> dict[int, str]:
    """The names of these events, by their ids."""
    found = await connection.execute(select(Event.event_id, Event.name).where(Event.event_id.in_(list(event_ids))))
    return {int(row[0]): str(row[1]) for row in found}


def _holds(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    plain = func.pg_catalog.normalize(func.regexp_replace(column, f"[{INVISIBLE}]", "", "g"), "NFKC")
    return plain.icontains(text, autoescape=True)
