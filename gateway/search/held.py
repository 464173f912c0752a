"""The answers that this process has just given, and the searches in its memory that make the others.

To find events in memory costs less than the trip to Redis that would ask whether another process has found them. So
Redis is asked only where the memory does not answer, and where seats are counted, which Postgres does.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.hall.hall import Rendered
from gateway.search.answers import rendered_list
from gateway.search.cached import CachedCatalogue
from gateway.search.catalogue import Hits, Search
from gateway.search.memory import MemoryCatalogue
from gateway.search.settings import SearchSettings


@dataclass(frozen=True, slots=True)
class _Held:
    """An answer until ``until`` by the clock, made while the memory's programme was this one."""

    until: float
    programme: int
    answer: Rendered


class HeldCatalogue:
    """`Catalogue` over the memory, where there is one, and over ``behind``.

    Args:
        now: a clock in seconds.
    """

    def __init__(
        self,
        memory: MemoryCatalogue | None,
        behind: CachedCatalogue,
        settings: SearchSettings,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory = memory
        self._behind = behind
        self._seconds = settings.cache_seconds
        self._bytes_max = settings.held_bytes_max
        self._now = now
        self._held: OrderedDict[Search, _Held] = OrderedDict()
        self._bytes = 0

    @property
    def answered(self) -> Counter[str]:
        """How many searches each of `gateway.search.cached.ANSWERS` has answered."""
        return self._behind.answered

    async def search(self, ask: Search) -> Hits:
        return await self._behind.search(ask)

    async def answer(self, ask: Search) -> Rendered:
        """The answer of ``GET /api/events``. It is held until it is too old, or an event has become another.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: Postgres does not answer.
        """
        memory = self._memory
        if memory is not None and memory.finds(ask) and await memory.is_fresh():
            held = self._held.get(ask)
            if held is not None and held.programme == memory.programme and self._now() < held.until:
                self._held.move_to_end(ask)
                self.answered["cache"] += 1
                return held.answer
            hits = memory.find(ask)
            if hits is not None:
                self.answered["search"] += 1
                return self._hold(ask, memory.programme, rendered_list(ask, hits))
        return rendered_list(ask, await self._behind.search(ask))

    async def forget(self) -> None:
        """Let no answer be used any more: an operator has changed the programme."""
        if self._memory is not None:
            self._memory.doubt()
        await self._behind.forget()

    def _hold(self, ask: Search, programme: int, answer: Rendered) -> Rendered:
        before = self._held.pop(ask, None)
        if before is not None:
            self._bytes -= len(before.answer.body)
        self._held[ask] = _Held(self._now() + self._seconds, programme, answer)
        self._bytes += len(answer.body)
        while self._bytes > self._bytes_max:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= len(oldest.answer.body)
        return answer
