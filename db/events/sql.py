"""The SQL of events as operators define them, every change of an existing one under the booking batch's lock.

Seats travel as blocks of rows × seats in one JSON parameter, and Postgres makes the seats of them: so a stadium costs
a gateway no more than a club.
"""

from __future__ import annotations

from typing import Final

SESSION: Final = """
SELECT set_config('lock_timeout', '5s', true), set_config('statement_timeout', '20s', true),
       set_config('idle_in_transaction_session_timeout', '10s', true)
"""
"""An edit that waits, or stalls, must not keep bookings waiting for longer than a fan would."""

LOCK_EVENT: Final = "SELECT pg_advisory_xact_lock(%(space)s::bigint + %(event_id)s)"

READ_EVENT: Final = """
SELECT e.name, e.artist, e.venue, e.date, e.on_sale_at, e.currency, e.seats_per_fan_max, e.version, e.revision,
       clock_timestamp() AS now, d.event_id IS NOT NULL AS has_draw
  FROM event e
  LEFT JOIN draw d USING (event_id)
 WHERE e.event_id = %(event_id)s
"""

READ_TICKET_TYPES: Final = """
SELECT ticket_type_id, ticket_type, price, quantity, available_count, held_count
  FROM ticket
 WHERE event_id = %(event_id)s
 ORDER BY ticket_type_id
"""

READ_ROWS: Final = """
SELECT ticket_type_id, row_number, array_agg(seat_number)
  FROM seat
 WHERE event_id = %(event_id)s
 GROUP BY ticket_type_id, row_number
"""

READ_LIST: Final = """
SELECT e.event_id, e.name, e.artist, e.venue, e.date, e.on_sale_at, e.currency, e.revision,
       coalesce(t.quantity, 0), coalesce(t.sold, 0), coalesce(t.held, 0)
  FROM event e
  LEFT JOIN LATERAL (
       SELECT sum(quantity)::bigint AS quantity, sum(held_count)::bigint AS held,
              sum(quantity - available_count - held_count)::bigint AS sold
         FROM ticket
        WHERE ticket.event_id = e.event_id) AS t ON true
 WHERE e.event_id < %(before)s AND e.rehearsal_of IS NULL
 ORDER BY e.event_id DESC
 LIMIT %(rows_max)s
"""

MOST_OF_A_FAN: Final = """
SELECT coalesce(max(had), 0)
  FROM (SELECT user_id, count(*) AS had
          FROM (SELECT r.user_id
                  FROM seat s
                  JOIN reservation r USING (event_id, reservation_id)
                 WHERE s.event_id = %(event_id)s AND s.status = 'reserved' AND s.held_until > clock_timestamp()
                 UNION ALL
                SELECT p.user_id
                  FROM purchase p
                  JOIN purchase_detail d USING (event_id, purchase_id)
                 WHERE p.event_id = %(event_id)s AND d.cancelled_at IS NULL) AS seats
         GROUP BY user_id) AS fans
"""

SOLD_OR_HELD: Final = """
SELECT EXISTS (
       SELECT FROM seat
        WHERE event_id = %(event_id)s
          AND (status = 'booked' OR status = 'reserved' AND held_until > clock_timestamp()))
"""

TYPES_EVER_SOLD: Final = """
SELECT DISTINCT ticket_type_id
  FROM purchase_detail
 WHERE event_id = %(event_id)s AND ticket_type_id = ANY (%(ticket_type_ids)s::int[])
"""

SEATS_THAT_STAY: Final = """
SELECT k.item, k.ticket_type_id, r.row_number, n.seat_number, f.why, count(*) OVER (PARTITION BY k.item, f.why)
  FROM json_to_recordset(%(blocks)s)
       AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
 CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
 CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
  LEFT JOIN seat s
    ON s.event_id = %(event_id)s AND s.ticket_type_id = k.ticket_type_id
   AND s.row_number = r.row_number AND s.seat_number = n.seat_number
 CROSS JOIN LATERAL (SELECT CASE WHEN s.event_id IS NULL THEN 'unknown_seats'
                                 WHEN s.status = 'booked' THEN 'seats_sold'
                                 WHEN s.status = 'reserved' AND s.held_until > clock_timestamp() THEN 'seats_held'
                             END) AS f (why)
 WHERE f.why IS NOT NULL
 ORDER BY k.item, f.why, r.row_number, n.seat_number
 LIMIT %(rows_max)s
"""

