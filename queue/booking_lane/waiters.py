"""The requests of this process that wait for jobs, and the read that replaces a lost message."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final, cast

import redis.asyncio

from booking_lane.commands import Awaiting, Outcome
from booking_lane.results import (
    AWAITED_SECONDS,
    JobRecord,
    awaited_key,
    decode_record,
    job_key,
    opened_key,
    record_of_awaiting,
)

WOKEN_AT_ONCE: Final = 32
"""To answer hundreds in one turn of the loop takes so long that those who come meanwhile are refused late."""
REREAD_MAX: Final = 500
"""At most this many keys are read in one round trip."""


class Waiters:
    """Lets requests wait for jobs. A request registers, then reads the job's record, then waits, so that it misses no
    message. `reread`, which is called about once a second, reads the records of all jobs that are still waited for, so
    that a lost message leaves no request waiting.

    Args:
        client: the jobs' Redis, bytes in and out.
        origin: the name of this process, by which messages find it.
    """

    def __init__(self, client: redis.asyncio.Redis, origin: str) -> None:
        self._client = client
        self._origin = origin
        self._waiting: dict[uuid.UUID, list[asyncio.Future[JobRecord | None]]] = {}
        self._waiting_before: set[uuid.UUID] = set()
        self._know_payment: set[uuid.UUID] = set()

    async def read(self, command_id: uuid.UUID) -> JobRecord | None:
        """The job's record in Redis; None if there is none."""
        value = await self._client.get(job_key(command_id))
        return None if value is None else decode_record(cast(bytes, value))

    async def read_and_await(self, command_id: uuid.UUID) -> JobRecord | None:
        """The job's record in Redis; what it becomes next is sent to this process, whoever sent the job."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.sadd(awaited_key(command_id), self._origin)
            pipe.expire(awaited_key(command_id), AWAITED_SECONDS)
            pipe.get(job_key(command_id))
            *_, value = await pipe.execute()
        return None if value is None else decode_record(cast(bytes, value))

    def expect(self, command_id: uuid.UUID) -> asyncio.Future[JobRecord | None]:
        """Register for a job's outcome. Call `forget` with the returned future in the end."""
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
            self._know_payment.discard(command_id)

    async def opened(self, payment_id: uuid.UUID) -> str | None:
        """What lets the fan's browser pay, sealed; None where the payment is not known to be open."""
        value = await self._client.get(opened_key(payment_id))
        return None if value is None else cast(bytes, value).decode()

    async def keep_opened(self, payment_id: uuid.UUID, secret: str, seconds: int) -> None:
        """Have Redis know a payment that it has forgotten, unless it has learnt of it anew meanwhile."""
        await self._client.set(opened_key(payment_id), secret, nx=True, ex=seconds)

    def on_opened(self, payment_ids: tuple[uuid.UUID, ...]) -> None:
        """Wake the requests that wait for these payments to be open: they `expect` the payment's id."""
        for payment_id in payment_ids:
            for future in self._waiting.pop(payment_id, ()):
                _end(future)

    def know_payment(self, command_id: uuid.UUID) -> None:
        """Those who wait for this job know that it waits for a payment: only its outcome is news to them."""
        if command_id in self._waiting:
            self._know_payment.add(command_id)

    def on_outcomes(self, outcomes: tuple[Outcome, ...], trace: str = "") -> None:
        """Wake the requests that wait for these outcomes of a batch, whose ``traceparent`` is ``trace``: some now, and
        the others behind what the loop has to do by then.
        """
        if len(outcomes) > WOKEN_AT_ONCE:
            asyncio.get_running_loop().call_soon(self.on_outcomes, outcomes[WOKEN_AT_ONCE:], trace)
        for outcome in outcomes[:WOKEN_AT_ONCE]:
            if outcome.command_id in self._waiting:
                self._wake(
                    outcome.command_id,
                    JobRecord(
                        outcome.user_id, outcome.event_id, outcome.kind, outcome.body_hash, True, outcome.body, trace
                    ),
                )

    def on_awaiting(self, awaiting: tuple[Awaiting, ...], trace: str = "") -> None:
        """Wake the requests that wait for these jobs: what they need to know now is how to pay."""
        for one in awaiting:
            if one.command_id in self._waiting:
                self._wake(one.command_id, record_of_awaiting(one, trace))

    def on_awaited(self, message: tuple[uuid.UUID, JobRecord]) -> None:
        """A job that may be another process's has this record now."""
        self._on_record(*message)

    def _on_record(self, command_id: uuid.UUID, record: JobRecord) -> None:
        if command_id in self._waiting and (
            record.body or (record.payment_id and command_id not in self._know_payment)
        ):
            self._wake(command_id, record)

    def _wake(self, command_id: uuid.UUID, record: JobRecord) -> None:
        self._know_payment.discard(command_id)
        for future in self._waiting.pop(command_id, ()):
            if not future.done():
                future.set_result(record)

    def dismiss(self) -> None:
        """Have all requests stop waiting, because this process ends. Clients ask another process again."""
        for futures in self._waiting.values():
            for future in futures:
                _end(future)

    async def reread(self) -> None:
        """Read the records of jobs that were waited for at the last call too, and wake the requests of finished ones.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        late = [command_id for command_id in self._waiting if command_id in self._waiting_before]
        self._waiting_before = set(self._waiting)
        for start in range(0, len(late), REREAD_MAX):
            chunk = late[start : start + REREAD_MAX]
            values = await self._client.mget([job_key(command_id) for command_id in chunk])
            for command_id, value in zip(chunk, values, strict=True):
                if value is not None:
                    self._on_record(command_id, decode_record(cast(bytes, value)))

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
