"""Who ticks which door: the processes that may, each with a lease on Redis' clock, and one of them for each room.

The leases save work and nothing else. Every process may tick every room at any time, and the script of the tick lets in
no more fans than the rate allows. So nothing is wrong while two processes see the leases differently.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from redis import asyncio as aioredis

from .keys import TICKERS
from .scripts import run

LEASE_SECONDS: Final = 0.7
"""After so long without a renewal a process counts as dead, and its rooms are others'."""
RENEW_SECONDS: Final = 0.2

READS_LISTS: Final = b"lists-"
"""What the name of a process begins with that knows fans to be connected by lists. One of an older release would take
these fans for absent.
"""

TICKER, DEPUTY = 0, 1
"""Ranks of a process at a room. The ticker ticks it; the deputy sees to it that it is ticked."""


class Tickers:
    """This process' lease, and its place among those who had one when it was renewed last.

    Args:
        monotonic: a clock in seconds.
    """

    def __init__(self, client: aioredis.Redis, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._name = READS_LISTS + uuid4().hex.encode()
        self._place = self._number = 0
        self._seen_until = float("-inf")
        self.all_read_lists = False
        """Whether all of them know a fan to be connected by a list (`Line.tell_list`)."""

    async def renew(self) -> None:
        """Renew the lease, and see who has one.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        asked_at = self._monotonic()
        seen = sorted(await run(self._client, "tickers", [TICKERS], [self._name, round(LEASE_SECONDS * 1000)]))
        self.all_read_lists = all(name.startswith(READS_LISTS) for name in seen)
        self._place, self._number = seen.index(self._name), len(seen)
        self._seen_until = asked_at + LEASE_SECONDS

    async def give_up(self) -> None:
        """End the lease, because this process ends: others take its rooms at once.

        Raises:
            redis.RedisError: Redis does not answer; the lease ends by itself.
        """
        await run(self._client, "tickers", [TICKERS], [self._name, 0])

    def rank(self, event: int) -> int:
        """This process' rank at the event's room: `TICKER`, `DEPUTY`, or further back. Without a lease it is every
        room's deputy, because it does not know who else is there.
        """
        if self._monotonic() > self._seen_until:
            return DEPUTY
        # The checksum spreads ids that have a common step, as those of a database that was restarted may.
        return (self._place - zlib.crc32(b"%d" % event)) % self._number
