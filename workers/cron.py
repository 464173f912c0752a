"""The recurring jobs, enqueued by RQ's own cron: sweeps on the lanes, housekeeping on its queue."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import redis
from rq.cron import CronJob, CronScheduler
from rq.exceptions import StopRequested
from rq.job import Job

from booking_lane.lane import HOUSEKEEPING_QUEUE, MESSAGES_QUEUE, queue_name, rq_queue
from booking_lane.lane_map import map_in_force
from workers import jobs

SWEEP_EVERY_SECONDS: Final = 1
RECONCILE_EVERY_SECONDS: Final = 10
RETRY_FAILED_EVERY_SECONDS: Final = 5
FORGET_EVERY_SECONDS: Final = 60
SEAL_EVERY_SECONDS: Final = 60
INDEX_EVERY_SECONDS: Final = 60
TELL_EVERY_SECONDS: Final = 1
WATCH_EVERY_SECONDS: Final = 5
FAILED_KEPT_SECONDS: Final = 300
"""RQ keeps a recurring job that failed for this time only, because in an outage one fails every second."""
LATE_SECONDS_MAX: Final = 5
"""A recurring job that waited longer is dropped, because the next one does its work."""

WAITING_MAX: Final = 100
"""No recurring job is added to a queue of this length. A queue grows so long only if no worker takes jobs from it."""


class _Recurring(CronJob):
    """RQ's cron job, but encoded as msgpack instead of a pickle."""

    def enqueue(self, connection: redis.Redis) -> Job | None:  # type: ignore[override]  # RQ does not use the answer
        queue = rq_queue(connection, self.queue_name)
        if queue.count >= WAITING_MAX:
            return None
        assert self.func is not None
        return queue.enqueue(self.func, args=self.args, kwargs=self.kwargs, **self.job_options)


class _Sweeps(_Recurring):
    """A sweep on each lane that needs a worker, by the map of lanes.

    Args:
        count: the setting's number of lanes.
    """

    def __init__(self, count: int, **options: Any) -> None:
        super().__init__(**options)
        self._count = count

    def enqueue(self, connection: redis.Redis) -> Job | None:  # type: ignore[override]  # as above
        for lane in map_in_force(connection, self._count).numbers:
            self.queue_name, self.args = queue_name(lane), (lane,)
            super().enqueue(connection)
        return None


class Cron(CronScheduler):
    """Enqueues recurring jobs when they are due. Several crons at once do no harm, because every recurring job may run
    twice.

    Args:
        lanes: the setting's number of lanes.
    """

    def __init__(self, connection: redis.Redis, lanes: int) -> None:
        super().__init__(connection)
        self._is_to_stop = False
        self._cron_jobs.append(_Sweeps(lanes, **_options(SWEEP_EVERY_SECONDS, jobs.sweep, "lanes")))
        self._every(RECONCILE_EVERY_SECONDS, jobs.reconcile, HOUSEKEEPING_QUEUE)
        self._every(RETRY_FAILED_EVERY_SECONDS, jobs.retry_failed, HOUSEKEEPING_QUEUE)
        self._every(FORGET_EVERY_SECONDS, jobs.forget, HOUSEKEEPING_QUEUE)
        self._every(SEAL_EVERY_SECONDS, jobs.seal, HOUSEKEEPING_QUEUE)
        self._every(INDEX_EVERY_SECONDS, jobs.index, HOUSEKEEPING_QUEUE)
        self._every(WATCH_EVERY_SECONDS, jobs.watch, HOUSEKEEPING_QUEUE)
        self._every(TELL_EVERY_SECONDS, jobs.tell, MESSAGES_QUEUE)

    def _request_stop(self, signum: int, frame: FrameType | None) -> None:
        self._is_to_stop = True
        super()._request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def calculate_sleep_interval(self) -> float:
        """The seconds until the next job is due.

        Raises:
            StopRequested: a signal has asked for the end. RQ raises this in the signal's handler, and where that comes
                while redis-py notes a command's figures, redis-py catches it with whatever else fails there.
        """
        if self._is_to_stop:
            raise StopRequested
        return super().calculate_sleep_interval()

    def _every(self, seconds: int, function: Callable[..., Any], queue: str) -> None:
        self._cron_jobs.append(_Recurring(**_options(seconds, function, queue)))


def _options(seconds: int, function: Callable[..., Any], queue: str) -> dict[str, Any]:
    return {
        "queue_name": queue,
        "func": function,
        "interval": seconds,
        "job_timeout": 60,
        "result_ttl": 0,
        "ttl": LATE_SECONDS_MAX,
        "failure_ttl": FAILED_KEPT_SECONDS,
        "name": f"{function.__name__}-{queue}",
    }