SEATS_THERE: Final = """
SELECT k.item, s.ticket_type_id, s.row_number, s.seat_number, count(*) OVER (PARTITION BY k.item)
  FROM json_to_recordset(%(blocks)s)
       AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
 CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
 CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
  JOIN seat s
    ON s.event_id = %(event_id)s AND s.ticket_type_id = k.ticket_type_id
   AND s.row_number = r.row_number AND s.seat_number = n.seat_number
 ORDER BY k.item, s.row_number, s.seat_number
 LIMIT %(rows_max)s
"""

TAKEN_OF_TYPES: Final = """
SELECT ticket_type_id, row_number, seat_number, CASE status WHEN 'booked' THEN 'seats_sold' ELSE 'seats_held' END,
       count(*) OVER (PARTITION BY ticket_type_id, status)
  FROM seat
 WHERE event_id = %(event_id)s
   AND ticket_type_id = ANY (%(ticket_type_ids)s::int[])
   AND (status = 'booked' OR status = 'reserved' AND held_until > clock_timestamp())
 ORDER BY ticket_type_id, status, row_number, seat_number
 LIMIT %(rows_max)s
"""

ADD_TICKET_TYPES: Final = """
INSERT INTO ticket (event_id, ticket_type_id, ticket_type, price, quantity, available_count)
SELECT %(event_id)s, k.ticket_type_id, k.ticket_type, k.price, 0, 0
  FROM json_to_recordset(%(rows)s) AS k (ticket_type_id int, ticket_type text, price bigint)
"""

CHANGE_TICKET_TYPES: Final = """
UPDATE ticket t
   SET ticket_type = k.ticket_type, price = k.price
  FROM json_to_recordset(%(rows)s) AS k (ticket_type_id int, ticket_type text, price bigint)
 WHERE t.event_id = %(event_id)s AND t.ticket_type_id = k.ticket_type_id
"""

REMOVE_TICKET_TYPES: Final = """
DELETE FROM ticket WHERE event_id = %(event_id)s AND ticket_type_id = ANY (%(ticket_type_ids)s::int[])
"""

ADD_SEATS: Final = """
WITH added AS (
    INSERT INTO seat (event_id, ticket_type_id, row_number, seat_number)
    SELECT %(event_id)s, k.ticket_type_id, r.row_number, n.seat_number
      FROM json_to_recordset(%(blocks)s)
            AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
      CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
      CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
    RETURNING ticket_type_id
)
UPDATE ticket t
   SET quantity = t.quantity + c.seats, available_count = t.available_count + c.seats
  FROM (SELECT ticket_type_id, count(*)::int AS seats FROM added GROUP BY ticket_type_id) AS c
 WHERE t.event_id = %(event_id)s AND t.ticket_type_id = c.ticket_type_id
"""

REMOVE_SEATS: Final = """
WITH removed AS (
    DELETE FROM seat s
     USING json_to_recordset(%(blocks)s)
            AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
      CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
      CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
     WHERE s.event_id = %(event_id)s AND s.ticket_type_id = k.ticket_type_id
       AND s.row_number = r.row_number AND s.seat_number = n.seat_number
    RETURNING s.ticket_type_id, s.status
)
UPDATE ticket t
   SET quantity = t.quantity - c.seats, available_count = t.available_count - c.available,
       held_count = t.held_count - c.lapsed
  FROM (SELECT ticket_type_id, count(*)::int AS seats,
               (count(*) FILTER (WHERE status = 'available'))::int AS available,
               (count(*) FILTER (WHERE status = 'reserved'))::int AS lapsed
          FROM removed
         GROUP BY ticket_type_id) AS c
 WHERE t.event_id = %(event_id)s AND t.ticket_type_id = c.ticket_type_id
"""

CHANGE_EVENT: Final = """
UPDATE event
   SET name = %(name)s, artist = %(artist)s, venue = %(venue)s, date = %(date)s, on_sale_at = %(on_sale_at)s,
       currency = %(currency)s, seats_per_fan_max = %(seats_per_fan_max)s,
       version = version + 1, revision = revision + 1
 WHERE event_id = %(event_id)s
"""

RAISE_ROOM_REVISION: Final = """
UPDATE room SET revision = revision + 1 WHERE event_id = %(event_id)s RETURNING revision
"""
