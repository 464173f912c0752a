"""A catalogue whose answers are kept in Redis for some seconds, so that a crowd that asks the same asks it once.

Equal searches of one process share one run. Of several processes one gets the right to run it, and the others wait for
its answer. An answer that was asked for again is renewed by one of those who ask while the others still get it, so no
crowd ever waits for a popular search. Searches that are asked only once leave Redis within `FIRST_SECONDS`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, cast

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from gateway.search.catalogue import Catalogue, Hits, Search
from gateway.search.settings import SearchSettings

logger = logging.getLogger(__name__)

KEY: Final = "search:answer:"
RIGHT: Final = "search:right:"
GENERATION: Final = "search:generation"
FIRST_SECONDS: Final = 2.0
RENEWED_AT_SHARE: Final = 0.6
"""From this share of its time on an answer is renewed by the next who asks."""
RIGHT_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.02
ASKED_MAX: Final = 10_000


class _Kept(msgspec.Struct, array_like=True):
    """An answer in Redis. ``at`` is Unix time; the programme was at ``generation`` when it was asked for."""

    generation: int
    at: float
    seconds: float
    hits: Hits


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


ANSWERS: Final = ("cache", "shared", "search")


class CachedCatalogue:
    """`Catalogue` over another one.

    Attributes:
        answered: how many searches each of `ANSWERS` has answered: Redis, the run of an equal search that was under way
            in this process, or a run of its own.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        client: redis.asyncio.Redis,
        settings: SearchSettings,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._catalogue = catalogue
        self._redis = client
        self._seconds = settings.cache_seconds
        self._running: dict[str, asyncio.Task[Hits]] = {}
        self._asked: OrderedDict[str, float] = OrderedDict()
        self.answered: Counter[str] = Counter()

    async def search(self, ask: Search) -> Hits:
        if not self._seconds:
            return await self._search(ask)
        key = hashlib.blake2b(_encode(ask), digest_size=16).hexdigest()
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._answer(key, ask))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        else:
            self.answered["shared"] += 1
        # One that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    async def forget(self) -> None:
        """Let no answer be used any more: an operator has changed the programme."""
        try:
            await self._redis.incr(GENERATION)
        except (RedisError, OSError) as error:
            logger.warning("answers of the search are up to %s seconds old: %s", self._seconds, error)

    async def _answer(self, key: str, ask: Search) -> Hits:
        try:
            kept, generation = await self._read(key)
            if kept is not None:
                if self._now() - kept.at >= kept.seconds * RENEWED_AT_SHARE and await self._gets_right(key):
                    return await self._run(key, ask, generation)
                self.answered["cache"] += 1
                return kept.hits
            if await self._gets_right(key):
                return await self._run(key, ask, generation)
            until = time.monotonic() + RIGHT_SECONDS
            while time.monotonic() < until:
                await asyncio.sleep(LOOK_SECONDS)
                kept, generation = await self._read(key)
                if kept is not None:
                    self.answered["cache"] += 1
                    return kept.hits
        except (RedisError, OSError) as error:
            logger.warning("the search does without its cache: %s", error)
        return await self._search(ask)

    async def _search(self, ask: Search) -> Hits:
        self.answered["search"] += 1
        return await self._catalogue.search(ask)

    async def _read(self, key: str) -> tuple[_Kept | None, int]:
        # Two commands and one trip: in a cluster the keys may be of two servers.
        number, raw = await asyncio.gather(self._redis.get(GENERATION), self._redis.get(KEY + key))
        generation = int(number or 0)
        if raw is None:
            return None, generation
        try:
            kept = _decode(cast(bytes, raw))
        except msgspec.DecodeError:
            # Another release wrote it.
            return None, generation
        return (kept if kept.generation == generation else None), generation

    async def _gets_right(self, key: str) -> bool:
        return bool(await self._redis.set(RIGHT + key, b"1", nx=True, px=int(RIGHT_SECONDS * 1000)))

    async def _run(self, key: str, ask: Search, generation: int) -> Hits:
        hits = await self._search(ask)
        seconds = self._seconds if self._is_asked_again(key) else min(FIRST_SECONDS, self._seconds)
        kept = _Kept(generation, self._now(), seconds, hits)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(KEY + key, _encode(kept), px=int(seconds * 1000))
            pipe.delete(RIGHT + key)
            await pipe.execute()
        return hits

    def _is_asked_again(self, key: str) -> bool:
        """Whether this process ran the same search before. It remembers the last `ASKED_MAX`."""
        again = self._asked.pop(key, None) is not None
        self._asked[key] = 0.0
        if len(self._asked) > ASKED_MAX:
            self._asked.popitem(last=False)
        return again
