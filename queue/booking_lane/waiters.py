"""Who waits for which job, in this process; and the read that catches what a lost message would have said."""

from __future__ import annotations

import asyncio
import uuid
from typing import cast

import redis.asyncio

from booking_lane.commands import Outcome
from booking_lane.results import JobRecord, decode_record, job_key

REREAD_SECONDS = 1.0


class Waiters:
    """Long-polls on jobs. A waiter registers, then reads the key, then waits, and re-reads each second,
    so that neither a lost message nor one that came in between leaves anybody waiting.

    Args:
        client: the jobs' Redis, bytes in and out.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._waiting: dict[uuid.UUID, list[asyncio.Future[JobRecord]]] = {}

    async def read(self, command_id: uuid.UUID) -> JobRecord | None:
        """What Redis knows of the job; None if nothing."""
        value = await self._client.get(job_key(command_id))
        return None if value is None else decode_record(cast(bytes, value))

    def expect(self, command_id: uuid.UUID) -> asyncio.Future[JobRecord]:
        """Register for a job's outcome. Call `forget` with it in the end."""
        future: asyncio.Future[JobRecord] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(command_id, []).append(future)
        return future

    def forget(self, command_id: uuid.UUID, future: asyncio.Future[JobRecord]) -> None:
        futures = self._waiting.get(command_id)
        if futures is None:
            return
        if future in futures:
            futures.remove(future)
        if not futures:
            del self._waiting[command_id]

    def tell(self, outcomes: tuple[Outcome, ...]) -> None:
        """Wake whoever waits for these."""
        for outcome in outcomes:
            futures = self._waiting.pop(outcome.command_id, None)
            if futures is None:
                continue
            record = JobRecord(outcome.user_id, outcome.event_id, outcome.kind, outcome.body_hash, True, outcome.body)
            for future in futures:
                if not future.done():
                    future.set_result(record)

    async def wait(self, command_id: uuid.UUID, future: asyncio.Future[JobRecord], seconds: float) -> JobRecord | None:
        """The finished record, or None if ``seconds`` pass first. ``future`` is from `expect`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            done, _ = await asyncio.wait((future,), timeout=min(left, REREAD_SECONDS))
            if done:
                return future.result()
            record = await self.read(command_id)
            if record is not None and record.body:
                return record
        return None
