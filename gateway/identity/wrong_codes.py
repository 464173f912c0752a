"""Bounds how many wrong codes a fan and an address prefix may try: access codes and vouchers, each for themselves.

Only wrong ones count, because many fans with right codes may come from one network at the same moment.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis import asyncio as aioredis

from gateway.identity.limits import over
from waiting_room.limits import Allowance, allow

FAN_WRONG_PER_MINUTE: Final = 10


class WrongCodes:
    """Counts the wrong codes of one kind.

    Args:
        kind: what they are counted as, for example ``voucher``.
        per_minute: how many an address prefix may try in a minute.
    """

    def __init__(self, line_redis: aioredis.Redis, kind: str, per_minute: int) -> None:
        self._redis = line_redis
        self._kind = kind
        self._per_minute = per_minute

    async def allowance(self, fan: int, prefix: str) -> Allowance:
        """Whether the fan, at this address prefix, may try one more code. This call itself is not counted.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        return await self._ask(fan, prefix, count=0)

    async def refuse_too_many(self, fan: int, prefix: str) -> None:
        """Refuse a try before its code is looked at.

        Raises:
            ProblemError: ``too_many_codes``.
            redis.RedisError: Redis does not answer.
        """
        require_allowed(await self.allowance(fan, prefix))

    async def count(self, fan: int, prefix: str) -> None:
        """Count a code that turned out to be wrong.

        Raises:
            ProblemError: ``too_many_codes``, where it is one too many.
            redis.RedisError: Redis does not answer.
        """
        require_allowed(await self._ask(fan, prefix, count=1))

    async def _ask(self, fan: int, prefix: str, *, count: int) -> Allowance:
        """The allowance of the fan or of the prefix, whichever is stricter, read in one round trip."""
        of_fan, of_prefix = await asyncio.gather(
            allow(self._redis, self._kind, f"fan:{fan}", FAN_WRONG_PER_MINUTE, count=count),
            allow(self._redis, self._kind, prefix, self._per_minute, count=count),
        )
        return of_prefix if of_fan.allowed else of_fan


def require_allowed(allowance: Allowance) -> None:
    """Raise ``too_many_codes`` unless it allows one more.

    Raises:
        ProblemError: ``too_many_codes``.
    """
    if not allowance.allowed:
        raise over("too_many_codes", allowance)
