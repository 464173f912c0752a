"""Reads the rows of ``event_search`` page by page, and then the events of which they have changed.

What changes a row notes the event in ``search_change`` in the same transaction (`db.search.index.changes`), and a
trigger writes that transaction's number beside it. Transactions do not end in the order of their numbers, so a reader
goes on from the oldest that was under way: it sees some changes twice, and misses none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

SHOWN: Final = """
       e.seats_per_fan_max, e.notice, e.doors_at, e.picture_hash, e.picture_alt, e.account_required, e.payments,
       e.asks IS NOT NULL
"""
"""What of an event is shown and not searched, and is the same for most events of a site (`gateway.search.postings`)."""

COLUMNS: Final = f"""
       s.event_id, s.is_available, s.terms::text, s.artist_key, s.name_key, s.town_key, s.venue_key, s.town, s.tag_keys,
       s.month, s.state, s.currency, (extract(epoch FROM s.date) * 1000000)::bigint,
       (extract(epoch FROM s.on_sale_at) * 1000000)::bigint, (extract(epoch FROM s.off_sale_at) * 1000000)::bigint,
       s.price_from, s.price_band, e.name, e.artist, e.venue, e.time_zone, e.tags, {SHOWN}
"""
"""A row of ``event_search`` and what is shown of its event; moments are microseconds since 1970."""

NEXT: Final = f"""
SELECT {COLUMNS}
  FROM event_search s
  JOIN event e USING (event_id)
 WHERE s.event_id > %(after)s
 ORDER BY s.event_id
 LIMIT %(rows_max)s
"""  # noqa: S608 - of constants alone

THESE: Final = f"""
SELECT {COLUMNS}
  FROM event_search s
  JOIN event e USING (event_id)
 WHERE s.event_id = ANY (%(event_ids)s::bigint[])
"""  # noqa: S608 - of constants alone

# A transaction of before a backup was restored may have a number that is still to come here.
CHANGED: Final = """
SELECT now.oldest, c.event_id, c.changed
  FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
               pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS coming) AS now
  LEFT JOIN LATERAL (SELECT event_id, changed
                       FROM search_change
                      WHERE changed >= %(since)s AND changed < now.coming
                      ORDER BY changed
                      LIMIT %(rows_max)s) AS c ON true
"""

OLDEST: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

Row = Sequence[Any]


async def oldest_transaction(connection: AsyncConnection) -> int:
    """Where a reader who reads every row after this goes on with `changes_since`."""
    return int((await connection.exec_driver_sql(OLDEST)).scalar_one())


async def changes_since(connection: AsyncConnection, since: int, rows_max: int) -> tuple[int, set[tuple[int, int]]]:
    """Where the next reading goes on, and the changes by transactions from ``since`` on, ``rows_max`` at most, as
    (event, transaction).
    """
    rows: Any = (await connection.exec_driver_sql(CHANGED, {"since": since, "rows_max": rows_max})).all()
    return rows[0][0], {(event_id, changed) for _, event_id, changed in rows if event_id is not None}


async def next_rows(connection: AsyncConnection, after: int, rows_max: int) -> Sequence[Row]:
    """The rows of the next events behind ``after``, in the order of their ids."""
    return (await connection.exec_driver_sql(NEXT, {"after": after, "rows_max": rows_max})).all()


async def rows_of(connection: AsyncConnection, event_ids: Sequence[int]) -> Sequence[Row]:
    """The rows of those of the events that are on show."""
    return (await connection.exec_driver_sql(THESE, {"event_ids": list(event_ids)})).all()
