"""Finds events: the words that are spelt like those of a search, then the events in their order, then the facets."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, and_, case, cast, func, literal, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from db.events.halls import FACT_COLUMNS, EventFacts, event_facts
from db.events.sale import EventState
from db.search.asking import Asked, Meaning, asked, scored, typed
from db.search.folding import fold, words
from db.tables.events import Event, Ticket
from db.tables.search import EventSearch as Row

LIKE_MAX: Final = 24
LIKENESS_MIN: Final = "0.2"
FACET_VALUES_MAX: Final = 12

# `pg_trgm.similarity_threshold` is set first, for ``%``. Both conditions use the index of trigrams.
LIKE: Final = """
SELECT k.word, ARRAY(SELECT w.word FROM search_word w
                      WHERE w.word %% k.word AND length(k.word) >= 4
                      ORDER BY similarity(w.word, k.word) DESC, w.word LIMIT %(rows_max)s)
            || ARRAY(SELECT w.word FROM search_word w
                      WHERE length(k.word) >= 4 AND w.word LIKE '%%' || k.word || '%%'
                        AND w.word NOT LIKE k.word || '%%'
                      ORDER BY length(w.word), w.word LIMIT %(rows_max)s)
            || ARRAY(SELECT w.word FROM search_word w WHERE w.word = k.word)
  FROM unnest(%(words)s::text[]) AS k (word)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What events are wanted. Texts are folded here, so they may be spelt in any way.

    Attributes:
        text: words of the event, its artist, venue, town, tags and date; misspelt ones too.
        venue: words that stand in the venue or the town.
        town, tag: exactly these, however they are spelt.
        month: of the event in its own time zone, as 2027-06.
        price_min, price_max: of the cheapest seat, in minor units of ``currency``.
        available: only events with a seat that is neither sold nor held.
    """

    text: str = ""
    venue: str = ""
    town: str = ""
    tag: str = ""
    month: str = ""
    currency: str = ""
    price_min: int | None = None
    price_max: int | None = None
    date_min: dt.datetime | None = None
    date_max: dt.datetime | None = None
    available: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An event that was found. The seats are those of all its ticket types."""

    facts: EventFacts
    score: int
    price_from: int | None
    quantity: int
    free: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many events there are of each kind among those found; each list has the most frequent, or all in order.

    ``prices`` are (currency, number of the band in `db.search.terms.PRICE_BANDS`, events).
    """

    total: int = 0
    towns: list[tuple[str, int]] = field(default_factory=list)
    months: list[tuple[str, int]] = field(default_factory=list)
    prices: list[tuple[str, int, int]] = field(default_factory=list)
    available: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of events. ``every``: they have every word of the search; without it, none had, and they have some."""

    found: list[Found]
    words: Asked | None
    every: bool


async def search(
    connection: AsyncConnection,
    wanted: Wanted,
    *,
    limit: int,
    now: dt.datetime,
    by_score: bool,
    after: tuple[Any, ...] | None = None,
    every: bool = True,
) -> Answer:
    """The next events, with every word of the search; on the first page, where there are none such, with any of them.
    See `find`.
    """
    words_asked = await read_words(connection, wanted.text)
    if words_asked is None and wanted.text.strip():
        return Answer([], None, True)
    options: dict[str, Any] = {"limit": limit, "now": now, "by_score": by_score, "after": after}
    found = await find(connection, wanted, words_asked, every=every, **options)
    if not found and every and after is None and words_asked is not None and len(words_asked.groups) > 1:
        every = False
        found = await find(connection, wanted, words_asked, every=every, **options)
    return Answer(found, words_asked, every)


async def read_words(connection: AsyncConnection, search: str) -> Asked | None:
    """The words of a search text with all that they may stand for; None where there is no word in it."""
    what = typed(search)
    like: dict[str, list[str]] = {}
    if what.words:
        await connection.execute(
            text("SELECT set_config('pg_trgm.similarity_threshold', :least, true)"), {"least": LIKENESS_MIN}
        )
        rows: Any = await connection.exec_driver_sql(LIKE, {"words": what.looked_up, "rows_max": LIKE_MAX})
        like = {row[0]: row[1] for row in rows}
    found = asked(what, like)
    return found if found.groups else None


