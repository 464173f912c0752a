"""The index's own outbox: the events whose document is to be written anew.

What changes a row of ``event_search`` notes the event here in the same transaction: `db.search.writing`, and the
trigger that keeps ``is_available``. An event stands here once, however often it changes; an event that changes while
its document is being written stays here.
"""

from __future__ import annotations

from typing import Final, LiteralString

NOTE: Final[LiteralString] = """
INSERT INTO search_change (event_id)
SELECT k.event_id FROM unnest(%(event_ids)s::bigint[]) AS k (event_id) GROUP BY k.event_id ORDER BY k.event_id
    ON CONFLICT (event_id) DO UPDATE SET number = search_change.number + 1
"""

TAKE: Final[LiteralString] = """
SELECT event_id, number FROM search_change ORDER BY since, event_id LIMIT %(rows_max)s
"""

# A row that a booking has locked is not waited for: it changes just now, and so it stays.
DONE: Final[LiteralString] = """
DELETE FROM search_change
 WHERE event_id IN (SELECT c.event_id
                      FROM search_change c
                      JOIN unnest(%(event_ids)s::bigint[], %(numbers)s::bigint[]) AS k (event_id, number)
                        ON c.event_id = k.event_id AND c.number = k.number
                       FOR UPDATE OF c SKIP LOCKED)
"""

WAITING: Final[LiteralString] = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0)::float
  FROM (SELECT since FROM search_change ORDER BY since LIMIT %(counted_max)s) AS waiting
"""
"""How many events wait, at most ``counted_max``, and for how many seconds the first one has waited."""
