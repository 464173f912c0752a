"""Limits per minute of a network, which all gateways count together."""

from __future__ import annotations

from redis import asyncio as aioredis

from gateway.wire.problems import ProblemError
from waiting_room.limits import allow


class RateLimits:
    """Counts what networks ask for. A network is an address prefix, or another name that stands for one."""

    def __init__(self, line_redis: aioredis.Redis) -> None:
        self._redis = line_redis

    async def count(self, name: str, network: str, per_minute: int) -> int:
        """Count one ``name`` (join, for example) of the network; how many there were in the last minute, with this one.

        Raises:
            ProblemError: ``rate_limited``, and this one is not counted.
            redis.RedisError
        """
        allowance = await allow(self._redis, name, network, per_minute)
        if not allowance.allowed:
            raise ProblemError("rate_limited", retry_after_seconds=max(1, allowance.retry_after_seconds))
        return allowance.used
