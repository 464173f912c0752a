"""Holds as gateways read them; this module writes nothing."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.holds import HOLD_COLUMNS, Hold, hold_row, keeps_seats, keeps_slot

HOLDS_MAX: Final = 100
HOLDERS_MAX: Final = 10_000

HOLDS_OF_FAN: Final = f"""
SELECT {HOLD_COLUMNS}
  FROM reservation h
 WHERE h.event_id = %(event_id)s AND h.user_id = %(user_id)s AND {keeps_slot("h")}
 ORDER BY h.expires_at
 LIMIT %(holds_max)s
"""  # noqa: S608 - of constants alone


async def holds_of_fan(connection: AsyncConnection, event_id: int, user_id: int) -> list[Hold]:
    """The fan's live holds in the order of their ends, `HOLDS_MAX` at most. Those that a bank works on are left out:
    there is nothing more to do about them.
    """
    rows = await connection.exec_driver_sql(
        HOLDS_OF_FAN, {"event_id": event_id, "user_id": user_id, "holds_max": HOLDS_MAX}
    )
    return [hold_row(row) for row in rows]


HOLDERS: Final = f"""
SELECT h.user_id, min(h.created_at), max(h.expires_at)
  FROM reservation h
 WHERE h.event_id = %(event_id)s AND {keeps_slot("h")}
 GROUP BY h.user_id
 LIMIT %(holders_max)s
"""  # noqa: S608 - of constants alone


class Holder(NamedTuple):
    """A fan with live holds: from the first one's beginning to the last one's end."""

    user_id: int
    began_at: dt.datetime
    ends_at: dt.datetime


async def holders(connection: AsyncConnection, event_id: int) -> list[Holder]:
    """The fans whose holds keep their slots, `HOLDERS_MAX` at most."""
    rows = await connection.exec_driver_sql(HOLDERS, {"event_id": event_id, "holders_max": HOLDERS_MAX})
    return [Holder._make(row) for row in rows]


LAST_HOLD_ENDS_AT: Final = f"""
SELECT max(h.expires_at)
  FROM reservation h
 WHERE h.event_id = %(event_id)s AND {keeps_seats("h")}
"""  # noqa: S608 - of constants alone


async def last_hold_ends_at(connection: AsyncConnection, event_id: int, grace_seconds: int) -> dt.datetime | None:
    """The shown end of the last hold that keeps its seats; None: no seat is held. The end has passed if that hold is in
    its grace.
    """
    rows = await connection.exec_driver_sql(LAST_HOLD_ENDS_AT, {"event_id": event_id, "grace_seconds": grace_seconds})
    ends_at: dt.datetime | None = rows.scalar_one()
    return ends_at
