"""Password hashes, a few at a time: each takes 64 MiB and some tens of milliseconds of every core."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from gateway.wire.problems import ProblemError

WAITING_MAX: Final = 64
WAIT_SECONDS_MAX: Final = 10.0
BUSY_RETRY_SECONDS: Final = 2
NETWORKS_KEPT_MAX: Final = 4096
"""Of so many networks the queue remembers when each had its last turn."""

_T = TypeVar("_T")


class HashQueue:
    """One hash at a time, and before it a bounded queue that is fair to networks.

    The turn goes to the network that had its last one longest ago, and before all to one that had none. Where the queue
    is full, the network that waits most gives up a place. So who sends many tries makes others wait for one of them.

    The thread has the priority of all others: one of a lower priority would be stopped while it holds Python's lock,
    and the loop with it.
    """

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._thread = ThreadPoolExecutor(1, "argon2")
        self._is_busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._last_turns: dict[str, int] = {}
        """The number of each network's last turn, in the order of turns."""
        self._turns = itertools.count(1)

    @contextlib.asynccontextmanager
    async def turn(self, network: str) -> AsyncIterator[None]:
        """Wait until it is one's turn to hash, and keep it.

        Raises:
            ProblemError: ``sign_in_busy``: too many wait already, or the turn does not come in time.
        """
        if self._is_busy:
            await self._wait(network)
        self._is_busy = True
        self._last_turns.pop(network, None)
        self._last_turns[network] = next(self._turns)
        if len(self._last_turns) > NETWORKS_KEPT_MAX:
            del self._last_turns[next(iter(self._last_turns))]
        try:
            yield
        finally:
            self._pass_on()

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do the work on the queue's thread; for the one whose turn it is."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Take no more work."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, network: str) -> None:
        if sum(map(len, self._waiting.values())) >= self._waiting_max:
            self._make_place(network)
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(called)
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                await called
        except BaseException as error:
            if called.done() and not called.cancelled() and called.exception() is None:
                # The turn came in the moment in which its owner went away.
                self._pass_on()
            self._take_out(network, called)
            if isinstance(error, TimeoutError):
                raise _busy() from None
            raise

    def _make_place(self, network: str) -> None:
        """Refuse the last one of the network that waits most, or else raise ``sign_in_busy`` for this one."""

        def weight(of: str, more: int = 0) -> tuple[int, int]:
            return len(self._waiting.get(of, ())) + more, self._last_turns.get(of, 0)

        most = max(self._waiting, key=weight)
        if weight(most) <= weight(network, 1):
            raise _busy()
        last = self._waiting[most][-1]
        self._take_out(most, last)
        if not last.done():
            last.set_exception(_busy())

    def _pass_on(self) -> None:
        """Give the turn to the next."""
        while self._waiting:
            # Of those that never had a turn the first to come is the first.
            network = min(self._waiting, key=lambda one: self._last_turns.get(one, 0))
            called = self._waiting[network][0]
            self._take_out(network, called)
            # Who has just gone away is still in the queue until its task runs.
            if not called.done():
                called.set_result(None)
                return
        self._is_busy = False

    def _take_out(self, network: str, called: asyncio.Future[None]) -> None:
        queue = self._waiting.get(network)
        if queue is not None and called in queue:
            queue.remove(called)
            if not queue:
                del self._waiting[network]


def _busy() -> ProblemError:
    return ProblemError("sign_in_busy", retry_after_seconds=BUSY_RETRY_SECONDS)
