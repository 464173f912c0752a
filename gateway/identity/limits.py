"""Limits how many requests a network may send in a minute; all gateways count together."""

from __future__ import annotations

from typing import Final

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from db.shards import is_cluster
from gateway.identity.sightings import JOIN, SESSION, Sightings
from gateway.wire.problems import ProblemError, limited
from waiting_room.limits import Allowance, Allowances, allow, stand_proof

JOINS: Final = "join"
WINDOW_SECONDS: Final = 60
SEEN: Final = {"session": SESSION, "page": SESSION, JOINS: JOIN}
"""Of these limits' requests operators see how many came from where."""

FREE_WHEN_AWAY: Final = frozenset((JOINS, "session", "page", "challenge", "draw"))
"""What fans need on their way into a line. In a cluster a network's counter may be at a server that is away while the
room's is not. The request is taken uncounted then, or an outage of one server would be felt in every room.
"""


def over(code: str, allowance: Allowance, detail: str | None = None) -> ProblemError:
    """The problem of a request that was not allowed."""
    return limited(
        code,
        detail,
        policy=allowance.name,
        most=allowance.most,
        window_seconds=allowance.window_seconds,
        retry_after_seconds=allowance.retry_after_seconds,
    )


class RateLimits:
    """Counts the requests of networks. A network is an address prefix, or another name that stands for one.

    Args:
        seen: is told of sessions and joins, and of what was refused.
    """

    def __init__(self, line_redis: aioredis.Redis, seen: Sightings) -> None:
        self._redis = line_redis
        self.seen = seen
        self._counting: dict[tuple[str, int], Allowances] = {}

    async def count(self, name: str, network: str, per_minute: int) -> int:
        """Count a request called ``name`` (for example join) of the network.

        Returns:
            How many such requests the network sent in the last minute, this one included.

        Raises:
            ProblemError: ``rate_limited``; this request is not counted then.
            redis.RedisError: Redis does not answer.
        """
        allowance = await self.take(name, network, per_minute)
        self.refuse(allowance)
        return allowance.used

    async def take(self, name: str, network: str, per_minute: int) -> Allowance:
        """Count a request called ``name`` of the network if it is allowed, and say whether it is.

        Raises:
            redis.RedisError: Redis does not answer, and the request is none of `FREE_WHEN_AWAY` at a cluster.
        """
        counting = self._counting.get((name, per_minute))
        if counting is None:
            counting = self._counting[name, per_minute] = Allowances(self._redis, name, per_minute)
        try:
            allowance = await counting.count(network)
        except RedisError:
            if name not in FREE_WHEN_AWAY or not is_cluster(self._redis):
                raise
            allowance = Allowance(True, 0, 1, name, per_minute, WINDOW_SECONDS)
        if name in SEEN:
            self.seen.note(network, SEEN[name] if allowance.allowed else "rate_limited")
        return allowance

    async def give_back(self, name: str, network: str) -> None:
        """Take back a request that was counted.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        if name in SEEN:
            self.seen.note(network, SEEN[name], -1)
        try:
            await allow(self._redis, name, network, 1, count=-1)
        except RedisError:
            if name not in FREE_WHEN_AWAY or not is_cluster(self._redis):
                raise

    @staticmethod
    def refuse(allowance: Allowance) -> None:
        """Return if the request was allowed.

        Raises:
            ProblemError: ``rate_limited``.
        """
        if not allowance.allowed:
            raise over("rate_limited", allowance)

    async def stand_proof(self, event_id: int, user_id: int, seconds: int) -> None:
        """Record that the fan proved to be a person at this event, for so long.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        await stand_proof(self._redis, event_id, user_id, seconds)
