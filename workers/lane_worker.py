"""RQ's SimpleWorker on one lane, with a sign of life: when it stops, the worker is known to be dead within seconds."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.results import Result

from booking_lane.alive import ALIVE_EVERY_SECONDS, ALIVE_SECONDS, alive_key, workers_key
from booking_lane.lane import BOOK
from booking_lane.listed_jobs import ListedJob

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY_SECONDS = 1.0
WORKER_TTL_SECONDS = 30
MAINTENANCE_SECONDS = 60


class LaneWorker(SimpleWorker):
    """Applies one lane's batches in its own process, without a fork for each job.

    A thread refreshes the worker's sign of life, because RQ's own lease (the job's timeout and a minute) is far too
    long to wait for when a worker dies.
    """

    job_class = ListedJob
    max_connection_wait_time = 1.0
    """RQ's own value is a minute, in which a lane would still sleep although Redis is back."""

    def __init__(self, *args: Any, sign: Callable[[], redis.Redis], **kwargs: Any) -> None:
        kwargs |= {"worker_ttl": WORKER_TTL_SECONDS, "maintenance_interval": MAINTENANCE_SECONDS}
        super().__init__(*args, **kwargs)
        self.log_job_description = False
        self._sign_client = sign
        self._stop_sign = threading.Event()
        self._beat_at = float("-inf")

    def work(self, *args: Any, **kwargs: Any) -> bool:
        thread = threading.Thread(target=self._sign_of_life, name="sign-of-life", daemon=True)
        thread.start()
        try:
            return bool(super().work(*args, **kwargs))
        finally:
            self._stop_sign.set()
            thread.join(ALIVE_SECONDS)

    def subscribe(self) -> None:
        """Do nothing: RQ would take orders from a channel that we do not use, at the price of a thread."""

    def set_shutdown_requested_date(self) -> None:
        """Do nothing: RQ would ask Redis from within a signal handler, while a batch may be using the connection."""

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Send RQ's heartbeat once a second at most. RQ itself would send it with nine round trips for each job."""
        now = time.monotonic()
        if pipeline is None and now - self._beat_at < HEARTBEAT_EVERY_SECONDS:
            return
        self._beat_at = now
        super().heartbeat(timeout, pipeline)

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """End a batch's job in one round trip. RQ itself needs five, which were a tenth of a lane's time.

        The other four are not needed: no job depends on a batch, a batch does not repeat, and RQ keeps no outcome.
        """
        if job.func_name != BOOK:
            super().handle_job_success(job, queue, started_job_registry, execution)
            return
        assert job.started_at is not None
        assert job.ended_at is not None
        with self.connection.pipeline() as pipe:
            self.increment_successful_job_count(pipeline=pipe)
            self.increment_total_working_time(job.ended_at - job.started_at, pipe)
            self.cleanup_execution(job, pipeline=pipe, execution=execution)
            executions = ExecutionRegistry(job.id, self.connection)
            failures = Result.get_key(job.id)  # type: ignore[no-untyped-call]
            pipe.delete(job.key, job.dependents_key, job.dependencies_key, executions.key, failures)
            pipe.execute()

    def _sign_of_life(self) -> None:
        client = self._sign_client()
        where = f"{socket.gethostname()}:{os.getpid()}"
        while True:
            try:
                with client.pipeline(transaction=False) as pipe:
                    for queue in self.queues:
                        pipe.set(alive_key(queue.name, self.name), where, ex=ALIVE_SECONDS)
                        # Added again each time, because a Redis that lost its data would not know the worker any more.
                        pipe.sadd(workers_key(queue.name), self.key)
                    pipe.execute()
            except redis.RedisError as error:
                logger.warning("no sign of life given: %s", error)
            if self._stop_sign.wait(ALIVE_EVERY_SECONDS):
                break
        try:
            with client.pipeline(transaction=False) as pipe:
                for queue in self.queues:
                    pipe.delete(alive_key(queue.name, self.name))
                    pipe.srem(workers_key(queue.name), self.key)
                pipe.execute()
        except redis.RedisError:
            logger.debug("sign of life left to lapse")
        client.close()
