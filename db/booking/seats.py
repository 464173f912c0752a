"""Seats as a batch locks and writes them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.booking.states import SeatStatus

Seat = tuple[int, int, int]
"""(ticket_type_id, row_number, seat_number): a seat's key within its event, and its lock order."""

EventSeat = tuple[int, int, int, int]
"""(event_id, ticket_type_id, row_number, seat_number)."""

READ_SEATS: Final = """
SELECT s.event_id, s.ticket_type_id, s.row_number, s.seat_number, s.status, s.reservation_id, s.held_until
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, ticket_type_id int, row_number int, seat_number int)
  JOIN seat s USING (event_id, ticket_type_id, row_number, seat_number)
 ORDER BY s.event_id, s.ticket_type_id, s.row_number, s.seat_number
"""

LOCK_SEATS: Final = READ_SEATS + "   FOR UPDATE OF s\n"

_STATUSES: Final = {status.value: status for status in SeatStatus}


@dataclass(slots=True)
class SeatNow:
    """A seat's state: a reserved one has the hold's id, and the moment from which it is free without a sweep."""

    status: SeatStatus
    reservation_id: uuid.UUID | None = None
    held_until: dt.datetime | None = None

    def is_free(self, now: dt.datetime) -> bool:
        """Whether anybody may take the seat."""
        if self.status == SeatStatus.RESERVED:
            assert self.held_until is not None
            return self.held_until <= now
        return self.status == SeatStatus.AVAILABLE


def seat_row(row: Sequence[Any]) -> tuple[EventSeat, SeatNow]:
    """A seat's key and its state."""
    event_id, ticket_type_id, row_number, seat_number, status, reservation_id, held_until = row
    return (event_id, ticket_type_id, row_number, seat_number), SeatNow(_STATUSES[status], reservation_id, held_until)


def seat_keys(seats: Sequence[EventSeat]) -> list[dict[str, Any]]:
    """Rows of the recordsets that name seats."""
    return [{"event_id": e, "ticket_type_id": t, "row_number": r, "seat_number": n} for e, t, r, n in seats]


LAPSED: Final = "(status = 'reserved' AND held_until <= clock_timestamp())"
"""SQL: the seat's hold has lapsed. Anybody may take the seat, though no sweep has given it back yet."""
TAKEN: Final = "(status = 'booked' OR status = 'reserved' AND held_until > clock_timestamp())"
"""SQL: nobody may take the seat, except that the fan whose hold is in its grace may hold it anew."""

READ_FREE_SEATS: Final = f"""
SELECT row_number, array_agg(seat_number),
       coalesce(array_agg(seat_number) FILTER (WHERE status = 'reserved'), '{{}}')
  FROM seat
 WHERE event_id = %(event_id)s
   AND ticket_type_id = %(ticket_type_id)s
   AND (status = 'available' OR {LAPSED})
 GROUP BY row_number
"""  # noqa: S608 - of constants alone
"""SQL: by row, the seats that anybody may take, and those of them that still count as held, by a hold that is over."""


WRITE_SEATS: Final = """
UPDATE seat s
   SET status = k.status, reservation_id = k.reservation_id, held_until = k.held_until
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, ticket_type_id int, row_number int, seat_number int,
             status text, reservation_id uuid, held_until timestamptz)
 WHERE s.event_id = k.event_id AND s.ticket_type_id = k.ticket_type_id
   AND s.row_number = k.row_number AND s.seat_number = k.seat_number
"""


def seat_change(key: EventSeat, seat: SeatNow) -> dict[str, Any]:
    """A row of `WRITE_SEATS`."""
    event_id, ticket_type_id, row_number, seat_number = key
    return {
        "event_id": event_id,
        "ticket_type_id": ticket_type_id,
        "row_number": row_number,
        "seat_number": seat_number,
        "status": seat.status,
        "reservation_id": seat.reservation_id,
        "held_until": seat.held_until,
    }
