"""Signs of life: a lane's workers give one several times a second, and whoever asks reads how old it is."""

from __future__ import annotations

from typing import Final

from rq.worker import BaseWorker
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

ALIVE_SECONDS: Final = 3
"""A worker that was silent for so long is taken for dead, and its batches are put back to work."""
ALIVE_EVERY_SECONDS: Final = 0.5


def alive_key(queue: str, worker: str) -> str:
    """Lives `ALIVE_SECONDS` from the worker's last sign on."""
    return f"booking:alive:{queue}:{worker}"


def workers_key(queue: str) -> str:
    """RQ's set of the workers that registered for the queue, dead ones among them."""
    return str(WORKERS_BY_QUEUE_KEY % queue)


def worker_name(member: bytes) -> str:
    """The name of a worker from a member of `workers_key`."""
    return member.decode().removeprefix(BaseWorker.redis_worker_namespace_prefix)


def silent_seconds(pttl_ms: int) -> float | None:
    """How long ago the sign was given, from what is left of its key in milliseconds; None without the key."""
    return None if pttl_ms < 0 else ALIVE_SECONDS - pttl_ms / 1000
