"""Copies of events on which a sale is rehearsed, and their removal.

A copy is an event of its own, marked by ``event.rehearsal_of``: same ticket types, seats and prices, the room as its
operator set it, nothing booked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from db.booking.events import ADVISORY_SPACE, LOCK_EVENTS
from db.connections.alone import locked
from db.events.sale import sale_end
from db.languages import Texts
from db.rooms.dials import DIALS, RoomDials
from db.rooms.states import RoomState
from db.rooms.steering import STATE_OF_A_COPY

Connection = psycopg.Connection[tuple[Any, ...]]

LOCK_SPACE: Final = 0x0AD1_0000_0000_0000
"""A rehearsal's advisory lock has this number plus the id of the event that is rehearsed."""
NAME: Final = "Rehearsal of "
COPIES_MAX: Final = 100


class UnknownEventError(LookupError):
    """There is no such event, or it is itself a copy."""


class RehearsingError(Exception):
    """The event is being rehearsed at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(RoomDials):
    """A copy and the dials that it was made with, which are the event's own.

    Attributes:
        state: of the event's own room; the copy's is paused.
    """

    event_id: int
    name: str
    seats: int
    state: RoomState


@contextlib.contextmanager
def alone(database_url: str, event_id: int) -> Iterator[None]:
    """Allow one rehearsal of an event at a time, for as long as the ``with`` block lasts.

    Raises:
        RehearsingError: the event is being rehearsed already.
    """
    with locked(database_url, "admitone-rehearsal", LOCK_SPACE + event_id) as is_ours:
        if not is_ours:
            raise RehearsingError(f"event {event_id} is being rehearsed already")
        yield


def copy_event(connection: Connection, event_id: int) -> Copy:
    """Make a copy whose sale has begun and whose room is paused.

    Raises:
        UnknownEventError: there is no such event with a room, or it is a copy.
    """
    with connection.transaction():
        made = connection.execute(_COPY_EVENT, {"event_id": event_id, "name": NAME}).fetchone()
        if made is None:
            raise UnknownEventError(f"there is no event {event_id}")
        copy_id, name = made
        parameters = {"event_id": event_id, "copy_id": copy_id, "state": STATE_OF_A_COPY}
        room = connection.execute(_COPY_ROOM, parameters).fetchone()
        if room is None:
            raise UnknownEventError(f"event {event_id} has no waiting room")
        connection.execute(_COPY_TICKETS, parameters)
        seats = connection.execute(_COPY_SEATS, parameters).rowcount
        connection.execute(_COPY_PLAN, parameters)
    # Without statistics Postgres would plan the bookings for empty tables, and they would be slower than real ones.
    connection.execute("ANALYZE event, ticket, seat, room")
    state, *values = room
    dials = dict(zip(DIALS, values, strict=True))
    dials["messages"] = Texts.known_of(dials["messages"])
    return Copy(event_id=copy_id, name=name, seats=seats, state=RoomState(state), **dials)


def copies_of(connection: Connection, event_id: int) -> list[int]:
    """The copies of an event that rehearsals kept, or left because they were killed; `COPIES_MAX` at most."""
    rows = connection.execute(
        "SELECT event_id FROM event WHERE rehearsal_of = %s ORDER BY event_id LIMIT %s", (event_id, COPIES_MAX)
    )
    return [int(row[0]) for row in rows.fetchall()]


def purchases(connection: Connection, copy_id: int) -> list[tuple[float, int]]:
    """Each purchase of a copy in their order: its moment in Unix seconds, and its number of seats."""
    return [(float(row[0]), row[1]) for row in connection.execute(_PURCHASES, {"copy_id": copy_id}).fetchall()]


def remove_copy(connection: Connection, copy_id: int) -> bool:
    """Delete a copy and everything booked on it, in one transaction; False for anything but a copy.

    Call it when no fan is booking on the copy any more: its batches would fail, though those of other events would not.
    """
    with connection.transaction():
        connection.execute(LOCK_EVENTS, {"space": ADVISORY_SPACE, "event_ids": [copy_id]})
        found = connection.execute(
            "SELECT FROM event WHERE event_id = %s AND rehearsal_of IS NOT NULL FOR UPDATE", (copy_id,)
        ).fetchone()
        if found is None:
            return False
        for statement in _REMOVALS:
            connection.execute(statement, {"copy_id": copy_id})
    return True


_COPY_EVENT: Final = f"""
INSERT INTO event (name, artist, venue, date, time_zone, on_sale_at, off_sale_at, currency, seats_per_fan_max,
                   ticket_types_made, doors_at, picture_hash, picture_alt, town, tags, rehearsal_of)
