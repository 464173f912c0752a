"""The clock that ends what the gateways sign. It is Redis', because the machines' own may be an hour apart."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Final

import redis.asyncio
from redis.exceptions import RedisError

from db.patience import repeat

logger = logging.getLogger(__name__)

READ_SECONDS: Final = 10.0


class Clock:
    """Redis' time, carried on by the process's monotonic clock; until it was first read, the process's own.

    Sessions, places, passes and captchas signed by one gateway are verified by another: all must go by one clock, the
    same that ends passes in the line.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._ahead_seconds: float | None = None

    def now(self) -> float:
        """Unix time, seconds."""
        return time.time() if self._ahead_seconds is None else time.monotonic() + self._ahead_seconds

    def moment(self) -> dt.datetime:
        """The same, as a date and time in UTC."""
        return dt.datetime.fromtimestamp(self.now(), dt.UTC)

    async def read(self) -> None:
        """Read Redis' clock.

        Raises:
            redis.RedisError: it did not answer; the clock goes on from what was read last.
        """
        seconds, micros = await self._client.time()
        self._ahead_seconds = int(seconds) + int(micros) / 1_000_000 - time.monotonic()

    async def keep(self) -> None:
        """Follow Redis' clock for as long as the process runs."""
        away = (RedisError, OSError)
        await repeat(self.read, every_seconds=READ_SECONDS, on=away, what="clock not read", level=logging.DEBUG)
