"""The tickets of a cancellation, locked, and those among them that were let in. The engine runs both in this order."""

from __future__ import annotations

from typing import Final

LOCK_TICKETS: Final = """
SELECT
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, ticket_type_id int, row_number int, seat_number int)
  JOIN purchase_detail d USING (event_id, purchase_id, ticket_type_id, row_number, seat_number)
 ORDER BY d.purchase_id, d.event_id, d.ticket_type_id, d.row_number, d.seat_number
   FOR UPDATE OF d
"""

READ_USED: Final = """
SELECT e.purchase_id, e.ticket_type_id, e.row_number, e.seat_number
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, purchase_id uuid, ticket_type_id int, row_number int, seat_number int)
  JOIN entry e USING (event_id, purchase_id, ticket_type_id, row_number, seat_number)
 WHERE e.undone_at IS NULL
"""
