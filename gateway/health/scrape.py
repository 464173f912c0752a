"""Reads the figures for `/metrics` that are not in this process' memory. Only one read of each kind is under way at a
time, and a scrape waits for none of them for long.

If a part does not answer, its own figures are left out and no others, because metrics are needed most at such a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

import psycopg
import redis.asyncio
from redis.exceptions import RedisError
from rq.cron_scheduler_registry import get_registry_key
from rq.registry import FailedJobRegistry, StartedJobRegistry
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_lane.alive import alive_key, worker_name, workers_key
from booking_lane.lane import HOUSEKEEPING_QUEUE, queue_name
from db.alarms.standing import LOOKED_KEY, NOW_MS, firing_alarms
from db.connections.old_reads import OldReads
from db.connections.small_reads import SmallReads
from db.search.folding import FOLDING
from db.search.index.changes import WAITING
from db.search.writing import COUNT_BEHIND
from gateway.booking.desk import Desk
from gateway.booking.reader import Reader
from gateway.contract.rooms import RoomAnswer
from gateway.health.loop_lag import LoopLag
from gateway.health.metrics import LaneFigures, QueueFigures, SearchFigures, Traffic, exposition
from gateway.health.readiness import Readiness
from gateway.search.catalogue import SearchIndex
from gateway.wire import problems
from gateway.wire.connection_counts import Connections
from gateway.wire.problems import ProblemError
from gateway.wire.stream_slots import StreamSlots

logger = logging.getLogger(__name__)

READ_SECONDS_MAX: Final = 2.0
"""A scrape waits this long for its slowest part. Prometheus itself waits ten seconds for a scrape."""
GIVEN_UP_SECONDS: Final = 30.0
"""A read is cancelled after this long, and the next scrape begins a new one."""
ROOMS_MAX: Final = 100
"""A scrape shows at most this many rooms, because each adds a value to the label of rooms."""
WORKERS_PER_QUEUE_MAX: Final = 100
ROWS_EVERY_SECONDS: Final = 60.0
COUNTED_MAX: Final = 10_000

_T = TypeVar("_T")


@dataclass(kw_only=True)
class Scrape:
    """Makes the metrics of one gateway process.

    ``read_rooms(number)`` reads the figures of at most ``number`` rooms; ``jobs`` is the Redis of the jobs.
    """

    traffic: Traffic
    loop_lag: LoopLag
    readiness: Readiness
    stream_slots: StreamSlots
    connections: Connections
    engine: AsyncEngine
    old_reads: OldReads
    reader: Reader
    small_reads: SmallReads
    desk: Desk
    sign_ins: Mapping[str, int]
    fan_sign_ins: Mapping[str, int]
    jobs: redis.asyncio.Redis
    searches: Mapping[str, int]
    search_index: SearchIndex | None
    read_rooms: Callable[[int], Coroutine[Any, Any, tuple[RoomAnswer, ...]]]

    def __post_init__(self) -> None:
        self._queues = _Reading(self._read_queues)
        self._rooms = _Reading(partial(self.read_rooms, ROOMS_MAX))
        self._backlog = _Reading(self.reader.backlog)
        self._alarms = _Reading(self._read_alarms)
        self._search = _Reading(self._read_search)
        self._rows_behind = 0
        self._rows_read_at = float("-inf")

    async def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        queues, rooms, backlog, alarms, search = await asyncio.gather(
            self._queues.now(), self._rooms.now(), self._backlog.now(), self._alarms.now(), self._search.now()
        )
        pools = {"engine": self.engine, "replica": self.old_reads.engine}
        return exposition(
            self.traffic,
            problems=problems.answered,
            sign_ins=self.sign_ins,
            fan_sign_ins=self.fan_sign_ins,
            loop_lag=self.loop_lag,
            parts=self.readiness.parts,
            ready=not self.readiness.failing,
            streams=(self.stream_slots.open, self.stream_slots.streams_max),
            clients=self.connections,
            connections={
                "reader": self.small_reads.connections(),
                **{name: _busy(engine) for name, engine in pools.items() if engine is not None},
            },
            old_reads=self.old_reads,
            lanes=[
                LaneFigures(lane.number, self.desk.figures_of(lane.number), lane.backlog, lane.oldest_seconds)
                for lane in self.desk.lanes
            ],
            queues=queues,
            rooms=rooms,
            backlog=backlog,
            alarms=alarms,
            searches=self.searches,
            search_index=self.search_index,
            search=search,
        )

    async def _read_queues(self) -> tuple[list[QueueFigures], float | None]:
        """The figures of each lane's queue and of housekeeping, and the age of cron's last beat in seconds, None if
        there was no beat.
        """
        jobs = self.jobs
        names = [*(queue_name(lane.number) for lane in self.desk.lanes), HOUSEKEEPING_QUEUE]
        queues = await asyncio.gather(*(self._read_queue(name) for name in names))
        beats = await jobs.zrange(get_registry_key(), -1, -1, withscores=True)
        seconds = int((await jobs.time())[0])
        return list(queues), max(0.0, seconds - float(beats[0][1])) if beats else None

    async def _read_alarms(self) -> tuple[dict[str, int], float | None]:
        """How many alarms of each kind stand, and the age of the last look at the figures, None if there was none."""
        looked_at = await self.jobs.get(LOOKED_KEY)
        async with self.engine.connect() as connection:
            firing = await firing_alarms(connection)
            now_ms = (await connection.exec_driver_sql(NOW_MS)).scalar_one()
        return firing, None if looked_at is None else max(0.0, (int(now_ms) - int(looked_at)) / 1000)

    async def _read_search(self) -> SearchFigures:
        """What the search lacks. The rows behind are counted seldom, because all events are compared for it."""
        now = asyncio.get_running_loop().time()
        async with self.engine.connect() as connection:
            if now - self._rows_read_at >= ROWS_EVERY_SECONDS:
                bounds = {"folding": FOLDING, "rows_max": COUNTED_MAX}
                self._rows_behind = (await connection.exec_driver_sql(COUNT_BEHIND, bounds)).scalar_one()
                self._rows_read_at = now
            if self.search_index is None:
                return SearchFigures(self._rows_behind)
            waiting: Any = (await connection.exec_driver_sql(WAITING, {"counted_max": COUNTED_MAX})).one()
            return SearchFigures(self._rows_behind, int(waiting[0]), float(waiting[1]))

    async def _read_queue(self, name: str) -> QueueFigures:
        jobs = self.jobs
        members, queued, under_way, failed = await asyncio.gather(
            jobs.smembers(workers_key(name)),
            jobs.llen(f"rq:queue:{name}"),
            jobs.zcard(StartedJobRegistry.key_template.format(name)),
            jobs.zcard(FailedJobRegistry.key_template.format(name)),
        )
        workers = [
            alive_key(name, worker_name(cast(bytes, member))) for member in sorted(members)[:WORKERS_PER_QUEUE_MAX]
        ]
        alive = await jobs.exists(*workers) if workers else 0
        return QueueFigures(name, int(alive), int(queued), int(under_way), int(failed))


def _busy(engine: AsyncEngine) -> tuple[int, int]:
    pool = cast(Any, engine.pool)
    return pool.checkedout(), pool.size()


class _Reading(Generic[_T]):
    """Reads one kind of figures. No second read begins while one is under way, so a silent part is not read twice."""

    def __init__(self, read: Callable[[], Coroutine[Any, Any, _T]]) -> None:
        self._read = read
        self._task: asyncio.Task[_T | None] | None = None

    async def now(self) -> _T | None:
        """The figures; None if the part does not answer or takes too long."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._quietly())
        task = self._task
        # The task is not cancelled here, because psycopg would first ask the silent server to cancel the statement.
        done, _ = await asyncio.wait({task}, timeout=READ_SECONDS_MAX)
        return task.result() if done else None

    async def _quietly(self) -> _T | None:
        try:
            async with asyncio.timeout(GIVEN_UP_SECONDS):
                return await self._read()
        except (RedisError, SQLAlchemyError, psycopg.Error, OSError, ProblemError) as error:
            logger.warning("metrics lack a part: %s", error)
            return None
