"""The holds of a fan who is about to sign in."""

from __future__ import annotations

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.holds import live

_EVENTS_WITH_HOLDS: Final = f"""
SELECT DISTINCT h.event_id
  FROM reservation h
  JOIN event e USING (event_id)
 WHERE h.user_id = %(user_id)s AND e.state = 'published' AND {live("h")}
 LIMIT 100
"""  # noqa: S608 - of constants alone


async def events_with_holds(connection: AsyncConnection, user_id: int) -> list[int]:
    """The events at which the fan holds seats that can still be bought."""
    return [int(row[0]) for row in await connection.exec_driver_sql(_EVENTS_WITH_HOLDS, {"user_id": user_id})]
