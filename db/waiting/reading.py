"""Waiting lists as gateways read them; this module writes nothing."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.holds import live
from db.waiting.states import EntryState

AHEAD_MAX: Final = 10_000
"""So many entries ahead are counted at most."""

_BECAME: Final = f"""CASE WHEN w.state <> 'offered' THEN w.state
            WHEN {live("h")} THEN 'offered'
            WHEN h.state = 'purchased' THEN 'taken'
            WHEN h.state = 'released' THEN 'declined'
            ELSE 'lapsed' END"""
"""SQL: what became of an entry. Of an offer its hold says it."""

ENTRY_OF_FAN: Final = f"""
SELECT w.number, w.ticket_type_id, w.quantity, {_BECAME}, w.entered_at, encode(w.link, 'hex'), w.reservation_id,
       h.expires_at,
       (SELECT count(*)
          FROM (SELECT
                  FROM waiting_entry a
                 WHERE a.event_id = w.event_id AND a.ticket_type_id = w.ticket_type_id AND a.state = 'waiting'
                   AND a.number < w.number
                 LIMIT %(ahead_max)s) AS ahead)
  FROM waiting_entry w
  LEFT JOIN reservation h ON h.event_id = w.event_id AND h.reservation_id = w.reservation_id
 WHERE w.event_id = %(event_id)s AND w.user_id = %(user_id)s
 ORDER BY w.number DESC
 LIMIT 1
"""  # noqa: S608 - of constants alone


class FanEntry(NamedTuple):
    """A fan's latest entry. ``became`` is ``waiting``, ``offered`` (seats are held now), ``taken``, ``declined``,
    ``lapsed``, ``left`` or ``passed``. ``ahead`` is how many wait before it for the same ticket type.
    """

    number: int
    ticket_type_id: int
    quantity: int
    became: str
    entered_at: dt.datetime
    link: str
    reservation_id: uuid.UUID | None
    expires_at: dt.datetime | None
    ahead: int

    @property
    def waits(self) -> bool:
        return self.became == EntryState.WAITING

    @property
    def is_offered(self) -> bool:
        return self.became == EntryState.OFFERED


async def entry_of_fan(connection: AsyncConnection, event_id: int, user_id: int) -> FanEntry | None:
    """The fan's latest entry in the event's list."""
    which = {"event_id": event_id, "user_id": user_id, "ahead_max": AHEAD_MAX}
    row = (await connection.exec_driver_sql(ENTRY_OF_FAN, which)).first()
    return None if row is None else FanEntry._make(row)


ENTRIES: Final = f"""
SELECT w.number, w.ticket_type_id, w.quantity, {_BECAME}, w.entered_at, w.ended_at, encode(w.link, 'hex')
  FROM waiting_entry w
  LEFT JOIN reservation h ON h.event_id = w.event_id AND h.reservation_id = w.reservation_id
 WHERE w.event_id = %(event_id)s AND w.number >= %(first)s
 ORDER BY w.number
 LIMIT %(rows_max)s
"""  # noqa: S608 - of constants alone


class ListedEntry(NamedTuple):
    """An entry as everybody may see it."""

    number: int
    ticket_type_id: int
    quantity: int
    became: str
    entered_at: dt.datetime
    ended_at: dt.datetime | None
    link: str


async def entries_from(connection: AsyncConnection, event_id: int, first: int, rows_max: int) -> list[ListedEntry]:
    """The entries of a list from the number ``first`` on."""
    rows = await connection.exec_driver_sql(ENTRIES, {"event_id": event_id, "first": first, "rows_max": rows_max})
    return [ListedEntry._make(row) for row in rows]


COUNTS: Final = f"""
SELECT c.ticket_type_id, c.became, count(*), sum(c.quantity)::bigint
  FROM (SELECT w.ticket_type_id, w.quantity, {_BECAME} AS became
          FROM waiting_entry w
          LEFT JOIN reservation h ON h.event_id = w.event_id AND h.reservation_id = w.reservation_id
         WHERE w.event_id = %(event_id)s) AS c
 GROUP BY c.ticket_type_id, c.became
"""  # noqa: S608 - of constants alone


class WaitingCount(NamedTuple):
    """How many entries of a ticket type became the same, and how many seats they ask for together."""

    ticket_type_id: int
    became: str
    entries: int
    seats: int


async def waiting_counts(connection: AsyncConnection, event_id: int) -> list[WaitingCount]:
    """What became of the entries of a list, by ticket type."""
    rows = await connection.exec_driver_sql(COUNTS, {"event_id": event_id})
    return [WaitingCount._make(row) for row in rows]
