"""Writes what is found of events. Whoever writes an event calls `index_event` in the same transaction.

The workers' housekeeping calls `index_behind` as well, for events that an older release wrote, and for all of them
after a change of the spelling (`db.search.folding.FOLDING`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from db.booking.charges import charge_of
from db.booking.events import ADVISORY_SPACE, LOCK_EVENTS
from db.connections import primary
from db.currencies import minor_digits
from db.events.sale import EventState, sale_end
from db.events.terms import TERM_COLUMNS, terms_of
from db.events.time_zones import zone_of
from db.search import terms
from db.search.folding import FOLDING, fold
from db.search.index import changes

EVENTS_AT_ONCE_MAX: Final = 200
"""Their locks are held at once, and bookings of these events wait so long."""

READ: Final = f"""
SELECT event_id, name, artist, venue, town, tags, date, time_zone, on_sale_at, {sale_end()}, state, currency, revision
  FROM event
 WHERE event_id = ANY (%(event_ids)s::bigint[]) AND rehearsal_of IS NULL AND state <> '{EventState.UNPUBLISHED}'
   AND NOT EXISTS (SELECT FROM shop WHERE shop.event_id = event.event_id)
"""  # noqa: S608 - of constants alone

READ_PRICES: Final = f"""
SELECT event_id, price, available_count > 0, {TERM_COLUMNS}
  FROM ticket
 WHERE event_id = ANY (%(event_ids)s::bigint[])
"""  # noqa: S608 - of constants alone

WRITE: Final = """
INSERT INTO event_search (event_id, terms, name_key, artist_key, venue_key, town_key, town, tag_keys, date, month,
                          on_sale_at, off_sale_at, state, currency, price_from, price_band, is_available, revision,
                          folding)
SELECT k.event_id, k.terms::tsvector, k.name_key, k.artist_key, k.venue_key, k.town_key, k.town, k.tag_keys, k.date,
       k.month, k.on_sale_at, k.off_sale_at, k.state, k.currency, k.price_from, k.price_band, k.is_available,
       k.revision, k.folding
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, terms text, name_key text, artist_key text, venue_key text, town_key text, town text,
             tag_keys text[], date timestamptz, month text, on_sale_at timestamptz, off_sale_at timestamptz,
             state text, currency text, price_from bigint, price_band smallint, is_available boolean, revision bigint,
             folding smallint)
    ON CONFLICT (event_id) DO UPDATE
   SET terms = excluded.terms, name_key = excluded.name_key, artist_key = excluded.artist_key,
       venue_key = excluded.venue_key, town_key = excluded.town_key, town = excluded.town,
       tag_keys = excluded.tag_keys, date = excluded.date, month = excluded.month, on_sale_at = excluded.on_sale_at,
       off_sale_at = excluded.off_sale_at, state = excluded.state, currency = excluded.currency,
       price_from = excluded.price_from, price_band = excluded.price_band, is_available = excluded.is_available,
       revision = excluded.revision, folding = excluded.folding
"""

REMOVE: Final = """
DELETE FROM event_search WHERE event_id = ANY (%(event_ids)s::bigint[])
"""

WRITE_WORDS: Final = """
INSERT INTO search_word (word)
SELECT w
  FROM unnest(%(words)s::text[]) AS w
 WHERE NOT EXISTS (SELECT FROM search_word k WHERE k.word = w)
 ORDER BY w
    ON CONFLICT DO NOTHING
"""
"""In order, so that two who write the same new words wait for each other in one direction only."""

BEHIND: Final = f"""
SELECT e.event_id
  FROM event e
  LEFT JOIN event_search s USING (event_id)
 WHERE e.rehearsal_of IS NULL
   AND NOT EXISTS (SELECT FROM shop WHERE shop.event_id = e.event_id)
   AND (CASE WHEN e.state = '{EventState.UNPUBLISHED}' THEN s.event_id IS NOT NULL
             ELSE s.event_id IS NULL OR s.revision <> e.revision OR s.folding <> %(folding)s END)
 ORDER BY e.event_id
 LIMIT %(rows_max)s
"""  # noqa: S608 - of constants alone

COUNT_BEHIND: Final = f"SELECT count(*) FROM ({BEHIND}) AS behind"  # noqa: S608 - of constants alone

Connection = psycopg.Connection[tuple[Any, ...]]


def index_event(connection: Connection, event_id: int) -> None:
    """Write what is found of an event, or take it out of the search where it is not published. The caller has the
    event's lock, or has just made the event.
    """
    index_events(connection, [event_id])


def index_events(connection: Connection, event_ids: Sequence[int]) -> None:
    """`index_event` for several."""
    which = {"event_ids": list(event_ids)}
    prices: dict[int, int] = {}
    available: set[int] = set()
    for event_id, price, is_available, *values in connection.execute(READ_PRICES, which):
        if is_available:
            available.add(event_id)
        amount = charge_of(price, terms_of(tuple(values))).amount
        prices[event_id] = min(amount, prices.get(event_id, amount))
    rows, searched = [], []
    for row in connection.execute(READ, which):
        event_id, name, artist, venue, town, tags, date, zone, on_sale_at, off_sale_at, state, currency, revision = row
        local = date.astimezone(zone_of(zone))
        event = terms.Searched(name=name, artist=artist, venue=venue, town=town, tags=tags, date=local)
        searched.append(event)
        price_from = prices.get(event_id)
        rows.append(
            {
                "event_id": event_id,
                "terms": terms.terms_of(event),
                "name_key": fold(name),
                "artist_key": fold(artist),
                "venue_key": fold(venue),
                "town_key": fold(town),
                "town": town,
                "tag_keys": terms.tag_keys(tags),
                "date": date.isoformat(),
                "month": f"{local:%Y-%m}",
                "on_sale_at": on_sale_at.isoformat(),
                "off_sale_at": off_sale_at.isoformat(),
                "state": state,
                "currency": currency,
                "price_from": price_from,
                "price_band": terms.price_band(price_from, minor_digits(currency)),
                "is_available": event_id in available,
                "revision": revision,
                "folding": FOLDING,
            }
        )
    found = {row["event_id"] for row in rows}
    if gone := [event_id for event_id in event_ids if event_id not in found]:
        connection.execute(REMOVE, {"event_ids": gone})
    connection.execute(changes.NOTE, which)
    if rows:
        connection.execute(WRITE, {"rows": json.dumps(rows)})
        connection.execute(WRITE_WORDS, {"words": terms.vocabulary(searched)})


def index_behind(connection: Connection) -> int:
    """Write what is found of the events that are behind, `EVENTS_AT_ONCE_MAX` at most, in a transaction of its own.
    Gives how many these were.
    """
    with connection.transaction():
        behind = {"folding": FOLDING, "rows_max": EVENTS_AT_ONCE_MAX}
        event_ids = [row[0] for row in connection.execute(BEHIND, behind)]
        if event_ids:
            connection.execute(LOCK_EVENTS, {"space": ADVISORY_SPACE, "event_ids": event_ids})
            index_events(connection, event_ids)
    return len(event_ids)


def index_all(database_url: str) -> int:
    """Write what is found of all events that are behind. Gives how many these were.

    Raises:
        psycopg.OperationalError: Postgres is away.
    """
    total = 0
    with primary.connect(database_url, "admitone-search") as connection:
        while written := index_behind(connection):
            total += written
        if total:
            connection.execute("ANALYZE event_search, search_word")
    return total
