"""The statements that find events. Each is put together once of the parts below, for its words and its conditions.

One statement for all would carry conditions that do not hold, and Postgres could not choose an index by those that do.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy.orm import InstrumentedAttribute

from db.events.halls import FACT_COLUMNS
from db.events.sale import EventState
from db.search.asking import LEVELS
from db.tables.events import Event

CONDITIONS: Final[dict[str, str]] = {
    "words": "s.terms @@ %(words)s::tsquery",
    "venue": "s.terms @@ %(venue)s::tsquery",
    "town": "s.town_key = %(town)s",
    "tag": "s.tag_keys @> %(tag)s::text[]",
    "month": "s.month = %(month)s",
    "currency": "s.currency = %(currency)s",
    "price_min": "s.price_from >= %(price_min)s",
    "price_max": "s.price_from < %(price_max)s",
    "date_min": "s.date >= %(date_min)s",
    "date_max": "s.date <= %(date_max)s",
    "available": "s.is_available = %(available)s",
}
"""What can be asked of an event, by the name of its parameter."""

STANDINGS: Final = (100, 80, 40)
"""What a score loses where nothing is sold any more, where no seat is free, and where the sale is to come."""
LOST_MOST: Final = 250
"""What it loses where the event has begun."""

LOST: Final = f"""
       CASE WHEN s.date < %(now)s THEN {LOST_MOST}
            WHEN s.state = '{EventState.CANCELLED}' OR s.off_sale_at <= %(now)s THEN {STANDINGS[0]}
            WHEN NOT s.is_available THEN {STANDINGS[1]}
            WHEN s.on_sale_at > %(now)s THEN {STANDINGS[2]}
            ELSE 0 END"""

WHOLE_OF: Final[dict[str, int]] = {"artist_key": 150, "name_key": 140, "town_key": 120, "venue_key": 120}
"""What a score gains where the search is the whole of a text, the best first."""

WHOLE: Final = " ".join(
    ("CASE", *(f"WHEN s.{column} = %(key)s THEN {worth}" for column, worth in WHOLE_OF.items()), "ELSE 0 END")
)

SEATS: Final = """
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(quantity), 0) AS quantity, coalesce(sum(available_count), 0) AS free,
              coalesce(sum(held_count), 0) AS held
         FROM ticket
        WHERE ticket.event_id = hit.event_id) AS seats"""


@cache
def page_statement(conditions: tuple[str, ...], words: int, by_score: bool, goes_on: bool, every: bool = True) -> str:
    """The statement that reads a page: score, lowest price, seats in all, free and held, then the event's facts.

    Args:
        conditions: the names of `CONDITIONS` that hold.
        words: how many words the score is made of.
        by_score: the best first, and then by date; otherwise by date alone.
        goes_on: the page is one behind another.
        every: the events have every word, and not only one of them.
    """
    score = _score(words) if by_score else "0"
    order = "score DESC, date, event_id" if by_score else "date, event_id"
    after = "(date, event_id) > (%(after_date)s, %(after_id)s)"
    if by_score:
        after = f"(score < %(after_score)s OR score = %(after_score)s AND {after})"
    searched = f"event_search s WHERE {_where(conditions)}"
    if words:
        searched = f"({_ranked(conditions, words, every)}) AS ranked JOIN event_search s USING (event_id)"
    return f"""
SELECT hit.score, hit.price_from, seats.quantity, seats.free, seats.held, {FACTS}
  FROM (SELECT *
          FROM (SELECT s.event_id, s.date, s.price_from, {score} AS score
                  FROM {searched}) AS found
         WHERE {after if goes_on else "true"}
         ORDER BY {order}
         LIMIT %(limit)s) AS hit
  JOIN event USING (event_id){SEATS}
 ORDER BY {order.replace("date", "hit.date").replace("event_id", "hit.event_id")}