SELECT %(name)s::text || name, artist, venue, date, time_zone, least(on_sale_at, clock_timestamp() - interval '1 hour'),
       greatest({sale_end()}, clock_timestamp() + interval '1 day'), currency, seats_per_fan_max,
       ticket_types_made, doors_at, picture_hash, picture_alt, town, tags, event_id
  FROM event
 WHERE event_id = %(event_id)s AND rehearsal_of IS NULL
RETURNING event_id, name
"""  # noqa: S608 - of constants alone

_DIALS: Final = sql.SQL(", ").join(map(sql.Identifier, DIALS))

_COPY_ROOM: Final = sql.SQL("""
WITH made AS (
    INSERT INTO room (event_id, state, {dials})
    SELECT %(copy_id)s, %(state)s, {dials}
      FROM room
     WHERE event_id = %(event_id)s
    RETURNING event_id)
SELECT room.state, {of_room}
  FROM made, room
 WHERE room.event_id = %(event_id)s
""").format(dials=_DIALS, of_room=sql.SQL(", ").join(sql.Identifier("room", name) for name in DIALS))

_COPY_TICKETS: Final[LiteralString] = """
INSERT INTO ticket (event_id, ticket_type_id, ticket_type, price, entrance, quantity, available_count,
                    fee_amount, fee_basis_points, tax_basis_points, tax_included, seats_per_fan_max)
SELECT %(copy_id)s, ticket_type_id, ticket_type, price, entrance, quantity, quantity,
       fee_amount, fee_basis_points, tax_basis_points, tax_included, seats_per_fan_max
  FROM ticket
 WHERE event_id = %(event_id)s
"""

_COPY_SEATS: Final[LiteralString] = """
INSERT INTO seat (event_id, ticket_type_id, row_number, seat_number, x, y, ordinal, flags, row_label, seat_label,
                  section)
SELECT %(copy_id)s, ticket_type_id, row_number, seat_number, x, y, ordinal, flags, row_label, seat_label, section
  FROM seat
 WHERE event_id = %(event_id)s
"""

_COPY_PLAN: Final[LiteralString] = """
INSERT INTO event_plan (event_id, document, focus_x, focus_y, picture_hash)
SELECT %(copy_id)s, document, focus_x, focus_y, picture_hash FROM event_plan WHERE event_id = %(event_id)s
"""

_PURCHASES: Final[LiteralString] = """
SELECT extract(epoch FROM purchase.purchase_at), count(*)
  FROM purchase
  JOIN purchase_detail USING (event_id, purchase_id)
 WHERE purchase.event_id = %(copy_id)s
 GROUP BY purchase_id, purchase.purchase_at
 ORDER BY purchase.purchase_at
"""

# Tables without ON DELETE CASCADE first; the rest goes with the event.
_REMOVALS: Final[tuple[LiteralString, ...]] = (
    "DELETE FROM purchase_detail WHERE event_id = %(copy_id)s",
    "DELETE FROM purchase WHERE event_id = %(copy_id)s",
    "DELETE FROM reservation WHERE event_id = %(copy_id)s",
    "DELETE FROM booking_command WHERE event_id = %(copy_id)s",
    "DELETE FROM seat WHERE event_id = %(copy_id)s",
    "DELETE FROM change_log WHERE subject IN ('room', 'event') AND subject_id = %(copy_id)s",
    "DELETE FROM event WHERE event_id = %(copy_id)s",
)
