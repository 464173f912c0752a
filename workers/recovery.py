"""Puts a dead worker's batches back to work at once. RQ's own recovery took 66 s with its shortest settings."""

from __future__ import annotations

import logging
import time

import redis
from rq import Queue
from rq.executions import Execution, ExecutionRegistry

from booking_lane.alive import alive_workers
from booking_lane.lane import rq_queue
from booking_lane.listed_jobs import fetch_jobs
from workers.setbacks import Setbacks

logger = logging.getLogger(__name__)

IN_TRANSIT_SECONDS = 2.0
"""A live worker moves a job from the intermediate queue to the started ones well within this time."""


class Recovery:
    """Puts the jobs of workers that give no sign of life back at the front of their queue, in their order.

    It is safe to run anywhere and at any time: a job that is put back twice is applied once, because its outcomes are
    recorded.

    Args:
        setbacks: decides what is done with a batch whose worker died while it worked on it.
    """

    def __init__(self, client: redis.Redis, setbacks: Setbacks) -> None:
        self._client = client
        self._setbacks = setbacks
        self._first_seen: dict[str, float] = {}

    def recover(self, queue_name: str) -> int:
        """Put back the jobs of ``queue_name`` whose worker is dead, and return their number.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        queue = rq_queue(self._client, queue_name)
        alive = alive_workers(self._client, queue_name)
        registry = queue.started_job_registry
        lost: dict[str, list[Execution]] = {}
        started: set[str] = set()
        for job_id, execution_id in registry.get_job_and_execution_ids(cleanup=False):
            started.add(job_id)
            try:
                execution = Execution.fetch(execution_id, job_id, self._client)
            except ValueError:  # The job or its lease ended meanwhile.
                execution = Execution(execution_id, job_id, self._client)
                if alive and self._is_young(f"{job_id}:{execution_id}"):
                    continue
            if execution.worker_name not in alive:
                lost.setdefault(job_id, []).append(execution)
        transit = queue.intermediate_queue.get_job_ids()
        for job_id in transit:
            if job_id not in started and not (alive and self._is_young(job_id)):
                lost.setdefault(job_id, [])
        self._forget_gone({*transit})
        back = sum(self._put_back(queue, job_id, lost[job_id]) for job_id in reversed(lost))
        if back:
            logger.warning("%s: %d batches of a dead worker put back to work", queue_name, back)
        return back

    def _put_back(self, queue: Queue, job_id: str, executions: list[Execution]) -> bool:
        """Put the job back in one MULTI, so that no batch is lost if this process dies meanwhile."""
        job = fetch_jobs(self._client, [job_id])[0]
        with self._client.pipeline() as pipe:
            if job is not None:
                # A job that was taken but not begun cannot have killed the worker.
                self._setbacks.put_back(queue, job, pipe, counts=bool(executions), at_front=True)
            for execution in executions:
                pipe.zrem(queue.started_job_registry.key, execution.composite_key)
                pipe.delete(execution.key)
                pipe.srem(execution.worker_executions_key, execution.composite_key)
                # RQ fetches every execution of a job that it deletes, and fails where one is missing.
                ExecutionRegistry(job_id, self._client).remove(execution, pipe)
            pipe.lrem(queue.intermediate_queue_key, 0, job_id)
            pipe.delete(queue.intermediate_queue.get_first_seen_key(job_id))
            pipe.execute()
        return job is not None

    def _is_young(self, entry: str) -> bool:
        first = self._first_seen.setdefault(entry, time.monotonic())
        return time.monotonic() - first < IN_TRANSIT_SECONDS

    def _forget_gone(self, present: set[str]) -> None:
        now = time.monotonic()
        for entry, first in list(self._first_seen.items()):
            if entry not in present and now - first > 10 * IN_TRANSIT_SECONDS:
                del self._first_seen[entry]
