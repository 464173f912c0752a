"""A lane: one RQ queue whose single worker applies the batches of its events one after another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import msgspec
import redis
from redis.client import Pipeline
from rq import Queue
from rq.job import Retry
from rq.queue import EnqueueData

from booking_lane import tracing
from booking_lane.coalescer import Taken
from booking_lane.commands import KINDS, Batch, encode_batch
from booking_lane.gathering import GatheringRedis
from booking_lane.listed_jobs import ListedJob
from booking_lane.results import JobRecord, keep
from booking_lane.serializer import MsgpackSerializer

BOOK: Final = "workers.jobs.book"
"""The path of the job that applies a batch. It is a text, because a gateway never imports workers."""
GIVE_UP: Final = "workers.jobs.give_up"
"""The path of the job that ends the commands of a batch that failed too often."""
HAND_OVER: Final = "workers.jobs.hand_over"
"""The path of the job that says that its lane has applied all that came before the job (`booking_lane.lane_map`)."""

REVISION_KEY: Final = "lanes:revision"
"""The revision of the map of lanes, which gateways read with each batch that they send."""

HOUSEKEEPING_QUEUE: Final = "housekeeping"
"""The queue of the recurring jobs, which book nothing."""
MESSAGES_QUEUE: Final = "messages"
"""The queue of the jobs that tell fans, which no booking waits for."""

REDIS_VERSION_LEAST: Final = (7, 0, 0)
"""RQ asks the server's version of a queue that has none, to learn which commands it may use."""
JOB_SECONDS_MAX: Final = 60
FAILED_KEPT_SECONDS: Final = 86_400
TRIES_AGAIN_MAX: Final = 2


def lane_of(event_id: int, lanes: int) -> int:
    """The lane of an event that was not given one of its own (`booking_lane.lane_map`)."""
    return event_id % lanes


def queue_name(lane: int) -> str:
    return f"lane-{lane}"


def rq_queue(client: redis.Redis, name: str) -> Queue:
    """An RQ queue that speaks msgpack and whose jobs run listed functions only."""
    queue = Queue(name, connection=client, job_class=ListedJob, serializer=MsgpackSerializer)
    queue.redis_server_version = REDIS_VERSION_LEAST
    return queue


def job_data(
    function: str, payload: bytes, *, description: str, meta: dict[str, int], at_front: bool = False
) -> EnqueueData:
    """The data from which `rq.Queue.enqueue_many` makes a batch's job."""
    return Queue.prepare_data(
        function,
        args=[payload],
        timeout=JOB_SECONDS_MAX,
        result_ttl=0,
        failure_ttl=FAILED_KEPT_SECONDS,
        description=description,
        at_front=at_front,
        meta=meta,
        retry=Retry(max=TRIES_AGAIN_MAX),
    )


def hand_over_data(lane: int, revision: int) -> EnqueueData:
    """The data of a lane's hand-over job."""
    return Queue.prepare_data(
        HAND_OVER,
        args=[lane, revision],
        timeout=JOB_SECONDS_MAX,
        result_ttl=0,
        failure_ttl=FAILED_KEPT_SECONDS,
        description=f"hand over before revision {revision}",
    )


class Lane:
    """Puts batches on a lane's RQ queue. Synchronous, as RQ's client is; an event loop has an `AsyncLane`.

    Args:
        client: the jobs' Redis, bytes in and out.
        number: 0 … lanes − 1.
        result_ttl_seconds: how long a command's marker lives.
    """

    def __init__(self, client: redis.Redis, number: int, result_ttl_seconds: int) -> None:
        self._client = client
        self._batches = _Batches(client, number, result_ttl_seconds)

    def enqueue(self, batch: Batch) -> Taken:
        """Write the RQ job, and for each command the marker by which the API finds its job, in one MULTI.

        Raises:
            redis.RedisError: Redis did not take the batch, or did not answer in time.
        """
        with tracing.tracer.enqueueing(batch) as trace, self._client.pipeline(transaction=True) as pipe:
            self._batches.gather(batch, trace, pipe)
            return _taken(pipe.execute())


class AsyncLane:
    """A `Lane` for an event loop. A batch leaves in the midst of what the loop does; a thread that shall send it waits
    until the loop lets it run.

    Args:
        client: asks the jobs' Redis.
    """

    def __init__(self, client: GatheringRedis, number: int, result_ttl_seconds: int) -> None:
        self._client = client
        # RQ's commands are gathered by a client of the kind that RQ takes. It never connects.
        self._gatherer = redis.Redis()
        self._batches = _Batches(self._gatherer, number, result_ttl_seconds)

    def enqueue(self, batch: Batch) -> asyncio.Future[Taken]:
        """As `Lane.enqueue`. The batch has left when this returns, unless the connection must be opened first.

        Raises:
            redis.RedisError: (the future) see `Lane.enqueue`.
        """
        with ExitStack() as span:
            trace = span.enter_context(tracing.tracer.enqueueing(batch))
            with self._gatherer.pipeline(transaction=True) as pipe:
                self._batches.gather(batch, trace, pipe)
                commands = [command for command, _ in pipe.command_stack]
            answer = self._client.ask_in_multi(commands, _taken)
            answer.add_done_callback(partial(_end, span.pop_all()))
        return answer


class _Batches:
    """Makes the commands that put batches on a lane."""

    def __init__(self, client: redis.Redis, number: int, result_ttl_seconds: int) -> None:
        self._client = client
        self._queue = rq_queue(client, queue_name(number))
        self._result_ttl_seconds = result_ttl_seconds

    def gather(self, batch: Batch, trace: str, pipe: Pipeline) -> None:
        if trace:
            batch = msgspec.structs.replace(batch, trace=trace)
        job = ListedJob.create(
            BOOK,
            args=[encode_batch(batch)],
            connection=self._client,
            id=str(batch.batch_id),
            description=f"{len(batch.commands)} commands",
            timeout=JOB_SECONDS_MAX,
            result_ttl=0,
            failure_ttl=FAILED_KEPT_SECONDS,
            retry=Retry(max=TRIES_AGAIN_MAX),
            serializer=MsgpackSerializer,
        )
        markers = {
            command.command_id: JobRecord(
                command.user_id, command.event_id, KINDS[type(command)], command.body_hash, queued=True
            )
            for command in batch.commands
            if command.is_recorded
        }
        # This call comes first, because RQ begins the transaction in it, and takes only an empty pipeline.
        self._queue.enqueue_job(job, pipeline=pipe)
        keep(pipe, markers, self._result_ttl_seconds)
        pipe.llen(self._queue.key)
        pipe.get(REVISION_KEY)
        pipe.time()


def _taken(replies: Sequence[Any]) -> Taken:
    for failed in replies:
        if isinstance(failed, Exception):
            raise failed
    *_, queued, revision, (seconds, micros) = replies
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    map_revision = None if revision is None else int(revision)
    return Taken(now_ms - time.monotonic_ns() // 1_000_000, int(queued), map_revision)


def _end(span: ExitStack, _: asyncio.Future[Taken]) -> None:
    span.close()
