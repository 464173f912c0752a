"""Access codes at the door: a fan redeems one, and then joins the line in the priority class.

Postgres is the truth of what is redeemed, and is told first: should the join fail after it, the fan's next try finds
the code redeemed by them, and uses up nothing. Wrong codes are counted, by fan and by address prefix, not the right
ones: many fans with codes come from one network at one moment.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from db.codes.access_codes import CodeRefusedError, redeem
from gateway.wire.problems import ProblemError
from waiting_room.access import CodeHasher
from waiting_room.limits import allow

LIMIT: Final = "code"
FAN_WRONG_PER_MINUTE: Final = 10
REDEEMING_MAX: Final = 4
"""Connections to Postgres in use for it: fans of one code wait for one row."""
WAITING_MAX: Final = 1000
WAITING_RETRY_SECONDS: Final = 2


class AccessCodes:
    """Redeems codes.

    Args:
        wrong_per_minute: unknown codes tried per address prefix.
    """

    def __init__(self, engine: AsyncEngine, line_redis: aioredis.Redis, secret: str, wrong_per_minute: int) -> None:
        self.hasher = CodeHasher(secret)
        self._engine = engine
        self._redis = line_redis
        self._wrong_per_minute = wrong_per_minute
        self._turns = asyncio.Semaphore(REDEEMING_MAX)
        self._waiting = 0

    async def redeem(self, event_id: int, fan: int, prefix: str, code: str) -> None:
        """The fan has redeemed the code, now or before.

        Raises:
            ProblemError: ``code_unknown``, ``code_used``, ``code_not_yet`` or ``code_expired``, and nothing was
                changed; ``too_many_codes`` after so many wrong ones; ``unavailable`` where too many redeem at once.
        """
        await self._try(fan, prefix, count=False)
        if self._waiting >= WAITING_MAX:
            raise ProblemError("unavailable", retry_after_seconds=WAITING_RETRY_SECONDS)
        self._waiting += 1
        try:
            async with self._turns:
                # Others of theirs may have been told wrong while this one waited, as many as there is room for.
                await self._try(fan, prefix, count=False)
                await self._redeem(event_id, fan, prefix, code)
        finally:
            self._waiting -= 1

    async def _redeem(self, event_id: int, fan: int, prefix: str, code: str) -> None:
        try:
            async with self._engine.begin() as connection:
                await redeem(connection, event_id, fan, self.hasher.hash(event_id, code))
        except CodeRefusedError as refused:
            if refused.code == "code_unknown":
                await self._try(fan, prefix, count=True)
            window: dict[str, Any] = {} if refused.at is None else {"at": refused.at.isoformat()}
            raise ProblemError(refused.code, **window) from None

    async def _try(self, fan: int, prefix: str, *, count: bool) -> None:
        for key, per_minute in ((f"fan:{fan}", FAN_WRONG_PER_MINUTE), (prefix, self._wrong_per_minute)):
            allowance = await allow(self._redis, LIMIT, key, per_minute, count=count)
            if not allowance.allowed:
                raise ProblemError("too_many_codes", retry_after_seconds=max(1, allowance.retry_after_seconds))
