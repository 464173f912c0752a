"""The venue's programme: events made and changed by operators, in Postgres first, then known to Redis and this gateway.

The work is psycopg's synchronous, in few threads with a connection each: an operator's spreadsheet of a stadium must
not keep a single fan's place waiting, and `db.events.seed` makes its events with the same functions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import psycopg
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from db.connections import primary
from gateway.hall.halls import Halls
from gateway.line.registry import RoomRegistry
from waiting_room.line import Line

logger = logging.getLogger(__name__)

EDITS_AT_ONCE_MAX: Final = 2

T = TypeVar("T")


class Programme:
    """Runs operators' work on events, and tells of it.

    Args:
        database_url: Postgres' primary.
    """

    def __init__(self, database_url: str, halls: Halls, line: Line, rooms: RoomRegistry) -> None:
        self._database_url = database_url
        self._halls = halls
        self._line = line
        self._rooms = rooms
        self._threads = ThreadPoolExecutor(max_workers=EDITS_AT_ONCE_MAX, thread_name_prefix="programme")

    async def in_thread(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which takes long and needs no connection."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """``work``'s result, on a connection that commits each statement unless it begins a transaction.

        Raises:
            psycopg.OperationalError: Postgres is away, or bookings kept what is to be changed for too long.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    def _run(self, work: Callable[[psycopg.Connection], T]) -> T:
        with primary.connect(self._database_url, "admitone-gateway") as connection:
            return work(connection)

    async def publish(self, event_id: int, *, configure: bool) -> None:
        """Make a changed event known to this gateway, and what is left of it to Redis; with ``configure`` its room too.

        Should that fail, all of it is known within seconds all the same: by the event's version, the room's revision
        and the worker's housekeeping.
        """
        try:
            await self._halls.renew(event_id)
            if configure:
                await self._rooms.renew(event_id)
            hall = await self._halls.hall(event_id)
            await self._line.set_stock(event_id, hall.free, hall.held, hall.version)
            self._rooms.mark_stale(event_id)
        except (SQLAlchemyError, RedisError, OSError) as error:
            logger.warning("event %d: its change is not published yet: %s", event_id, error)

    def close(self) -> None:
        self._threads.shutdown(wait=False)
