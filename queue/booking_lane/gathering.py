"""A Redis client that gathers commands: all that are issued in one turn of the event loop share one round trip.

A busy gateway sends a few small commands to Redis for each request. If they are sent one by one, each costs a
connection, a system call and redis-py's bookkeeping; gathered commands share this cost. No command waits longer for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio

from db.gathering import Gathering

_Call = tuple[tuple[Any, ...], dict[str, Any]]


class GatheringRedis(redis.asyncio.Redis):
    """`redis.asyncio.Redis` whose `execute_command` gathers. Not for commands that block on the server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gathering: Gathering[_Call, Any] = Gathering(self.ask_all, _given_up)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        return await self.gathering.ask((args, options))

    async def ask_all(self, calls: Sequence[_Call]) -> list[Any]:
        """Send these in one round trip; give an answer, or its exception, for each."""
        try:
            async with self.pipeline(transaction=False) as pipe:
                for args, options in calls:
                    pipe.pipeline_execute_command(*args, **options)  # type: ignore[no-untyped-call]
                answers: list[Any] = await pipe.execute(raise_on_error=False)
                return answers
        except RuntimeError as error:
            # uvloop raises RuntimeError for a connection that was just closed, where asyncio's own loop raises OSError.
            raise redis.ConnectionError(str(error)) from error


def _given_up() -> Exception:
    return redis.ConnectionError("given up before Redis answered")
