"""Who changed which field of a room, and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rooms.rooms import RoomRow
from db.tables.change_log import RoomLog

LOG_ROWS_MAX: Final = 1000
CHANGES_SINCE_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class RoomLogRow:
    """One field of one change, its values as text (``true``, ``300``, ``open``)."""

    log_id: int
    at: dt.datetime
    operator: str
    field: str
    before: str
    after: str
    why: str
    revision: int


_LOG: Final = select(*(RoomLog.__table__.c[field.name] for field in fields(RoomLogRow)))


async def room_log(connection: AsyncConnection, event_id: int, limit: int) -> list[RoomLogRow]:
    """The latest changes, newest first; ``limit`` is cut to `LOG_ROWS_MAX`."""
    found = await connection.execute(
        _LOG.where(RoomLog.event_id == event_id).order_by(RoomLog.log_id.desc()).limit(min(limit, LOG_ROWS_MAX))
    )
    return [RoomLogRow(**row._asdict()) for row in found]


async def changes_since(connection: AsyncConnection, event_id: int, revision: int) -> list[RoomLogRow]:
    """The changes after a revision, the oldest first; of more than `CHANGES_SINCE_MAX` the latest."""
    found = await connection.execute(
        _LOG.where(RoomLog.event_id == event_id, RoomLog.revision > revision)
        .order_by(RoomLog.log_id.desc())
        .limit(CHANGES_SINCE_MAX)
    )
    return [RoomLogRow(**row._asdict()) for row in found][::-1]


async def log_changes(
    connection: AsyncConnection, before: RoomRow, changes: Mapping[str, object], operator: str, why: str
) -> None:
    """Write a line for each change of the room, at the revision after ``before``."""
    await connection.execute(
        insert(RoomLog),
        [
            {
                "event_id": before.event_id,
                "operator": operator,
                "field": field,
                "before": _as_text(getattr(before, field)),
                "after": _as_text(value),
                "why": why,
                "revision": before.revision + 1,
            }
            for field, value in changes.items()
        ],
    )


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
