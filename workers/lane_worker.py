"""RQ's SimpleWorker on one lane, with a sign of life: when it stops, the worker is known to be dead within seconds."""

from __future__ import annotations

import datetime as dt
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
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.results import Result
from rq.worker import WorkerStatus

from booking_lane.alive import ALIVE_EVERY_SECONDS, ALIVE_SECONDS, alive_key, workers_key
from booking_lane.as_one import run_as_one
from booking_lane.lane import BOOK, JOB_SECONDS_MAX
from booking_lane.listed_jobs import ListedJob

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY_SECONDS = 1.0
SUSPENSION_EVERY_SECONDS = 1.0
WORKER_TTL_SECONDS = 30
MAINTENANCE_SECONDS = 60


def _taking(take: Callable[[str], tuple[Job, Queue] | None]) -> type[Queue]:
    """RQ's queue, which takes jobs by ``take``."""

    class Taking(Queue):
        @classmethod
        def _fetch_dequeued_job(  # type: ignore[override]  # RQ passes what is left out here by name
            cls, connection: redis.Redis, queue_key: str, job_id: str, **kwargs: Any
        ) -> tuple[Job, Queue] | None:
            return take(job_id)

    return Taking


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
        self.queue_class = _taking(self._take)
        self.log_job_description = False
        self._begun: Execution | None = None
        self._sign_client = sign
        self._stop_sign = threading.Event()
        self._beat_at = float("-inf")
        self._suspension_seen_at = float("-inf")

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

    def _shutdown(self) -> None:
        """Remember the stop, as RQ itself does while a worker is busy. An idle one is stopped by what is raised in the
        signal's handler; where that comes while redis-py notes a command's figures, redis-py catches it.
        """
        self._stop_requested = True
        super()._shutdown()  # type: ignore[no-untyped-call]

    def set_shutdown_requested_date(self) -> None:
        """Do nothing: RQ would ask Redis from within a signal handler, while a batch may be using the connection."""

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Send RQ's heartbeat once a second at most. RQ itself would send it with nine round trips for each job."""
        now = time.monotonic()
        if pipeline is None and now - self._beat_at < HEARTBEAT_EVERY_SECONDS:
            return
        self._beat_at = now
        super().heartbeat(timeout, pipeline)

    def check_for_suspension(self, burst: bool) -> None:
        """Ask once a second at most whether ``rq suspend`` was called. RQ itself would ask before each job."""
        now = time.monotonic()
        if now - self._suspension_seen_at >= SUSPENSION_EVERY_SECONDS:
            self._suspension_seen_at = now
            super().check_for_suspension(burst)

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Write the worker's state where it is another one. RQ itself would write ``idle`` twice between two jobs."""
        if pipeline is not None or state != self.get_state():
            super().set_state(state, pipeline)

    def _take(self, job_id: str) -> tuple[Job, Queue] | None:
        """Read a job of our queue that was taken, and begin it, in one round trip; None if the job is gone. RQ itself
        needs three, which each command of a batch waits for.
        """
        (queue,) = self.queues
        job = self.job_class(job_id, connection=self.connection, serializer=self.serializer)
        # What is not read yet: all our jobs have this time limit.
        job.origin, job.timeout = queue.name, JOB_SECONDS_MAX
        with self.connection.pipeline() as pipe:
            pipe.hgetall(job.key)
            self._begun = self._begin(job, pipe)
            stored = iter(run_as_one(self.connection, pipe))
        fields = dict(zip(stored, stored, strict=True))
        if not fields:
            with self.connection.pipeline() as pipe:
                self.cleanup_execution(job, pipeline=pipe, execution=self._begun)
                pipe.delete(job.key)
                pipe.execute()
            self._begun = None
            return None
        job.restore(fields)
        job.worker_name = self.name
        job._status = JobStatus.STARTED
        return job, queue

    def _begin(self, job: Job, pipe: Pipeline) -> Execution:
        ttl = self.get_heartbeat_ttl(job)
        execution = Execution.create(job, ttl, pipeline=pipe, worker_name=self.name)
        self.executions[execution.id] = execution
        self.set_state(WorkerStatus.BUSY, pipeline=pipe)
        self.heartbeat(ttl, pipeline=pipe)
        job.prepare_for_execution(self.name, pipeline=pipe)
        pipe.persist(job.key)
        for queue in self.queues:
            pipe.lrem(queue.intermediate_queue_key, 1, job.id)
        return execution

    def prepare_execution(self, job: Job) -> Execution:
        """The execution of a job that `_take` has begun."""
        execution, self._begun = self._begun, None
        assert execution is not None
        assert execution.job_id == job.id
        return execution

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """Do nothing: `_take` has done it."""

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        """Note the end of a batch's job. RQ itself would write a last heartbeat into the job, which is deleted next."""
        if job.func_name == BOOK and job.get_status(refresh=False) != JobStatus.FAILED:
            job.ended_at = dt.datetime.now(dt.UTC)
        else:
            super().handle_execution_ended(job, queue, heartbeat_ttl)

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
            self.set_state(WorkerStatus.IDLE, pipeline=pipe)
            run_as_one(self.connection, pipe)

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
