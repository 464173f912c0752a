"""The SQL of the hot path: what one batch reads, locks and writes, each statement once for the whole batch.

Bounds on time are ``statement_timestamp()`` where an index is to find them: it is stable, ``clock_timestamp()``
is not, and would be compared with every row.

Every statement names ``event_id``, so that it stays on one shard where the schema is distributed.
Where a table is filtered besides, ``OFFSET 0`` keeps it behind the rows that were asked for: a planner who knows
nothing of it yet, as when a sale begins, thinks that hardly a row passes and reads the whole index for each batch.
Rows travel as one JSON parameter and meet the tables through ``json_to_recordset``: encoding them takes a
fraction of what arrays of text cost on the client.
"""

from __future__ import annotations

from typing import Final

ADVISORY_SPACE: Final = 0x0AD0_0000_0000_0000
"""Keeps events' advisory locks apart from anybody else's: key = space + event_id."""

LOCK_EVENTS: Final = """
SELECT pg_advisory_xact_lock(%(space)s::bigint + e)
  FROM unnest(%(event_ids)s::bigint[]) AS e
"""

READ_OUTCOMES: Final = """
SELECT c.event_id, c.command_id, c.kind, c.user_id, c.body_hash, c.outcome::text
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, command_id uuid)
  JOIN booking_command c USING (event_id, command_id)
"""

READ_EVENTS: Final = """
SELECT event_id, version, on_sale_at, currency, seats_per_fan_max, date
  FROM event
 WHERE event_id = ANY (%(event_ids)s::bigint[])
"""

READ_TICKETS: Final = """
SELECT event_id, ticket_type_id, ticket_type, price, available_count, held_count
  FROM ticket
 WHERE event_id = ANY (%(event_ids)s::bigint[])
"""

READ_HOLDS_OF_FANS: Final = """
SELECT r.event_id, r.reservation_id, r.user_id, r.state, r.ticket_type_ids, r.row_numbers, r.seat_numbers,
       r.total_amount, r.expires_at, r.amounts
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, user_id bigint)
 CROSS JOIN LATERAL (
       SELECT *
         FROM reservation r
        WHERE r.user_id = k.user_id AND r.event_id = k.event_id
          AND (r.state = 'held' OR r.state = 'lapsed' AND r.expires_at > statement_timestamp() - interval '1 hour')
       OFFSET 0) AS r
"""

READ_HOLDS: Final = """
SELECT r.event_id, r.reservation_id, r.user_id, r.state, r.ticket_type_ids, r.row_numbers, r.seat_numbers,
       r.total_amount, r.expires_at, r.amounts
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, reservation_id uuid)
  JOIN reservation r USING (event_id, reservation_id)
"""

READ_LAPSED_HOLDS: Final = """
SELECT l.event_id, l.reservation_id, l.user_id, l.state, l.ticket_type_ids, l.row_numbers, l.seat_numbers,
       l.total_amount, l.expires_at, l.amounts
  FROM unnest(%(event_ids)s::bigint[]) AS e (event_id)
 CROSS JOIN LATERAL (
       SELECT *
         FROM reservation r
        WHERE r.event_id = e.event_id
          AND r.state = 'held'
          AND r.expires_at <= statement_timestamp() - make_interval(secs => %(grace_seconds)s)
        ORDER BY r.expires_at
        LIMIT %(holds_max)s) AS l
 ORDER BY l.event_id, l.expires_at
"""

READ_BOUGHT: Final = """
SELECT k.event_id, k.user_id, count(*)
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, user_id bigint)
 CROSS JOIN LATERAL (
       SELECT p.purchase_id
         FROM purchase p
        WHERE p.user_id = k.user_id AND p.event_id = k.event_id
       OFFSET 0) AS p
 CROSS JOIN LATERAL (
       SELECT *
         FROM purchase_detail d
        WHERE d.purchase_id = p.purchase_id AND d.event_id = k.event_id
       OFFSET 0) AS d
 WHERE d.cancelled_at IS NULL
 GROUP BY k.event_id, k.user_id
"""

READ_PURCHASES_OF_HOLDS: Final = """
SELECT p.event_id, p.reservation_id, p.purchase_id, p.user_id, p.total_amount, p.currency, p.purchase_at,
       p.status, d.ticket_type_id, d.row_number, d.seat_number, d.amount, d.ticket_code
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, user_id bigint, reservation_id uuid)
 CROSS JOIN LATERAL (
       SELECT *
         FROM purchase p
        WHERE p.user_id = k.user_id AND p.event_id = k.event_id AND p.reservation_id = k.reservation_id
       OFFSET 0) AS p
 CROSS JOIN LATERAL (
       SELECT *
         FROM purchase_detail d
        WHERE d.purchase_id = p.purchase_id AND d.event_id = p.event_id
       OFFSET 0) AS d
 WHERE d.cancelled_at IS NULL
 ORDER BY d.ticket_type_id, d.row_number, d.seat_number
"""

READ_PURCHASES: Final = """
SELECT p.event_id, p.reservation_id, p.purchase_id, p.user_id, p.total_amount, p.currency, p.purchase_at,
       p.status, d.ticket_type_id, d.row_number, d.seat_number, d.amount, d.ticket_code, d.cancelled_at
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid)
  JOIN purchase p USING (event_id, purchase_id)
 CROSS JOIN LATERAL (
       SELECT *
         FROM purchase_detail d
        WHERE d.purchase_id = k.purchase_id AND d.event_id = k.event_id
       OFFSET 0) AS d
 ORDER BY d.ticket_type_id, d.row_number, d.seat_number
"""

