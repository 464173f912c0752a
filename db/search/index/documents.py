"""What stands in the index: a document for each row of ``event_search``, whose words are folded already.

So the spelling is made in one place (`db.search.folding`), and the index analyses nothing: every text is a keyword.
Moments are whole numbers of microseconds since 1970, as exact as Postgres has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

import psycopg

from db.search.terms import Where

SHAPE: Final = 1
"""Goes up when `MAPPINGS` change; an index of another shape is built anew."""

FIELD_OF_PLACE: Final = {Where.ARTIST: "artist", Where.NAME: "name", Where.VENUE: "venue", Where.TAG: "tags"}
"""The field that has the words of each place in the event."""

_KEYWORD: Final = {"type": "keyword"}
_LONG: Final = {"type": "long"}

MAPPINGS: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "_meta": {"shape": SHAPE},
    "properties": {
        "event_id": _LONG,
        **dict.fromkeys(FIELD_OF_PLACE.values(), _KEYWORD),
        **dict.fromkeys(("artist_key", "name_key", "venue_key", "town_key", "town", "tag_keys"), _KEYWORD),
        **dict.fromkeys(("month", "state", "currency"), _KEYWORD),
        **dict.fromkeys(("date_us", "on_sale_us", "off_sale_us", "price_from", "price_band"), _LONG),
        "is_available": {"type": "boolean"},
    },
}
INDEX_SETTINGS: Final[dict[str, Any]] = {"number_of_shards": 1}
"""One shard holds many more events than a site has, and an answer need not be put together of several."""

_COLUMNS: Final = (
    "event_id", "artist", "name", "venue", "tags", "artist_key", "name_key", "venue_key", "town_key", "town",
    "tag_keys", "month", "state", "currency", "date_us", "on_sale_us", "off_sale_us", "price_from", "price_band",
    "is_available",
)  # fmt: skip

_SELECT: Final[LiteralString] = """
SELECT s.event_id,
       ARRAY(SELECT t.lexeme FROM unnest(s.terms) AS t WHERE 'A' = ANY (t.weights)),
       ARRAY(SELECT t.lexeme FROM unnest(s.terms) AS t WHERE 'B' = ANY (t.weights)),
       ARRAY(SELECT t.lexeme FROM unnest(s.terms) AS t WHERE 'C' = ANY (t.weights)),
       ARRAY(SELECT t.lexeme FROM unnest(s.terms) AS t WHERE 'D' = ANY (t.weights)),
       s.artist_key, s.name_key, s.venue_key, s.town_key, s.town, s.tag_keys, s.month, s.state, s.currency,
       (extract(epoch FROM s.date) * 1000000)::bigint, (extract(epoch FROM s.on_sale_at) * 1000000)::bigint,
       (extract(epoch FROM s.off_sale_at) * 1000000)::bigint, s.price_from, s.price_band, s.is_available
  FROM event_search s
"""
READ: Final[LiteralString] = _SELECT + " WHERE s.event_id = ANY (%(event_ids)s::bigint[])"
READ_NEXT: Final[LiteralString] = _SELECT + " WHERE s.event_id > %(after)s ORDER BY s.event_id LIMIT %(rows_max)s"

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def read_documents(connection: Connection, event_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The documents of those events that are on show, by the event's id."""
    cursor = await connection.execute(READ, {"event_ids": list(event_ids)})
    return {row[0]: _document(row) for row in await cursor.fetchall()}


async def next_documents(connection: Connection, after: int, rows_max: int) -> dict[int, dict[str, Any]]:
    """The documents of the next events on show behind ``after``, in the order of their ids."""
    cursor = await connection.execute(READ_NEXT, {"after": after, "rows_max": rows_max})
    return {row[0]: _document(row) for row in await cursor.fetchall()}


def _document(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_COLUMNS, row, strict=True))
