"""The map of lanes as this gateway process knows it, and the wait of commands whose event is being handed over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final, cast

import redis.asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_lane.coalescer import Taken
from booking_lane.commands import Batch
from booking_lane.lane_map import MAP_KEY, LaneMap, decode_map, map_by_setting, map_of
from db.lanes.maps import READ_LAST, map_row

READ_SECONDS: Final = 1.0
READ_HANDING_OVER_SECONDS: Final = 0.05
"""While lanes have yet to hand over, fans wait for it."""
BUFFERED_SECONDS_MAX: Final = 60.0
"""So long after a change a batch may still have commands that were given to a lane by the map before."""

_READ_LAST: Final = READ_LAST.replace("%(rows)s", "1")


class SiteLanes:
    """Follows the map of lanes.

    Args:
        jobs: the jobs' Redis.
        count: the setting's number of lanes, which holds while nobody set a map.
    """

    def __init__(self, engine: AsyncEngine, jobs: redis.asyncio.Redis, count: int) -> None:
        self._engine = engine
        self._jobs = jobs
        self._count = count
        self._changed_at = float("-inf")
        self._is_outdated = asyncio.Event()
        self._changed = asyncio.Event()
        self.map = map_by_setting(count)

    async def begin(self) -> None:
        """Read the map for the first time, from Postgres where Redis has none.

        Raises:
            redis.RedisError, sqlalchemy.exc.SQLAlchemyError: Redis or Postgres does not answer.
        """
        await self._read()
        if self.map.revision:
            return
        async with self._engine.connect() as connection:
            rows = (await connection.execute(text(_READ_LAST))).all()
        self._take(map_of([map_row(tuple(row)) for row in rows], self._count))

    async def keep(self) -> None:
        """Follow the map for as long as the process runs."""
        while True:
            await self._read()
            self._is_outdated.clear()
            seconds = READ_HANDING_OVER_SECONDS if self.map.leaving else READ_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_outdated.wait(), seconds)

    async def _read(self) -> None:
        found = cast(bytes | None, await self._jobs.get(MAP_KEY))
        if found is not None:
            self._take(decode_map(found))
        elif self.map.leaving:
            # What the lanes had yet to apply is lost with the map, so there is nothing to wait for.
            self._take(LaneMap(self.map.revision, self.map.lanes))

    def _take(self, new: LaneMap) -> None:
        if new == self.map:
            return
        if new.revision != self.map.revision:
            self._changed_at = time.monotonic()
        self.map = new
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def numbers(self) -> list[int]:
        """The lanes that need a worker."""
        return self.map.numbers

    def of(self, event_id: int) -> int:
        """The event's lane."""
        return self.map.lanes.of(event_id)

    async def handed_over(self, event_id: int, seconds_max: float) -> None:
        """Wait until every former lane of the event has handed over.

        Raises:
            TimeoutError: one has not within ``seconds_max``.
        """
        async with asyncio.timeout(seconds_max):
            while self.map.waits(event_id):
                await self._changed.wait()

    def may_acknowledge(self, batch: Batch, taken: Taken) -> bool:
        """Whether the lane that took the batch is the one that its events belonged to at that moment. If not, a later
        command could overtake the batch's commands once they were acknowledged.
        """
        if taken.map_revision is not None and taken.map_revision != self.map.revision:
            self._is_outdated.set()
            return False
        if not self.map.leaving and time.monotonic() - self._changed_at > BUFFERED_SECONDS_MAX:
            return True
        events = {command.event_id for command in batch.commands}
        return all(self.of(event_id) == batch.lane and not self.map.waits(event_id) for event_id in events)