READ_SEATS: Final = """
SELECT s.event_id, s.ticket_type_id, s.row_number, s.seat_number, s.status, s.reservation_id, s.held_until
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, ticket_type_id int, row_number int, seat_number int)
  JOIN seat s USING (event_id, ticket_type_id, row_number, seat_number)
 ORDER BY s.event_id, s.ticket_type_id, s.row_number, s.seat_number
"""

LOCK_SEATS: Final = READ_SEATS + "   FOR UPDATE OF s\n"

READ_FREE_SEATS: Final = """
SELECT s.row_number, s.seat_number, s.status = 'reserved'
  FROM seat s
 WHERE s.event_id = %(event_id)s
   AND s.ticket_type_id = %(ticket_type_id)s
   AND (s.status = 'available' OR s.status = 'reserved' AND s.held_until <= clock_timestamp())
 ORDER BY s.row_number, s.seat_number
"""

CLOCK: Final = "SELECT clock_timestamp()"

WRITE_SEATS: Final = """
UPDATE seat s
   SET status = k.status, reservation_id = k.reservation_id, held_until = k.held_until
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, ticket_type_id int, row_number int, seat_number int,
             status text, reservation_id uuid, held_until timestamptz)
 WHERE s.event_id = k.event_id AND s.ticket_type_id = k.ticket_type_id
   AND s.row_number = k.row_number AND s.seat_number = k.seat_number
"""

WRITE_NEW_HOLDS: Final = """
INSERT INTO reservation (event_id, reservation_id, user_id, state, ticket_type_ids, row_numbers,
                         seat_numbers, amounts, total_amount, created_at, expires_at, lifetime_ends_at)
SELECT k.event_id, k.reservation_id, k.user_id, k.state, k.ticket_type_ids, k.row_numbers, k.seat_numbers,
       k.amounts, k.total_amount, %(now)s, k.expires_at, k.expires_at
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, reservation_id uuid, user_id bigint, state text,
             ticket_type_ids int[], row_numbers int[], seat_numbers int[], amounts bigint[], total_amount bigint,
             expires_at timestamptz)
"""

WRITE_HOLD_STATES: Final = """
UPDATE reservation r
   SET state = k.state
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, reservation_id uuid, state text)
 WHERE r.event_id = k.event_id AND r.reservation_id = k.reservation_id
"""

WRITE_PURCHASES: Final = """
INSERT INTO purchase (event_id, purchase_id, user_id, reservation_id, total_amount, currency, purchase_at)
SELECT k.event_id, k.purchase_id, k.user_id, k.reservation_id, k.total_amount, k.currency, %(now)s
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, user_id bigint, reservation_id uuid,
             total_amount bigint, currency text)
"""

WRITE_PURCHASE_DETAILS: Final = """
INSERT INTO purchase_detail (event_id, purchase_id, ticket_type_id, row_number, seat_number, amount,
                             ticket_code)
SELECT k.event_id, k.purchase_id, k.ticket_type_id, k.row_number, k.seat_number, k.amount, k.ticket_code
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, ticket_type_id int, row_number int,
             seat_number int, amount bigint, ticket_code text)
"""

WRITE_CANCELLED_DETAILS: Final = """
UPDATE purchase_detail d
   SET cancelled_at = %(now)s
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, ticket_type_id int, row_number int, seat_number int)
 WHERE d.event_id = k.event_id AND d.purchase_id = k.purchase_id AND d.ticket_type_id = k.ticket_type_id
   AND d.row_number = k.row_number AND d.seat_number = k.seat_number
"""

WRITE_CANCELLED_PURCHASES: Final = """
UPDATE purchase p
   SET status = k.status, total_amount = k.total_amount
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, status text, total_amount bigint)
 WHERE p.event_id = k.event_id AND p.purchase_id = k.purchase_id
"""

WRITE_COUNTS: Final = """
UPDATE ticket t
   SET available_count = t.available_count + k.available_change, held_count = t.held_count + k.held_change
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, ticket_type_id int, available_change int, held_change int)
 WHERE t.event_id = k.event_id AND t.ticket_type_id = k.ticket_type_id
"""

WRITE_VERSIONS: Final = """
UPDATE event SET version = version + 1 WHERE event_id = ANY (%(event_ids)s::bigint[])
"""

WRITE_OUTCOMES: Final = """
INSERT INTO booking_command (event_id, command_id, kind, user_id, body_hash, outcome, recorded_at)
SELECT k.event_id, k.command_id, k.kind, k.user_id, k.body_hash, k.outcome, %(now)s
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, command_id uuid, kind text, user_id bigint, body_hash bytea,
             outcome jsonb)
"""

RECORD_OUTCOMES: Final = WRITE_OUTCOMES + "ON CONFLICT DO NOTHING\n"

EVENTS_WITH_LAPSED_HOLDS: Final = """
SELECT DISTINCT event_id
  FROM reservation
 WHERE state = 'held'
   AND event_id %% %(lanes)s = %(lane)s
   AND expires_at <= statement_timestamp() - make_interval(secs => %(grace_seconds)s)
 LIMIT %(events_max)s
"""
