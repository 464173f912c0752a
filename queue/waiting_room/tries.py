"""Tries at a secret, such as an operator's password: each wrong one makes the next wait longer, at all gateways."""

from __future__ import annotations

import hashlib
import math
from typing import Final, NamedTuple

from redis import asyncio as aioredis

from .keys import tries_keys
from .scripts import run

FREE_TRIES: Final = 5
DELAY_SECONDS_MAX: Final = 900
REMEMBERED_SECONDS: Final = 24 * 3600
FIRST_NETWORKS_MAX: Final = 40
"""So many networks have a first try of a secret in a window, although the tries of others are delayed. They are so many
guesses more, and so many networks at least an attacker needs to lock an owner out who comes from a new one.
"""
FIRST_WINDOW_SECONDS: Final = 3600


class Try(NamedTuple):
    """Whether a try may be made; if not, in how many seconds the next one may.

    ``is_first`` is whether the tries of others are delayed, and this one is its network's first.
    """

    allowed: bool
    retry_after_seconds: int
    is_first: bool = False


async def take_try(client: aioredis.Redis, whose: str, network: str = "") -> Try:
    """Count a try at the secret of ``whose``, before it is known whether it is right: tries that are made at the same
    time must not all be free. `forgive` takes it back.

    Args:
        network: has a first try, if it is named.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    args = (
        *(FREE_TRIES, DELAY_SECONDS_MAX * 1000, REMEMBERED_SECONDS * 1000),
        *(_hashed(network) if network else "", FIRST_NETWORKS_MAX, FIRST_WINDOW_SECONDS * 1000),
    )
    allowed, wait_ms, is_first = await run(client, "try", _keys(whose), args)
    return Try(bool(allowed), math.ceil(wait_ms / 1000), bool(is_first))


async def forgive(client: aioredis.Redis, whose: str) -> None:
    """Forget all tries: the last one was right."""
    await client.delete(*_keys(whose))


async def forgive_first(client: aioredis.Redis, whose: str, network: str) -> None:
    """Forget the first try of a network, which was right. The tries of others stay delayed."""
    await client.srem(_keys(whose)[1], _hashed(network))


def _keys(whose: str) -> tuple[str, str]:
    return tries_keys(_hashed(whose))


def _hashed(name: str) -> str:
    # A name is as long as a client likes, and nobody who reads Redis need learn it.
    return hashlib.sha256(name.encode()).hexdigest()[:32]
