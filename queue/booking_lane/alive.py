"""Signs of life: each worker writes one twice a second, and gateways read how old it is."""

from __future__ import annotations

from typing import Final, cast

import redis
from rq.worker import BaseWorker
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

ALIVE_SECONDS: Final = 3
"""A worker that wrote no sign for this long counts as dead, and its batches are put back into the queue."""
ALIVE_EVERY_SECONDS: Final = 0.5


def alive_key(queue: str, worker: str) -> str:
    """The key of a worker's sign of life, which expires `ALIVE_SECONDS` after the last sign."""
    return f"booking:alive:{queue}:{worker}"


def workers_key(queue: str) -> str:
    """The key of RQ's set of the workers that registered for the queue. It may contain dead ones."""
    return str(WORKERS_BY_QUEUE_KEY % queue)


def worker_name(member: bytes) -> str:
    """The name of a worker from a member of `workers_key`."""
    return member.decode().removeprefix(BaseWorker.redis_worker_namespace_prefix)


def silent_seconds(pttl_ms: int) -> float | None:
    """How long ago the sign was written, from the remaining life of its key in ms; None if there is no key."""
    return None if pttl_ms < 0 else ALIVE_SECONDS - pttl_ms / 1000


def worker_names(client: redis.Redis, queue: str) -> list[str]:
    """Names of the workers that registered for the queue, in their order. Some may be dead.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    return sorted(worker_name(member) for member in cast(set[bytes], client.smembers(workers_key(queue))))


def alive_workers(client: redis.Redis, queue: str) -> set[str]:
    """Names of the queue's workers that gave a sign of life within `ALIVE_SECONDS`.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    names = worker_names(client, queue)
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.exists(alive_key(queue, name))
        return {name for name, alive in zip(names, pipe.execute(), strict=True) if alive}
