"""A Redis client that gathers commands: all that are issued in one turn of the event loop share one round trip.

A busy gateway sends a few small commands to Redis for each request. If they are sent one by one, each costs a
connection, a system call and redis-py's bookkeeping; gathered commands share this cost. A command waits at most until
one of the two trips before it is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import redis
import redis.asyncio

from db.gathering import Gathering

from .pipelined import Pipelined

TRIPS_UNDER_WAY_MAX: Final = 2
"""Redis answers one trip after the other, so that more of them would not be answered sooner. Each costs both sides a
system call and a turn of their loops.
"""

Read = TypeVar("Read")
_Call = tuple[tuple[Any, ...], dict[str, Any]]


class GatheringRedis(redis.asyncio.Redis):
    """`redis.asyncio.Redis` whose `execute_command` gathers. Not for commands that block on the server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gathering: Gathering[_Call, Any] = Gathering(self.ask_all, _given_up, under_way_max=TRIPS_UNDER_WAY_MAX)
        self._pipelined: Pipelined | None = None
        self._opening = asyncio.Lock()
        self._closed_times = 0

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        return await self.gathering.ask((args, options))

    def ask_soon(self, *args: Any) -> asyncio.Future[Any] | None:
        """As `execute_command`, but the command leaves with what else is asked in this turn of the loop, however late
        the answer is awaited. None: this client cannot say so soon where the command goes.
        """
        return self.gathering.ask((args, {}))

    def ask_all(self, calls: Sequence[_Call]) -> Awaitable[list[Any]]:
        """Send these in one round trip; give an answer, or its exception, for each."""
        pipelined = self._pipelined
        if pipelined is None or pipelined.is_closed:
            return self._ask_opened(calls)
        return self._ask(pipelined, calls)

    async def _ask_opened(self, calls: Sequence[_Call]) -> list[Any]:
        return await self._ask(await self._open(), calls)

    def _ask(self, pipelined: Pipelined, calls: Sequence[_Call]) -> asyncio.Future[list[Any]]:
        return pipelined.ask([args for args, _ in calls], partial(self._answers, calls))

    def ask_in_multi(
        self, commands: Sequence[Sequence[Any]], read: Callable[[list[Any]], Read]
    ) -> asyncio.Future[Read]:
        """Send these now, as one transaction; the answer is what ``read`` makes of the commands' replies as Redis gives
        them.

        Raises:
            redis.RedisError: (the future) Redis did not answer, or refused the transaction.
        """
        transaction = [("MULTI",), *commands, ("EXEC",)]
        pipelined = self._pipelined
        if pipelined is None or pipelined.is_closed:
            return asyncio.get_running_loop().create_task(self._open_and_ask(transaction, partial(_executed, read)))
        return pipelined.ask(transaction, partial(_executed, read))

    async def _open_and_ask(self, commands: Sequence[Sequence[Any]], read: Callable[[list[Any]], Read]) -> Read:
        return await (await self._open()).ask(commands, read)

    def _answers(self, calls: Sequence[_Call], replies: list[Any]) -> list[Any]:
        return [self._answer(args[0], options, reply) for (args, options), reply in zip(calls, replies, strict=True)]

    async def _open(self) -> Pipelined:
        async with self._opening:
            if self._pipelined is None or self._pipelined.is_closed:
                closed_times = self._closed_times
                try:
                    opened = await Pipelined.open(self.connection_pool.make_connection)
                except RuntimeError as error:
                    # uvloop raises RuntimeError for a connection that was just closed, where asyncio's own loop raises
                    # OSError.
                    raise redis.ConnectionError(str(error)) from error
                if closed_times != self._closed_times:
                    # Nobody would close it any more.
                    opened.close()
                    raise redis.ConnectionError("closed before it was open")
                self._pipelined = opened
            return self._pipelined

    def _answer(self, name: str, options: dict[str, Any], reply: Any) -> Any:
        """What redis-py makes of the reply to a command of this name."""
        make = self.response_callbacks.get(name)
        if make is None or isinstance(reply, Exception):
            return reply
        try:
            return make(reply, **{option: value for option, value in options.items() if option != "keys"})
        except Exception as error:
            return error

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> redis.asyncio.client.Pipeline:
        """Commands that are asked together; a transaction has a connection of its own, as redis-py makes it."""
        return super().pipeline(True, shard_hint) if transaction else _Together(self)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        self._closed_times += 1
        if self._pipelined is not None:
            self._pipelined.close()
        await super().aclose(close_connection_pool)


class _Together(redis.asyncio.client.Pipeline):
    """A pipeline that shares the client's connection."""

    def __init__(self, client: GatheringRedis) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, False, None)
        self._client = client

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, self.command_stack = self.command_stack, []
        answers = await self._client.ask_all([(args, dict(options)) for args, options in commands])
        for answer in answers:
            if isinstance(answer, BaseException) and (raise_on_error or not isinstance(answer, Exception)):
                raise answer
        return answers


def _executed(read: Callable[[list[Any]], Read], replies: list[Any]) -> Read:
    # Redis refuses a command when it comes, and says of the transaction only that nothing was done.
    for refused in replies:
        if isinstance(refused, Exception):
            raise refused
    return read(replies[-1])


def _given_up() -> Exception:
    return redis.ConnectionError("given up before Redis answered")
