"""The pace of a provider: so many tries a second, of all worker pools together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from importlib.resources import files
from typing import Final

import redis.asyncio
from redis.exceptions import RedisError

from workers.messages.waiting import Waiting

TAKEN_SECONDS: Final = 0.1
"""A process takes the moments of so long at once, so that Redis is not asked for each message."""
_TEXT: Final = files(__package__).joinpath("pace.lua").read_text()


class Pace:
    """Spreads tries evenly; the next moment is that of the most urgent message that waits. While Redis is away, a
    process keeps the pace by itself.

    Args:
        name: the provider's.
    """

    def __init__(self, client: redis.asyncio.Redis, name: str, per_second: float) -> None:
        self._script = client.register_script(_TEXT)
        self._key = f"message:pace:{name}"
        self._apart = 1 / per_second
        self._taken_max = max(1, math.floor(per_second * TAKEN_SECONDS))
        self._waiting = Waiting()
        self._giving: asyncio.Task[None] | None = None
        self._next = 0.0
        self._left = 0

    async def wait(self, urgency: int) -> None:
        """Return when the try of a message of this urgency may begin."""
        chosen = self._waiting.join(urgency)
        if self._giving is None or self._giving.done():
            self._giving = asyncio.create_task(self._give())
        await chosen

    async def _give(self) -> None:
        """Give a moment to each message that waits. Whose it is is only decided when it has come."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            # A moment that nobody used is over: else they would gather, and be used all at once.
            if not self._left or self._next < loop.time() - TAKEN_SECONDS:
                await self._take(loop.time)
            at, self._left = self._next, self._left - 1
            self._next += self._apart
            wait_seconds = at - loop.time()
            if wait_seconds > 0:
                await asyncio.sleep(wait_seconds)
            self._waiting.choose()

    async def _take(self, clock: Callable[[], float]) -> None:
        try:
            answer = await self._script(keys=[self._key], args=[round(self._apart * 1e6), self._taken_max])
            self._next, self._left = clock() + int(answer) / 1e6, self._taken_max
        except RedisError:
            self._next, self._left = max(self._next, clock()), self._taken_max
