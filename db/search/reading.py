"""Finds events: the words that are spelt like those of a search, then the events in their order, then the facets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from db.events.halls import EventFacts, event_facts
from db.search.asking import WITHIN_MIN, Asked, Meaning, asked, may_be_misspelt, scored, typed
from db.search.folding import fold, words
from db.search.statements import FOUND, SEATS_OF, facets_statement, page_statement

LIKE_MAX: Final = 24
LIKENESS_MIN: Final = "0.2"
FACET_VALUES_MAX: Final = 12

KNOWN: Final = """
SELECT k.word, ARRAY(SELECT w.word FROM search_word w
                      WHERE k.is_typed AND length(k.word) >= %(within_min)s AND w.word LIKE '%%' || k.word || '%%'
                        AND w.word NOT LIKE k.word || '%%'
                      ORDER BY length(w.word), w.word LIMIT %(rows_max)s)
            || ARRAY(SELECT w.word FROM search_word w WHERE w.word = k.word),
       set_config('pg_trgm.similarity_threshold', %(likeness_min)s, true), set_config('enable_seqscan', 'off', true)
  FROM unnest(%(words)s::text[], %(are_typed)s::boolean[]) AS k (word, is_typed)
"""
"""For each word those in which it stands, and itself if it is one. ``LIKE`` uses the index of trigrams.

In the same round trip it sets for its transaction what ``%`` takes for alike, and that events are found by their words:
where Postgres wants only so many of them it would rather compare one event after the other, which is slower.
"""

NEAR: Final = """
SELECT k.word, ARRAY(SELECT w.word FROM search_word w
                      WHERE w.word %% k.word
                      ORDER BY similarity(w.word, k.word) DESC, w.word LIMIT %(rows_max)s)
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

    @property
    def is_nowhere(self) -> bool:
        """Whether a text is given in which no letter and no digit stands: no event has it."""
        given = (self.text, self.venue, self.town, self.tag)
        return any(text.strip() and not fold(text) for text in given)


@dataclass(frozen=True, slots=True)
class Seats:
    """The seats of all ticket types of an event."""

    quantity: int
    free: int
    held: int


NO_SEATS: Final = Seats(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Found:
    """An event that was found. ``is_available``: a seat is neither sold nor held. ``seats`` is None where they were not
    counted. What it asks is an empty dictionary in its ``facts``, or None where it asks nothing.
    """

    facts: EventFacts
    score: int
    price_from: int | None
    is_available: bool
    seats: Seats | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many events there are of each kind among those found; each list has the most frequent, or all in order.

    ``at_least``: there are more events than were counted. ``prices`` are (currency, number of the band in
    `db.search.terms.PRICE_BANDS`, events).
    """

    total: int = 0
    towns: list[tuple[str, int]] = field(default_factory=list)
    months: list[tuple[str, int]] = field(default_factory=list)
    prices: list[tuple[str, int, int]] = field(default_factory=list)
    available: int = 0
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much work a search may make.

    Attributes:
        ranked_max: so many events that have the words are ranked, the soonest of them; the others are on no page by
            score. Where any of the words will do, it is so many of each word.
        counted_max: so many events are counted for the facets.
    """

    ranked_max: int
    counted_max: int


BOUNDS: Final = Bounds(ranked_max=500, counted_max=3_000)


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
    bounds: Bounds = BOUNDS,
) -> Answer:
    """The next events, with every word of the search; by score and on the first page, where there are none such, with
    any of them. See `find`.
    """
    if wanted.is_nowhere:
        return Answer([], None, True)
    words_asked = await read_words(connection, wanted.text)
    options: dict[str, Any] = {"limit": limit, "now": now, "by_score": by_score, "after": after, "bounds": bounds}
    found = await find(connection, wanted, words_asked, every=every, **options)
    if not found and by_score and every and after is None and words_asked is not None and len(words_asked.groups) > 1:
        every = False
        found = await find(connection, wanted, words_asked, every=every, **options)
    return Answer(found, words_asked, every)


