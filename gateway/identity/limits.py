"""Limits how many requests a network may send in a minute; all gateways count together."""

from __future__ import annotations

from redis import asyncio as aioredis

from gateway.wire.problems import ProblemError
from waiting_room.limits import allow


class RateLimits:
    """Counts the requests of networks. A network is an address prefix, or another name that stands for one."""

    def __init__(self, line_redis: aioredis.Redis) -> None:
        self._redis = line_redis

    async def count(self, name: str, network: str, per_minute: int) -> int:
        """Count a request called ``name`` (for example join) of the network.

        Returns:
            How many such requests the network sent in the last minute, this one included.

        Raises:
            ProblemError: ``rate_limited``; this request is not counted then.
            redis.RedisError: Redis does not answer.
        """
        allowance = await allow(self._redis, name, network, per_minute)
        if not allowance.allowed:
            raise ProblemError("rate_limited", retry_after_seconds=max(1, allowance.retry_after_seconds))
        return allowance.used
