"""The SQL of housekeeping: it runs every few seconds, on whole rooms."""

from __future__ import annotations

from typing import Final, NamedTuple

from db.booking.holds import OPEN, keeps_slot

ROOMS_WITH_STOCK: Final = """
SELECT e.event_id, e.version, sum(t.available_count)::bigint, sum(t.held_count)::bigint
  FROM room m
  JOIN event e USING (event_id)
  JOIN ticket t USING (event_id)
 WHERE m.state NOT IN ('off', 'closed')
 GROUP BY e.event_id, e.version
"""

# A purchase counts for the admission it was made under: Redis' and Postgres' clocks may differ a little.
BOOKINGS_OF_ADMITTED: Final = f"""
WITH holding AS MATERIALIZED (
    SELECT r.user_id, max(r.expires_at) AS until
      FROM reservation r
     WHERE r.event_id = %(event_id)s AND r.user_id = ANY (%(user_ids)s::bigint[]) AND {keeps_slot("r")}
     GROUP BY r.user_id
), bought AS MATERIALIZED (
    SELECT p.user_id, max(p.purchase_at) AS at
      FROM purchase p
     WHERE p.event_id = %(event_id)s AND p.user_id = ANY (%(user_ids)s::bigint[])
     GROUP BY p.user_id
), paying AS MATERIALIZED (
    SELECT m.user_id, max(m.processing_at) AS at
      FROM payment m
     WHERE m.event_id = %(event_id)s AND m.user_id = ANY (%(user_ids)s::bigint[])
     GROUP BY m.user_id
)
SELECT k.user_id, (extract(epoch FROM h.until) * 1000)::bigint,
       coalesce(greatest(b.at, p.at) > to_timestamp(k.admitted_at_ms / 1000.0), false)
  FROM unnest(%(user_ids)s::bigint[], %(admitted_at_ms)s::bigint[]) AS k (user_id, admitted_at_ms)
  LEFT JOIN holding h USING (user_id)
  LEFT JOIN bought b USING (user_id)
  LEFT JOIN paying p USING (user_id)
"""  # noqa: S608 - of constants alone


class BookingsRow(NamedTuple):
    """A fan's bookings since the admission: the end of the last hold that keeps the slot, in Unix
    milliseconds, None without one; ``has_bought`` also where a bank works on the payment.
    """

    user_id: int
    hold_end_ms: int | None
    has_bought: bool


FORGET_OUTCOMES: Final = """
DELETE FROM booking_command c
 USING (SELECT event_id, command_id
          FROM booking_command
         WHERE recorded_at < now() - make_interval(hours => %(keep_hours)s)
         ORDER BY recorded_at
         LIMIT %(rows_max)s) AS old
 WHERE c.event_id = old.event_id AND c.command_id = old.command_id
"""

ROOMS_OPEN: Final = """
SELECT event_id, epoch FROM room WHERE state NOT IN ('off', 'closed')
"""

RECORD_EPOCH: Final = """
UPDATE room SET epoch = %(epoch)s WHERE event_id = %(event_id)s AND epoch < %(epoch)s
"""

RECORD_DEPARTURES: Final = """
INSERT INTO departed_place AS d (event_id, user_id, state, epoch, number, departed_at)
SELECT %(event_id)s, k.user_id, k.state, k.epoch, k.number, to_timestamp(k.at_ms / 1000.0)
  FROM unnest(%(user_ids)s::bigint[], %(states)s::text[], %(epochs)s::bigint[], %(numbers)s::bigint[],
              %(at_ms)s::bigint[]) AS k (user_id, state, epoch, number, at_ms)
    ON CONFLICT (event_id, user_id) DO UPDATE
   SET state = excluded.state, epoch = excluded.epoch, number = excluded.number, departed_at = excluded.departed_at
 WHERE (excluded.epoch, excluded.number) >= (d.epoch, d.number)
"""

FANS_WITH_HOLDS: Final = f"""
SELECT r.user_id, (extract(epoch FROM min(r.created_at)) * 1000)::bigint,
       (extract(epoch FROM max(r.expires_at)) * 1000)::bigint
  FROM reservation r
 WHERE r.event_id = %(event_id)s AND {keeps_slot("r")}
 GROUP BY r.user_id
 LIMIT %(rows_max)s
"""  # noqa: S608 - of constants alone


class HolderRow(NamedTuple):
    """A fan whose holds keep the slot: from the first one's beginning to the last one's end, in Unix milliseconds."""

    user_id: int
    began_ms: int
    ends_ms: int


FORGET_NETWORKS: Final = f"""
WITH page AS (
    SELECT event_id, reservation_id, network <> '' AND NOT {OPEN} AS is_due
      FROM reservation
     WHERE reservation_id > %(after)s AND reservation_id < %(until)s
     ORDER BY reservation_id
     LIMIT %(rows_max)s
), forgotten AS (
    UPDATE reservation r
       SET network = ''
      FROM page p
     WHERE p.is_due AND r.reservation_id = p.reservation_id AND r.event_id = p.event_id
)
SELECT reservation_id FROM page ORDER BY reservation_id DESC LIMIT 1
"""  # noqa: S608 - of constants alone
"""Takes the networks from the holds that were made until then, whose ids sort by time, and returns how far it came."""

FORGET_WAITING_NETWORKS: Final = """
UPDATE waiting_entry w
   SET network = ''
  FROM (SELECT event_id, number
          FROM waiting_entry
         WHERE network <> '' AND entered_at < clock_timestamp() - make_interval(hours => %(keep_hours)s)
         LIMIT %(rows_max)s) AS old
 WHERE w.event_id = old.event_id AND w.number = old.number
"""
"""Takes the networks from old entries of waiting lists."""

FORGET_CHANGES: Final = """
DELETE FROM change_log
 WHERE log_id IN (SELECT log_id
                    FROM (SELECT log_id, at FROM change_log ORDER BY log_id LIMIT %(rows_max)s) AS oldest
                   WHERE at < clock_timestamp() - make_interval(hours => %(keep_hours)s))
"""

FORGET_DEPARTURES: Final = """
DELETE FROM departed_place d
 USING (SELECT event_id, user_id
          FROM departed_place
         WHERE departed_at < now() - make_interval(hours => %(keep_hours)s)
         ORDER BY departed_at
         LIMIT %(rows_max)s) AS old
 WHERE d.event_id = old.event_id AND d.user_id = old.user_id
"""
