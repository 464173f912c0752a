"""The SQL of housekeeping: it runs every few seconds, on whole rooms."""

from __future__ import annotations

from typing import Final

ROOMS_WITH_STOCK: Final = """
SELECT e.event_id, e.version, sum(t.available_count)::bigint, sum(t.held_count)::bigint
  FROM room m
  JOIN event e USING (event_id)
  JOIN ticket t USING (event_id)
 WHERE m.state NOT IN ('off', 'closed')
 GROUP BY e.event_id, e.version
"""

# A purchase counts for the admission it was made under: Redis' and Postgres' clocks may differ a little.
BOOKINGS_OF_ADMITTED: Final = """
SELECT k.user_id,
       (SELECT (extract(epoch FROM max(r.expires_at)) * 1000)::bigint
          FROM reservation r
         WHERE r.event_id = %(event_id)s AND r.user_id = k.user_id AND r.state = 'held'
           AND r.expires_at > clock_timestamp()),
       EXISTS (SELECT
                 FROM purchase p
                WHERE p.event_id = %(event_id)s AND p.user_id = k.user_id
                  AND p.purchase_at > to_timestamp(k.admitted_at_ms / 1000.0))
  FROM unnest(%(user_ids)s::bigint[], %(admitted_at_ms)s::bigint[]) AS k (user_id, admitted_at_ms)
"""

FORGET_OUTCOMES: Final = """
DELETE FROM booking_command c
 USING (SELECT event_id, command_id
          FROM booking_command
         WHERE recorded_at < clock_timestamp() - make_interval(hours => %(keep_hours)s)
         ORDER BY recorded_at
         LIMIT %(rows_max)s) AS old
 WHERE c.event_id = old.event_id AND c.command_id = old.command_id
"""
