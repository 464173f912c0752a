"""The operators' changes of lanes, as a gateway carries them out: rarely, each in a thread and with connections of its
own, so that nothing of a sale waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any, Final, LiteralString, NamedTuple, TypeVar

import psycopg
import redis

from booking_lane.lane_changes import Connection, move_event, set_count
from booking_lane.lane_map import LaneMap, map_in_force
from booking_lane.lane_states import LaneState, lane_states
from db.connections import primary
from db.lanes.maps import last_maps

_NAMES: Final[LiteralString] = "SELECT event_id, name FROM event WHERE event_id = ANY (%(event_ids)s)"

T = TypeVar("T")


class LanesSeen(NamedTuple):
    """The lanes of the site.

    Attributes:
        sharing: how many lanes share the events that have none of their own.
        names: of the events that were moved, by their ids.
        made_at, made_by: when and by whom the map in force was set; None while the setting holds.
    """

    sharing: int
    revision: int
    lanes: list[LaneState]
    names: dict[int, str]
    made_at: dt.datetime | None
    made_by: str | None


class LaneOffice:
    """Reads and changes the map of lanes.

    Args:
        jobs: makes a synchronous client of the jobs' Redis.
        count: the setting's number of lanes, which holds while nobody set any.
    """

    def __init__(self, database_url: str, jobs: Callable[[], redis.Redis], count: int) -> None:
        self._database_url = database_url
        self._jobs = jobs
        self._count = count
        self._one_at_a_time = asyncio.Lock()

    async def seen(self) -> LanesSeen:
        """Read all lanes.

        Raises:
            redis.RedisError, psycopg.Error: a server does not answer.
        """
        return await self._with_servers(self._read)

    async def move(self, event_id: int, lane: int | None, by: str) -> LanesSeen:
        """Give an event a lane, or with None the one that its number gives it.

        Raises:
            LookupError, LaneRefusedError, HandOversPendingError, redis.RedisError, psycopg.Error: see
                `booking_lane.lane_changes.move_event`.
        """

        def change(connection: Connection, jobs: redis.Redis) -> LanesSeen:
            return self._of(connection, jobs, move_event(connection, jobs, self._count, event_id, lane, by))

        return await self._with_servers(change)

    async def share(self, lanes: int, by: str) -> LanesSeen:
        """Have so many lanes share the events; raises as `move` does."""

        def change(connection: Connection, jobs: redis.Redis) -> LanesSeen:
            return self._of(connection, jobs, set_count(connection, jobs, self._count, lanes, by))

        return await self._with_servers(change)

    def _read(self, connection: Connection, jobs: redis.Redis) -> LanesSeen:
        return self._of(connection, jobs, map_in_force(jobs, self._count))

    @staticmethod
    def _of(connection: Connection, jobs: redis.Redis, lane_map: LaneMap) -> LanesSeen:
        names = connection.execute(_NAMES, {"event_ids": list(lane_map.lanes.pins)}).fetchall()
        last = next(iter(last_maps(connection, 1)), None)
        return LanesSeen(
            sharing=lane_map.lanes.count,
            revision=lane_map.revision,
            lanes=lane_states(jobs, lane_map),
            names=dict(names),
            made_at=last and last.made_at,
            made_by=last and last.made_by,
        )

    async def _with_servers(self, act: Callable[[Connection, redis.Redis], T]) -> T:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._acted, act)

    def _acted(self, act: Callable[[Connection, redis.Redis], T]) -> T:
        with self._servers() as (connection, jobs):
            return act(connection, jobs)

    @contextlib.contextmanager
    def _servers(self) -> Iterator[tuple[psycopg.Connection[tuple[Any, ...]], redis.Redis]]:
        jobs = self._jobs()
        try:
            with primary.connect(self._database_url, "admitone-lanes") as connection:
                yield connection, jobs
        finally:
            jobs.close()
