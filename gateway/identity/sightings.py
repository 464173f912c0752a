"""What comes from which network and what it is answered, for the operators' picture of bots.

A request costs a number in this process's memory. The numbers go to Redis every two seconds, where those of all
gateways are added up by the minute, and the networks with the fewest are forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from waiting_room.keys import seen_key

logger = logging.getLogger(__name__)

SESSION, JOIN, PROOF, BOUGHT = "session", "join", "proof", "bought"
"""What is counted, beside the codes of refusals."""
ANSWERED: Final = "answered:"
"""Begins the name of an answer that points were given (`gateway.identity.answers`)."""
FLUSH_SECONDS: Final = 2.0
LATELY_MINUTES: Final = 10
WAITING_MAX: Final = 5_000
"""Numbers in memory that have not gone to Redis; further networks are not counted until they have."""
REHEARSED: Final = "rehearsal:"
"""A simulated fan counts as a network of this kind, for all of them share one machine."""
KEPT_MAX: Final = 2_000
"""Numbers of one minute in Redis."""
READ_MAX: Final = 500


class Sightings:
    """Counts what networks do, but not what the simulated fans of a rehearsal do.

    Args:
        now: the clock of Redis (Unix time, seconds).
        key: names the sorted set of a minute.
    """

    def __init__(
        self, line_redis: aioredis.Redis, now: Callable[[], float], key: Callable[[int], str] = seen_key
    ) -> None:
        self._key = key
        self._minutes: dict[int, list[tuple[str, str, int]]] = {}
        self.latest: dict[str, Counter[str]] = {}
        """What `refresh` found last: what each subject did in the last ten minutes."""
        self._redis = line_redis
        self._now = now
        self._waiting: Counter[tuple[str, str]] = Counter()

    def note(self, network: str, what: str, times: int = 1) -> None:
        """Count ``what``, or the code of a refusal, of a network."""
        if network.startswith(REHEARSED):
            return
        key = network, what
        if key in self._waiting or len(self._waiting) < WAITING_MAX:
            self._waiting[key] += times

    async def keep(self) -> None:
        """Bring the numbers to Redis for as long as the process runs, and read all gateways'. Those of an outage are
        lost.
        """
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
                await self.refresh()
            except (RedisError, OSError) as error:
                logger.warning("what networks did is not counted: %s", error)

    async def flush(self) -> None:
        """Bring the numbers to Redis.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        waiting, self._waiting = self._waiting, Counter()
        if not waiting:
            return
        key = self._key(int(self._now() // 60))
        async with self._redis.pipeline(transaction=False) as pipe:
            for (network, what), number in waiting.items():
                pipe.zincrby(key, number, f"{network} {what}")
            pipe.zremrangebyrank(key, 0, -KEPT_MAX - 1)
            pipe.expire(key, (LATELY_MINUTES + 1) * 60)
            await pipe.execute()

    async def refresh(self) -> None:
        """Read what all gateways counted into `latest`. Minutes that are over are not read again.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        minute = int(self._now() // 60)
        first = minute - LATELY_MINUTES + 1
        # The last minute may have got numbers since it was read.
        due = [one for one in range(first, minute + 1) if one >= minute - 1 or one not in self._minutes]
        async with self._redis.pipeline(transaction=False) as pipe:
            for one in due:
                pipe.zrevrange(self._key(one), 0, READ_MAX - 1, withscores=True)
            answers = await pipe.execute()
        for one, answer in zip(due, answers, strict=True):
            self._minutes[one] = [
                (subject, what, int(number))
                for member, number in answer
                for subject, _, what in (member.decode().rpartition(" "),)
            ]
        self._minutes = {one: found for one, found in self._minutes.items() if one >= first}
        latest: dict[str, Counter[str]] = {}
        for found in self._minutes.values():
            for subject, what, number in found:
                latest.setdefault(subject, Counter())[what] += number
        self.latest = latest

    async def lately(self) -> dict[str, Counter[str]]:
        """What each network did in the last ten minutes, at all gateways: of those that did most.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        minute = int(self._now() // 60)
        async with self._redis.pipeline(transaction=False) as pipe:
            for ago in range(LATELY_MINUTES):
                pipe.zrevrange(self._key(minute - ago), 0, READ_MAX - 1, withscores=True)
            answers = await pipe.execute()
        found: dict[str, Counter[str]] = {}
        for answer in answers:
            for member, number in answer:
                network, _, what = member.decode().rpartition(" ")
                found.setdefault(network, Counter())[what] += int(number)
        return found
