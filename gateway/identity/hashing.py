"""Password hashes, a few at a time: each takes 64 MiB and some tens of milliseconds of every core."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from gateway.wire.problems import ProblemError

WAITING_MAX: Final = 8
WAIT_SECONDS_MAX: Final = 5.0
BUSY_RETRY_SECONDS: Final = 2

_T = TypeVar("_T")


class HashQueue:
    """One hash at a time, and a bounded queue before it.

    The thread has the priority of all others: one of a lower priority would be stopped while it holds Python's lock,
    and the loop with it.
    """

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._thread = ThreadPoolExecutor(1, "argon2")
        self._turn = asyncio.Lock()
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until it is one's turn to hash, and keep it.

        Raises:
            ProblemError: ``sign_in_busy``: too many wait already, or the turn does not come in time.
        """
        if self._waiting >= self._waiting_max:
            raise ProblemError("sign_in_busy", retry_after_seconds=BUSY_RETRY_SECONDS)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                await self._turn.acquire()
        except TimeoutError:
            raise ProblemError("sign_in_busy", retry_after_seconds=BUSY_RETRY_SECONDS) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do the work on the queue's thread; for the one whose turn it is."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Take no more work."""
        self._thread.shutdown(wait=False, cancel_futures=True)
