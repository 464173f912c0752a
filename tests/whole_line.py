"""A line that also does what in a site only the workers do, for tests that have one client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from redis import Redis

from waiting_room import operations
from waiting_room.line import Line
from waiting_room.model import AdmittedPage
from waiting_room.operations import Operation, T
from waiting_room.scripts import run_sync


class WholeLine(Line):
    """`Line`, and the operations that are `waiting_room.line.Slots`' alone."""

    async def extend(self, event: int, ends: Mapping[int, int]) -> int:
        return await self._run(operations.extend(event, list(ends.items())))

    async def finish(self, event: int, fans: Iterable[int]) -> int:
        return await self._run(operations.finish(event, list(fans)))

    async def merge(self, event: int, fan: int, from_fan: int) -> bool:
        return await self._run(operations.merge(event, fan, from_fan))

    async def admitted_page(self, event: int, cursor: int = 0) -> AdmittedPage:
        return await self._run(operations.admitted_page(event, cursor))


def do(client: Redis | Any, operation: Operation[T]) -> T:
    """Run one operation with a synchronous client."""
    return operation.read(run_sync(client, operation.script, operation.keys, operation.args))