"""  # noqa: S608 - of constants alone


@cache
def facets_statement(conditions: tuple[str, ...]) -> str:
    """The statement that counts the events that were found by (facet, town, month, currency, band, is_available). It
    counts any ``counted_max`` of them.
    """
    return f"""
SELECT CASE WHEN grouping(town) = 0 THEN 'town' WHEN grouping(month) = 0 THEN 'month'
            WHEN grouping(currency) = 0 THEN 'price' ELSE 'available' END,
       town, month, currency, price_band, is_available, count(*)
  FROM (SELECT town, month, currency, price_band, is_available
          FROM event_search s
         WHERE {_where(conditions)}
         LIMIT %(counted_max)s) AS counted
 GROUP BY GROUPING SETS ((town), (month), (currency, price_band), (is_available))
"""  # noqa: S608 - of constants alone


def _ranked(conditions: tuple[str, ...], words: int, every: bool) -> str:
    """The ids of the events that are ranked, because a score for each of ten thousand takes too long: those of which a
    text is the whole search, and the soonest with every word. Where any of the words will do these are the soonest with
    each word, so that a rare word's few are among them.
    """
    others = tuple(name for name in conditions if name != "words")
    sets = ["words"] if every else [f"word{number}" for number in range(words)]
    whole = " OR ".join(f"s.{column} = %(key)s" for column in WHOLE_OF)
    found = [f"(SELECT s.event_id FROM event_search s WHERE ({whole}) AND {_where(conditions)} LIMIT %(ranked_max)s)"]  # noqa: S608 - of constants alone
    # No index gives this order, so that Postgres always comes by the words: to walk along the dates is slow for a rare
    # word, and it often takes one for frequent.
    soonest = "CASE WHEN s.date >= %(now)s THEN s.date - %(now)s ELSE %(now)s - s.date + interval '100 years' END"
    for name in sets:
        found.append(f"""
       (SELECT s.event_id
          FROM event_search s
         WHERE s.terms @@ %({name})s::tsquery AND {_where(others)}
         ORDER BY {soonest}
         LIMIT %(ranked_max)s)""")  # noqa: S608, PERF401 - of constants alone
    return " UNION ".join(found)


def _where(conditions: tuple[str, ...]) -> str:
    return " AND ".join(CONDITIONS[name] for name in conditions) or "true"


def _score(words: int) -> str:
    """What the words are worth, and for each word the event's standing; never below 0. `gateway.search.queries` has the
    same score made for an index.
    """
    if not words:
        return f"({LOST_MOST} - {LOST})"
    fits = " + ".join(_fit(word) for word in range(words))
    return f"({fits} + {words} * ({WHOLE} + {LOST_MOST} - {LOST}))"


def _fit(word: int) -> str:
    levels = " ".join(
        f"WHEN s.terms @@ %(w{word}_{level})s::tsquery THEN {worth}" for level, worth in enumerate(LEVELS)
    )
    return f"CASE {levels} ELSE 0 END"


_ASKS: Final = f"CASE WHEN event.{Event.asks.key} IS NULL THEN NULL ELSE '{{}}'::jsonb END"
"""What an event asks may be long, and a list of events says only whether it asks anything."""

FACTS: Final = ", ".join(
    _ASKS if one is Event.asks else f"event.{one.key}" if isinstance(one, InstrumentedAttribute) else str(one)
    for one in FACT_COLUMNS
)
"""The columns of `FACT_COLUMNS` as they stand in a statement."""

FOUND: Final = f"""
SELECT hit.price_from, seats.quantity, seats.free, seats.held, {FACTS}
  FROM event_search AS hit
  JOIN event USING (event_id){SEATS}
 WHERE event_id = ANY (%(event_ids)s::bigint[])
"""  # noqa: S608 - of constants alone
"""Reads the events of these ids as `page_statement` does, but without a score."""

SEATS_OF: Final = """
SELECT event_id, sum(quantity), sum(available_count), sum(held_count)
  FROM ticket
 WHERE event_id = ANY (%(event_ids)s::bigint[])
 GROUP BY event_id
"""
