"""The names of events, for lists of other things."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.tables.events import Event


async def names_of(connection: AsyncConnection, event_ids: Iterable[int]) -> dict[int, str]:
    """The names of these events, by their ids."""
    found = await connection.execute(select(Event.event_id, Event.name).where(Event.event_id.in_(list(event_ids))))
    return {int(row[0]): str(row[1]) for row in found}
