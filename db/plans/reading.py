"""SQL that reads a given hall plan, and the seats of an event as they stand, for the choice of the best ones."""

from __future__ import annotations

from typing import Final

READ_PLAN: Final = "SELECT document FROM event_plan WHERE event_id = %(event_id)s"

_COLUMNS: Final = """row_number, array_agg(seat_number ORDER BY ordinal, seat_number),
       CASE WHEN count(ordinal) > 0 THEN array_agg(ordinal ORDER BY ordinal, seat_number) END,
       CASE WHEN count(ordinal) > 0 THEN array_agg(x ORDER BY ordinal, seat_number) END,
       CASE WHEN count(ordinal) > 0 THEN array_agg(y ORDER BY ordinal, seat_number) END,
       CASE WHEN count(ordinal) > 0 THEN array_agg(flags ORDER BY ordinal, seat_number) END"""

READ_ROWS: Final = f"""
SELECT {_COLUMNS}
  FROM seat
 WHERE event_id = %(event_id)s AND ticket_type_id = %(ticket_type_id)s
 GROUP BY row_number
"""  # noqa: S608 - of constants alone
"""SQL: every row of a ticket type with its seats, free or not; `db.plans.best_seats.PlannedRow` has the columns."""

READ_HALL: Final = f"""
SELECT ticket_type_id, {_COLUMNS}
  FROM seat
 WHERE event_id = %(event_id)s
 GROUP BY ticket_type_id, row_number
"""  # noqa: S608 - of constants alone
"""SQL: the same of every ticket type, after the type."""

READ_FOCUSES: Final = """
SELECT event_id, focus_x, focus_y FROM event_plan WHERE event_id = ANY (%(event_ids)s::bigint[])
"""
"""SQL: what the fans of events with a plan come to see."""
