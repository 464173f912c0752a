"""The recurring jobs, enqueued by RQ's own cron: sweeps on the lanes, housekeeping on its queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import redis
from rq.cron import CronJob, CronScheduler
from rq.job import Job

from booking_lane.lane import HOUSEKEEPING_QUEUE, MESSAGES_QUEUE, queue_name, rq_queue
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


class Cron(CronScheduler):
    """Enqueues recurring jobs when they are due. Several crons at once do no harm, because every recurring job may run
    twice.
    """

    def __init__(self, connection: redis.Redis, lanes: int) -> None:
        super().__init__(connection)
        for lane in range(lanes):
            self._every(SWEEP_EVERY_SECONDS, jobs.sweep, queue_name(lane), lane)
        self._every(RECONCILE_EVERY_SECONDS, jobs.reconcile, HOUSEKEEPING_QUEUE)
        self._every(RETRY_FAILED_EVERY_SECONDS, jobs.retry_failed, HOUSEKEEPING_QUEUE)
        self._every(FORGET_EVERY_SECONDS, jobs.forget, HOUSEKEEPING_QUEUE)
        self._every(SEAL_EVERY_SECONDS, jobs.seal, HOUSEKEEPING_QUEUE)
        self._every(INDEX_EVERY_SECONDS, jobs.index, HOUSEKEEPING_QUEUE)
        self._every(WATCH_EVERY_SECONDS, jobs.watch, HOUSEKEEPING_QUEUE)
        self._every(TELL_EVERY_SECONDS, jobs.tell, MESSAGES_QUEUE)

    def _every(self, seconds: int, function: Callable[..., Any], queue: str, *args: object) -> None:
        self._cron_jobs.append(
            _Recurring(
                queue_name=queue,
                func=function,
                args=args,
                interval=seconds,
                job_timeout=60,
                result_ttl=0,
                ttl=LATE_SECONDS_MAX,
                failure_ttl=FAILED_KEPT_SECONDS,
                name=f"{function.__name__}-{queue}",
            )
        )
