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

LOST: Final = f"""
       CASE WHEN s.date < %(now)s THEN 250
            WHEN s.state = '{EventState.CANCELLED}' OR s.off_sale_at <= %(now)s THEN 100
            WHEN NOT s.is_available THEN 80
            WHEN s.on_sale_at > %(now)s THEN 40
            ELSE 0 END"""
"""What a score loses where the event has begun, nothing is sold any more, no seat is free, or its sale is to come."""

WHOLE: Final = """
       CASE WHEN s.artist_key = %(key)s THEN 150
            WHEN s.name_key = %(key)s THEN 140
            WHEN %(key)s IN (s.town_key, s.venue_key) THEN 120
            ELSE 0 END"""
"""What a score gains where the search is the whole of a text."""

SEATS: Final = """
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(quantity), 0) AS quantity, coalesce(sum(available_count), 0) AS free,
              coalesce(sum(held_count), 0) AS held
         FROM ticket
        WHERE ticket.event_id = hit.event_id) AS seats"""


@cache
def page_statement(conditions: tuple[str, ...], words: int, by_score: bool, goes_on: bool) -> str:
    """The statement that reads a page: score, lowest price, seats in all, free and held, then the event's facts.

    Args:
        conditions: the names of `CONDITIONS` that hold.
        words: how many words the score is made of.
        by_score: the best first, and then by date; otherwise by date alone.
        goes_on: the page is one behind another.
    """
    score = _score(words) if by_score else "0"
    order = "score DESC, date, event_id" if by_score else "date, event_id"
    after = "(date, event_id) > (%(after_date)s, %(after_id)s)"
    if by_score:
        after = f"(score < %(after_score)s OR score = %(after_score)s AND {after})"
    return f"""
SELECT hit.score, hit.price_from, seats.quantity, seats.free, seats.held, {FACTS}
  FROM (SELECT *
          FROM (SELECT s.event_id, s.date, s.price_from, {score} AS score
                  FROM event_search s
                 WHERE {_where(conditions)}) AS found
         WHERE {after if goes_on else "true"}
         ORDER BY {order}
         LIMIT %(limit)s) AS hit
  JOIN event USING (event_id){SEATS}
 ORDER BY {order.replace("date", "hit.date").replace("event_id", "hit.event_id")}
"""  # noqa: S608 - of constants alone


@cache
def facets_statement(conditions: tuple[str, ...]) -> str:
    """The statement that counts the events that were found by (facet, town, month, currency, band, is_available)."""
    return f"""
SELECT CASE WHEN grouping(town) = 0 THEN 'town' WHEN grouping(month) = 0 THEN 'month'
            WHEN grouping(currency) = 0 THEN 'price' ELSE 'available' END,
       town, month, currency, price_band, is_available, count(*)
  FROM event_search s
 WHERE {_where(conditions)}
 GROUP BY GROUPING SETS ((town), (month), (currency, price_band), (is_available))
"""  # noqa: S608 - of constants alone


def _where(conditions: tuple[str, ...]) -> str:
    return " AND ".join(CONDITIONS[name] for name in conditions) or "true"


def _score(words: int) -> str:
    if not words:
        return f"(-{LOST})"
    fits = " + ".join(_fit(word) for word in range(words))
    return f"(({fits}) / {words} + {WHOLE} - {LOST})"


def _fit(word: int) -> str:
    levels = " ".join(
        f"WHEN s.terms @@ %(w{word}_{level})s::tsquery THEN {worth}" for level, worth in enumerate(LEVELS)
    )
    return f"CASE {levels} ELSE 0 END"


FACTS: Final = ", ".join(
    f"event.{one.key}" if isinstance(one, InstrumentedAttribute) else str(one) for one in FACT_COLUMNS
)
"""The columns of `FACT_COLUMNS` as they stand in a statement."""