async def find(
    connection: AsyncConnection,
    wanted: Wanted,
    words_asked: Asked | None,
    *,
    limit: int,
    now: dt.datetime,
    by_score: bool,
    every: bool = True,
    after: tuple[Any, ...] | None = None,
) -> list[Found]:
    """The next events: by score and then by date, or by date alone.

    Args:
        now: the moment that decides which events are on sale.
        every: an event has every word of the search, and not only one of them.
        after: the (score, date, id), or without ``by_score`` (date, id), of the last event that was read already.
    """
    score = _score(words_asked, now).label("score") if by_score else literal(0).label("score")
    found = select(Row.event_id, Row.price_from, Row.date, score).where(*_conditions(wanted, words_asked, every))
    inner = found.subquery()
    order = (inner.c.score.desc(), inner.c.date, inner.c.event_id) if by_score else (inner.c.date, inner.c.event_id)
    page = select(inner).order_by(*order).limit(limit)
    if after is not None and by_score:
        last_score, *last = after
        page = page.where(
            or_(
                inner.c.score < last_score,
                and_(inner.c.score == last_score, tuple_(inner.c.date, inner.c.event_id) > tuple(last)),
            )
        )
    elif after is not None:
        page = page.where(tuple_(inner.c.date, inner.c.event_id) > after)
    hits = page.subquery()
    seats = (
        select(
            func.coalesce(func.sum(Ticket.quantity), 0).label("quantity"),
            func.coalesce(func.sum(Ticket.available_count), 0).label("free"),
            func.coalesce(func.sum(Ticket.held_count), 0).label("held"),
        )
        .where(Ticket.event_id == hits.c.event_id)
        .lateral()
    )
    ordered = (hits.c.score.desc(), hits.c.date, hits.c.event_id)
    query = (
        select(hits.c.score, hits.c.price_from, seats.c.quantity, seats.c.free, seats.c.held, *FACT_COLUMNS)
        .join(Event, Event.event_id == hits.c.event_id)
        .join(seats, literal(True))
        .order_by(*ordered)
    )
    return [
        Found(event_facts(row[5:]), row[0], row[1], int(row[2]), int(row[3]), int(row[4]))
        for row in await connection.execute(query)
    ]


async def facets(connection: AsyncConnection, wanted: Wanted, words_asked: Asked | None, *, every: bool) -> Facets:
    """The facets of all events that are wanted."""
    counted = (
        select(
            func.grouping(Row.town, Row.month, Row.currency, Row.is_available),
            Row.town,
            Row.month,
            Row.currency,
            Row.price_band,
            Row.is_available,
            func.count(),
        )
        .where(*_conditions(wanted, words_asked, every))
        .group_by(
            func.grouping_sets(
                tuple_(Row.town), tuple_(Row.month), tuple_(Row.currency, Row.price_band), tuple_(Row.is_available)
            )
        )
    )
    towns, months, prices, total, available = [], [], [], 0, 0
    for which, town, month, currency, band, is_available, events in await connection.execute(counted):
        if which == 0b0111:
            if town:
                towns.append((town, events))
        elif which == 0b1011:
            months.append((month, events))
        elif which == 0b1101:
            prices.append((currency, band, events))
        else:
            total += events
            available += events if is_available else 0
    towns.sort(key=lambda one: (-one[1], one[0]))
    return Facets(
        total=total,
        towns=towns[:FACET_VALUES_MAX],
        months=sorted(months)[:FACET_VALUES_MAX],
        prices=sorted(prices),
        available=available,
    )


def _conditions(wanted: Wanted, words_asked: Asked | None, every: bool) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if words_asked is not None:
        found.append(_holds(words_asked.query(every=every)))
    found += [_holds(Meaning(word, 0, begins=True).query("C")) for word in words(wanted.venue)]
    if wanted.town:
        found.append(Row.town_key == fold(wanted.town))
    if wanted.tag:
        found.append(Row.tag_keys.contains([fold(wanted.tag)]))
    if wanted.month:
        found.append(Row.month == wanted.month)
    if wanted.currency:
        found.append(Row.currency == wanted.currency)
    if wanted.price_min is not None:
        found.append(Row.price_from >= wanted.price_min)
    if wanted.price_max is not None:
        found.append(Row.price_from < wanted.price_max)
    if wanted.date_min is not None:
        found.append(Row.date >= wanted.date_min)
    if wanted.date_max is not None:
        found.append(Row.date <= wanted.date_max)
    if wanted.available:
        found.append(Row.is_available)
    return found


def _holds(query: str) -> ColumnElement[bool]:
    return Row.terms.op("@@", is_comparison=True)(cast(query, TSQUERY))


COMING, NONE_LEFT, OVER, BEGUN = 40, 80, 100, 250
"""What an event's score loses where its sale is to come, no seat is free, nothing is sold any more, or it has begun."""


def _score(words_asked: Asked | None, now: dt.datetime) -> ColumnElement[int]:
    """Of 1000: how well the words fit, less what there is against buying."""
    lost = case(
        (Row.date < now, BEGUN),
        (or_(Row.state == EventState.CANCELLED, Row.off_sale_at <= now), OVER),
        (~Row.is_available, NONE_LEFT),
        (Row.on_sale_at > now, COMING),
        else_=0,
    )
    if words_asked is None:
        return cast(-lost, Integer)
    fits = [case(*((_holds(query), worth) for worth, query in tiers), else_=0) for tiers in scored(words_asked)]
    total: ColumnElement[Any] = fits[0]
    for fit in fits[1:]:
        total = total + fit
    whole = case(
        (Row.artist_key == words_asked.key, 150),
        (Row.name_key == words_asked.key, 140),
        (Row.town_key == words_asked.key, 120),
        (Row.venue_key == words_asked.key, 120),
        else_=0,
    )
    return cast(total / len(fits) + whole - lost, Integer)
