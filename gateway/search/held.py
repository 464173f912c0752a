"""The answers that this process has just given, and the searches in its memory that make the others.

To find events in memory costs less than the trip to Redis that would ask whether another process has found them. So
Redis is asked only where the memory does not answer, and where seats are counted, which Postgres does.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gateway.search.cached import CachedCatalogue
from gateway.search.catalogue import Hits, Search
from gateway.search.memory import MemoryCatalogue
from gateway.search.settings import SearchSettings

HELD_MAX: Final = 2_000
"""Answers of the API take 10 KB each, so that so many take 20 MB."""

T = TypeVar("T")


@dataclass(slots=True)
class _Held(Generic[T]):
    until: float
    programme: int
    answer: T


class HeldCatalogue(Generic[T]):
    """`Catalogue` over the memory, where there is one, and over ``behind``.

    Args:
        render: makes of what was found what is held of it.
        now: a clock in seconds.
    """

    def __init__(
        self,
        memory: MemoryCatalogue | None,
        behind: CachedCatalogue,
        settings: SearchSettings,
        render: Callable[[Search, Hits], T],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory = memory
        self._behind = behind
        self._seconds = settings.cache_seconds
        self._render = render
        self._now = now
        self._held: OrderedDict[Search, _Held[T]] = OrderedDict()

    @property
    def answered(self) -> Counter[str]:
        """How many searches each of `gateway.search.cached.ANSWERS` has answered."""
        return self._behind.answered

    async def search(self, ask: Search) -> Hits:
        return await self._behind.search(ask)

    async def answer(self, ask: Search) -> T:
        """What was found, rendered. An answer is held until it is too old, or an event has become another.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: Postgres does not answer.
        """
        memory = self._memory
        if memory is None or ask.seats or not memory.finds(ask) or not await memory.is_fresh():
            return self._render(ask, await self._behind.search(ask))
        held, now = self._held.get(ask), self._now()
        if held is not None and held.programme == memory.programme and now < held.until:
            self._held.move_to_end(ask)
            self.answered["cache"] += 1
            return held.answer
        hits = memory.find(ask)
        if hits is None:
            return self._render(ask, await self._behind.search(ask))
        self.answered["search"] += 1
        answer = self._render(ask, hits)
        if self._seconds:
            self._held[ask] = _Held(now + self._seconds, memory.programme, answer)
            self._held.move_to_end(ask)
            if len(self._held) > HELD_MAX:
                self._held.popitem(last=False)
        return answer

    async def forget(self) -> None:
        """Let no answer be used any more: an operator has changed the programme."""
        if self._memory is not None:
            self._memory.doubt()
        await self._behind.forget()
