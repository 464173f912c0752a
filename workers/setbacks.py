"""Decides what is done with a job after a setback: its worker died, or it failed.

A batch is put back to work as it is. After a number of setbacks each of its commands is sent alone, so that a command
which kills its worker does not take the others with it. A command that is alone and meets one more setback is given up:
it fails. An outage of Postgres or Redis is no setback, because it is not the batch's fault.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import redis
from redis.client import Pipeline
from rq import Queue
from rq.job import Job, JobStatus
from rq.results import Result

from booking_lane.commands import Batch, command_id_new, decode_batch, encode_batch
from booking_lane.lane import BOOK, FAILED_KEPT_SECONDS, GIVE_UP, job_data, rq_queue
from booking_lane.listed_jobs import fetch_jobs
from workers.engine.engine import OutageError

logger = logging.getLogger(__name__)

FAILED_SEEN_MAX: Final = 1000
SETBACKS: Final = "setbacks"
_OUTAGES: Final = (f"{OutageError.__module__}.{OutageError.__qualname__}", "redis.exceptions.")
"""The last line of a traceback begins with one of these texts if an outage was the cause."""


class Setbacks:
    """Decides what becomes of a job after a setback.

    Args:
        client: the jobs' Redis, bytes in and out.
        setbacks_max: how many times a batch is tried as a whole.
    """

    def __init__(self, client: redis.Redis, setbacks_max: int) -> None:
        self._client = client
        self._setbacks_max = setbacks_max

    def with_failed(self, queue_names: Sequence[str]) -> list[str]:
        """Those of the queues that have failed jobs, found in one round trip.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        with self._client.pipeline(transaction=False) as pipe:
            for name in queue_names:
                pipe.zcard(rq_queue(self._client, name).failed_job_registry.key)
            return [name for name, failed in zip(queue_names, pipe.execute(), strict=True) if failed]

    def retry_failed(self, queue_name: str) -> int:
        """Put the queue's failed batches back to work, and return their number. The caller knows that Postgres answers.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        queue = rq_queue(self._client, queue_name)
        failed = queue.failed_job_registry
        ids = failed.get_job_ids(0, FAILED_SEEN_MAX - 1, desc=True, cleanup=False)
        back = 0
        for job in fetch_jobs(self._client, ids):
            if job is None or _batch_of(job) is None:
                continue
            counts = not _is_outage(job)
            if counts and self._is_given_up(job):
                continue
            with self._client.pipeline() as pipe:
                self.put_back(queue, job, pipe, counts=counts)
                pipe.zrem(failed.key, job.id)
                pipe.execute()
            back += 1
        if back:
            logger.warning("%s: %d failed batches put back to work", queue_name, back)
        return back

    def put_back(self, queue: Queue, job: Job, pipe: Pipeline, *, counts: bool, at_front: bool = False) -> None:
        """Add the commands that put the job back to ``pipe``, which must still be empty.

        Args:
            counts: False where the setback was not the job's fault.
        """
        if not counts:
            queue.enqueue_job(job, pipeline=pipe, at_front=at_front)
            return
        setbacks = int(job.meta.get(SETBACKS, 0)) + 1
        batch = _batch_of(job)
        if setbacks < self._setbacks_max:
            job.meta[SETBACKS] = setbacks
            queue.enqueue_job(job, pipeline=pipe, at_front=at_front)
        elif batch is None or self._is_given_up(job):
            logger.error("job %s (%s) met %d setbacks and is left among the failed", job.id, job.description, setbacks)
            job.set_status(JobStatus.FAILED, pipeline=pipe)
            queue.failed_job_registry.add(job, ttl=FAILED_KEPT_SECONDS, exc_string="its workers died", pipeline=pipe)
        else:
            logger.error("batch %s met %d setbacks: %d commands go alone", job.id, setbacks, len(batch.commands))
            self._part(queue, batch, pipe, at_front=at_front)
            pipe.delete(job.key, Result.get_key(job.id))  # type: ignore[no-untyped-call]

    def _part(self, queue: Queue, batch: Batch, pipe: Pipeline, *, at_front: bool) -> None:
        alone = len(batch.commands) == 1
        parts = [
            job_data(
                GIVE_UP if alone else BOOK,
                encode_batch(Batch(command_id_new(), batch.origin, batch.lane, (command,), batch.trace)),
                description="1 command" + (", given up" if alone else " of a batch that met setbacks"),
                meta={SETBACKS: 0 if alone else self._setbacks_max - 1},
                at_front=at_front,
            )
            for command in batch.commands
        ]
        queue.enqueue_many(reversed(parts) if at_front else parts, pipeline=pipe)

    def _is_given_up(self, job: Job) -> bool:
        return job.func_name == GIVE_UP and int(job.meta.get(SETBACKS, 0)) >= self._setbacks_max - 1


def _batch_of(job: Job) -> Batch | None:
    """The job's batch; None for a job that holds none."""
    try:
        if job.func_name not in (BOOK, GIVE_UP):
            return None
        return decode_batch(job.args[0])
    except Exception as error:
        logger.debug("job %s is no batch: %s", job.id, error)
        return None


def _is_outage(job: Job) -> bool:
    result = job.latest_result()
    lines = (result.exc_string if result is not None and result.exc_string else "").strip().splitlines()
    return any(line.startswith(_OUTAGES) for line in lines[-1:])
