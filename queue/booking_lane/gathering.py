"""A Redis client that gathers commands: all that are issued in one turn of the event loop share one round trip.

A busy gateway sends a few small commands to Redis for each request. If they are sent one by one, each costs a
connection, a system call and redis-py's bookkeeping; gathered commands share this cost. No command waits longer for it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import redis
import redis.asyncio

GATHERED_MAX: Final = 500
"""At most this many commands share a round trip, so that a slow script delays a bounded number of others."""

_Call = tuple[tuple[Any, ...], dict[str, Any], "asyncio.Future[Any]"]


class GatheringRedis(redis.asyncio.Redis):
    """`redis.asyncio.Redis` whose `execute_command` gathers. Not for commands that block on the server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls: list[_Call] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if not self._calls:
            loop.call_soon(self._send_gathered)
        self._calls.append((args, options, answer))
        return await answer

    def _send_gathered(self) -> None:
        calls, self._calls = self._calls, []
        for start in range(0, len(calls), GATHERED_MAX):
            together = calls[start : start + GATHERED_MAX]
            sending = asyncio.get_running_loop().create_task(self._send(together))
            self._sending.add(sending)
            sending.add_done_callback(partial(self._on_sent, together))

    def _on_sent(self, calls: list[_Call], sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        if sending.cancelled():
            # A loop that ends cancels its tasks, some before they begin. The callers must not wait for ever then.
            for _, _, waiting in calls:
                if not waiting.done():
                    waiting.set_exception(redis.ConnectionError("given up before Redis answered"))

    async def _send(self, calls: list[_Call]) -> None:
        try:
            async with self.pipeline(transaction=False) as pipe:
                for args, options, _ in calls:
                    pipe.pipeline_execute_command(*args, **options)  # type: ignore[no-untyped-call]
                answers = await pipe.execute(raise_on_error=False)
        except RuntimeError as error:
            # uvloop raises RuntimeError for a connection that was just closed, where asyncio's own loop raises OSError.
            answers = [redis.ConnectionError(str(error))] * len(calls)
        except Exception as error:
            answers = [error] * len(calls)
        for (_, _, waiting), answer in zip(calls, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
