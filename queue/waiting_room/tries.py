"""Tries at a secret, such as an operator's password: each wrong one makes the next wait longer, at all gateways."""

from __future__ import annotations

import hashlib
import math
from typing import Final, NamedTuple

from redis import asyncio as aioredis

from .keys import tries_key
from .scripts import run

FREE_TRIES: Final = 5
DELAY_SECONDS_MAX: Final = 900
REMEMBERED_SECONDS: Final = 24 * 3600


class Try(NamedTuple):
    """Whether a try may be made; if not, in how many seconds the next one may."""

    allowed: bool
    retry_after_seconds: int


async def take_try(client: aioredis.Redis, whose: str) -> Try:
    """Count a try at the secret of ``whose``, before it is known whether it is right: tries that are made at the same
    time must not all be free. `forgive` takes it back.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    args = (FREE_TRIES, DELAY_SECONDS_MAX * 1000, REMEMBERED_SECONDS * 1000)
    allowed, wait_ms, _ = await run(client, "try", (_key(whose),), args)
    return Try(bool(allowed), math.ceil(wait_ms / 1000))


async def forgive(client: aioredis.Redis, whose: str) -> None:
    """Forget all tries: the last one was right."""
    await client.delete(_key(whose))


def _key(whose: str) -> str:
    # A name is as long as a client likes, and nobody who reads Redis need learn it.
    return tries_key(hashlib.sha256(whose.encode()).hexdigest()[:32])
