"""Messages that wait for a provider: the most urgent one goes first, however long others have waited."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush


class Waiting:
    """Tasks that wait for something. Of equal urgency the first to wait goes first."""

    def __init__(self) -> None:
        self._tasks: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def join(self, urgency: int) -> asyncio.Future[None]:
        """What the running task awaits until it is chosen. What is more urgent has a lower number."""
        chosen = asyncio.get_running_loop().create_future()
        heappush(self._tasks, (urgency, next(self._numbers), chosen))
        return chosen

    def choose(self) -> bool:
        """Let the most urgent task go on; give whether one waited."""
        if not self:
            return False
        *_, chosen = heappop(self._tasks)
        chosen.set_result(None)
        return True

    def __bool__(self) -> bool:
        # A task that was cancelled waits no more.
        while self._tasks and self._tasks[0][-1].done():
            heappop(self._tasks)
        return bool(self._tasks)


class AtOnce:
    """So many tasks at once; the most urgent of those that wait begins next."""

    def __init__(self, tasks_max: int) -> None:
        self._free = tasks_max
        self._waiting = Waiting()

    @asynccontextmanager
    async def one(self, urgency: int) -> AsyncIterator[None]:
        """Enter when there is room."""
        if self._free:
            self._free -= 1
        else:
            chosen = self._waiting.join(urgency)
            try:
                await chosen
            except asyncio.CancelledError:
                if not chosen.cancelled():
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        # The chosen task takes over the room of the one that leaves.
        if not self._waiting.choose():
            self._free += 1
