"""A Redis client that gathers: commands issued in one turn of the event loop leave in one round trip.

A busy gateway asks Redis a few small things per request. Sent one by one, each costs a connection, a system call
and redis-py's bookkeeping; gathered, they share them. Idle, a command leaves at once, as ever.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import redis
import redis.asyncio

GATHERED_MAX: Final = 500
"""Commands in one round trip, so that a script among them keeps the others waiting for a bounded time."""

_Asked = tuple[tuple[Any, ...], dict[str, Any], "asyncio.Future[Any]"]


class GatheringRedis(redis.asyncio.Redis):
    """`redis.asyncio.Redis` whose `execute_command` gathers. Not for commands that block on the server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked: list[_Asked] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._leave)
        self._asked.append((args, options, answer))
        return await answer

    def _leave(self) -> None:
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), GATHERED_MAX):
            together = asked[start : start + GATHERED_MAX]
            sending = asyncio.get_running_loop().create_task(self._send(together))
            self._sending.add(sending)
            sending.add_done_callback(partial(self._sent, together))

    def _sent(self, asked: list[_Asked], sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        if sending.cancelled():
            # A loop that ends does this, even before the sending began: nobody may wait for ever.
            for _, _, waiting in asked:
                if not waiting.done():
                    waiting.set_exception(redis.ConnectionError("given up before Redis answered"))

    async def _send(self, asked: list[_Asked]) -> None:
        try:
            async with self.pipeline(transaction=False) as pipe:
                for args, options, _ in asked:
                    pipe.pipeline_execute_command(*args, **options)  # type: ignore[no-untyped-call]
                answers = await pipe.execute(raise_on_error=False)
        except RuntimeError as error:
            # What uvloop says of a connection that was closed a moment ago; asyncio's own loop says OSError.
            answers = [redis.ConnectionError(str(error))] * len(asked)
        except Exception as error:
            answers = [error] * len(asked)
        for (_, _, waiting), answer in zip(asked, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