async def read_words(connection: AsyncConnection, search: str) -> Asked | None:
    """The words of a search text with all that they may stand for; None where there is no word in it."""
    what = typed(search)
    like: dict[str, list[str]] = {}
    if what.words:
        joined = [word for _, word in what.joined]
        rows: Any = await connection.exec_driver_sql(
            KNOWN,
            {
                "words": [*what.words, *joined],
                "are_typed": [True] * len(what.words) + [False] * len(joined),
                "within_min": WITHIN_MIN,
                "likeness_min": LIKENESS_MIN,
                "rows_max": LIKE_MAX,
            },
        )
        for word, found, *_ in rows:
            like.setdefault(word, []).extend(found)
    # To compare spellings is dear, and a word that some event has needs no guess.
    unknown = [word for word in what.words if word not in like[word] and may_be_misspelt(word)]
    if unknown:
        near: Any = await connection.exec_driver_sql(NEAR, {"words": unknown, "rows_max": LIKE_MAX})
        for word, found in near:
            like[word] += found
    meant = asked(what, like)
    return meant if meant.groups else None


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
    bounds: Bounds = BOUNDS,
) -> list[Found]:
    """The next events: by score and then by date, or by date alone.

    Args:
        now: the moment that decides which events are on sale.
        every: an event has every word of the search, and not only one of them.
        after: the (score, date, id), or without ``by_score`` (date, id), of the last event that was read already.
    """
    conditions = _conditions(wanted, words_asked, every)
    groups = len(words_asked.groups) if words_asked is not None and by_score else 0
    statement = page_statement(tuple(conditions), groups, by_score, after is not None, every)
    parameters: dict[str, Any] = {**conditions, "limit": limit, "now": now}
    if groups:
        assert words_asked is not None
        parameters |= {"key": words_asked.key, "ranked_max": bounds.ranked_max}
        if not every:
            parameters |= {f"word{number}": query for number, query in enumerate(words_asked.queries())}
        for group, levels in enumerate(scored(words_asked)):
            parameters.update({f"w{group}_{level}": query for level, query in enumerate(levels)})
    if after is not None:
        *score, parameters["after_date"], parameters["after_id"] = after
        if by_score:
            (parameters["after_score"],) = score
    rows: Any = await connection.exec_driver_sql(statement, parameters)
    return [_found(row[0], row[1:]) for row in rows]


async def read_found(connection: AsyncConnection, *, scores: Mapping[int, int]) -> list[Found]:
    """The events of these ids that are on show, with these scores and in this order."""
    rows: Any = await connection.exec_driver_sql(FOUND, {"event_ids": list(scores)})
    found = {row[4]: row for row in rows}
    return [_found(scores[event_id], found[event_id]) for event_id in scores if event_id in found]


async def read_seats(connection: AsyncConnection, event_ids: Sequence[int]) -> dict[int, Seats]:
    """The seats of those of the events that have ticket types."""
    rows: Any = await connection.exec_driver_sql(SEATS_OF, {"event_ids": list(event_ids)})
    return {event_id: Seats(*map(int, counts)) for event_id, *counts in rows}


async def facets(
    connection: AsyncConnection, wanted: Wanted, words_asked: Asked | None, *, every: bool, bounds: Bounds = BOUNDS
) -> Facets:
    """The facets of the events that are wanted."""
    conditions = _conditions(wanted, words_asked, every)
    parameters = {**conditions, "counted_max": bounds.counted_max + 1}
    rows: Any = await connection.exec_driver_sql(facets_statement(tuple(conditions)), parameters)
    towns, months, prices, total, available = [], [], [], 0, 0
    for which, town, month, currency, band, is_available, events in rows:
        if which == "town":
            towns.append((town, events))
        elif which == "month":
            months.append((month, events))
        elif which == "price":
            prices.append((currency, band, events))
        else:
            total += events
            available += events if is_available else 0
    towns.sort(key=lambda one: (-one[1], one[0]))
    return Facets(
        total=min(total, bounds.counted_max),
        towns=[(town, events) for town, events in towns if town][:FACET_VALUES_MAX],
        months=sorted(months)[:FACET_VALUES_MAX],
        prices=sorted(prices),
        available=available,
        at_least=total > bounds.counted_max,
    )


def _found(score: int, row: Sequence[Any]) -> Found:
    seats = Seats(int(row[1]), int(row[2]), int(row[3]))
    return Found(event_facts(row[4:]), score, row[0], seats.free > 0, seats)


def _conditions(wanted: Wanted, words_asked: Asked | None, every: bool) -> dict[str, Any]:
    """The parameters of the conditions in `db.search.statements.CONDITIONS` that hold, by their names."""
    venue = [Meaning(word, 0, begins=True).query("C") for word in words(wanted.venue)]
    found = {
        "words": None if words_asked is None else words_asked.query(every=every),
        "venue": " & ".join(venue) or None,
        "town": fold(wanted.town) or None,
        "tag": [fold(wanted.tag)] if wanted.tag else None,
        "month": wanted.month or None,
        "currency": wanted.currency or None,
        "price_min": wanted.price_min,
        "price_max": wanted.price_max,
        "date_min": wanted.date_min,
        "date_max": wanted.date_max,
        "available": wanted.available or None,
    }
    return {name: value for name, value in found.items() if value is not None}
