"""Who waits for which job, in this process; and the read that catches what a lost message would have said."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final, cast

import redis.asyncio

from booking_lane.commands import Outcome
from booking_lane.results import JobRecord, decode_record, job_key

REREAD_MAX: Final = 500
"""Keys in one round trip."""


class Waiters:
    """Long-polls on jobs. A waiter registers, then reads the key, then waits; `reread`, called each second or so,
    reads the keys of those who still wait: neither a lost message nor one that came in between leaves anybody
    waiting.

    Args:
        client: the jobs' Redis, bytes in and out.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._waiting: dict[uuid.UUID, list[asyncio.Future[JobRecord | None]]] = {}
        self._waiting_before: set[uuid.UUID] = set()

    async def read(self, command_id: uuid.UUID) -> JobRecord | None:
        """What Redis knows of the job; None if nothing."""
        value = await self._client.get(job_key(command_id))
        return None if value is None else decode_record(cast(bytes, value))

    def expect(self, command_id: uuid.UUID) -> asyncio.Future[JobRecord | None]:
        """Register for a job's outcome. Call `forget` with it in the end."""
        future: asyncio.Future[JobRecord | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(command_id, []).append(future)
        return future

    def forget(self, command_id: uuid.UUID, future: asyncio.Future[JobRecord | None]) -> None:
        futures = self._waiting.get(command_id)
        if futures is None:
            return
        if future in futures:
            futures.remove(future)
        if not futures:
            del self._waiting[command_id]

    def tell(self, outcomes: tuple[Outcome, ...], trace: str = "") -> None:
        """Wake whoever waits for these, which a batch of this ``trace`` had."""
        for outcome in outcomes:
            if outcome.command_id in self._waiting:
                self._wake(
                    outcome.command_id,
                    JobRecord(
                        outcome.user_id, outcome.event_id, outcome.kind, outcome.body_hash, True, outcome.body, trace
                    ),
                )

    def _wake(self, command_id: uuid.UUID, record: JobRecord) -> None:
        for future in self._waiting.pop(command_id, ()):
            if not future.done():
                future.set_result(record)

    def dismiss(self) -> None:
        """Nobody waits any longer: the process ends, and whoever asks again asks another."""
        for futures in self._waiting.values():
            for future in futures:
                _end(future)

    async def reread(self) -> None:
        """Read the jobs that were waited for at the last call already, and wake whose message was lost.

        Raises:
            redis.RedisError
        """
        late = [command_id for command_id in self._waiting if command_id in self._waiting_before]
        self._waiting_before = set(self._waiting)
        for start in range(0, len(late), REREAD_MAX):
            some = late[start : start + REREAD_MAX]
            for command_id, value in zip(some, await self._client.mget([job_key(one) for one in some]), strict=True):
                record = None if value is None else decode_record(cast(bytes, value))
                if record is not None and record.body:
                    self._wake(command_id, record)

    async def wait(self, future: asyncio.Future[JobRecord | None], seconds: float) -> JobRecord | None:
        """The finished record, or None if ``seconds`` pass first. ``future`` is from `expect`."""
        timer = asyncio.get_running_loop().call_later(seconds, _end, future)
        try:
            return await future
        finally:
            timer.cancel()


def _end(future: asyncio.Future[JobRecord | None]) -> None:
    if not future.done():
        future.set_result(None)
