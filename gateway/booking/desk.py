"""The desk sends commands to their lanes and answers with the jobs that come of them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, cast

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_lane import about, tracing
from booking_lane.coalescer import Coalescer, LaneFullError, LaneUnavailableError
from booking_lane.commands import KINDS, Checkout, Command, body_hash, command_id_for, command_id_new
from booking_lane.figures import Figures
from booking_lane.figures import read as read_figures
from booking_lane.gathering import GatheringRedis
from booking_lane.lane import AsyncLane, queue_name
from booking_lane.results import BatchNews, JobRecord, decode_record, encode_record, job_key
from booking_lane.settings import LaneSettings
from booking_lane.waiters import Waiters
from db.payments.reading import job_awaiting
from db.tables.booking import BookingCommand
from gateway.booking.former_lanes import FormerLanes
from gateway.booking.lanes import SiteLanes
from gateway.wire.problems import ProblemError

logger = logging.getLogger(__name__)

WAIT_SECONDS_MAX: Final = 30.0
LATE_SECONDS: Final = 5
LOST_SECONDS: Final = 1.0
CLAIM_SECONDS: Final = 60
FIGURES_SECONDS: Final = 1.0
REFUSING_SECONDS: Final = 1.0
"""For so long after a refusal commands are refused before all else, where their lane is full (`gateway.express`)."""
NEW_PAYMENT_WAIT_SECONDS: Final = 2.0
"""A request waits so long at most for the provider to open a payment: its fan can be led to the page meanwhile."""
OPEN_PAYMENT_WAIT_SECONDS: Final = 10.0
"""And so long for the end of one that is open, of which the client may have missed the secret. Hundreds of fans are at
their banks at a time, and each look of theirs costs a gateway."""
READINGS_KEPT: Final = 61
HAND_OVER_SHARE: Final = 0.5
"""A command waits for its event to be handed over for this share of its deadline; its lane has the rest."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A command of a fan, and how the desk is to answer it.

    It is frozen, so that no ``permit`` writes into it: a function that knows the ask which has it is a circle, and
    keeps the whole request until the garbage collector comes.

    Attributes:
        command: the command; the desk sets its id, moments and trace before it sends it.
        wait_seconds: how long to wait for its outcome.
        permit: called with the command's id before the command leaves; it raises `ProblemError` where it may not, and
            returns the command to be sent in place of ``command``, or None.
        repeats_recorded: if ``permit`` refuses a retry, the desk answers with the outcome that Postgres recorded for
            the same request.
        behind: the command waits behind those of others while its lane is busy.
    """

    command: Command
    idempotency_key: str | None
    wait_seconds: float
    permit: Callable[[uuid.UUID], Awaitable[Command | None]] | None = None
    repeats_recorded: bool = False
    behind: bool = False


class Booked(NamedTuple):
    """A command that its lane took. While its outcome is not known, ``record`` is None or has no body."""

    command_id: uuid.UUID
    record: JobRecord | None


class Desk:
    """One gateway process' way to the booking lanes.

    Args:
        jobs: the jobs' Redis.
    """

    def __init__(
        self,
        settings: LaneSettings,
        engine: AsyncEngine,
        jobs: GatheringRedis,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._jobs = jobs
        self.site_lanes = SiteLanes(engine, jobs, settings.count)
        self.origin = uuid.uuid4().hex
        self.waiters = Waiters(jobs, self.origin)
        self.former_lanes = FormerLanes()
        self._clock_offset_ms: int | None = None
        self._lanes: dict[int, Coalescer] = {}
        self._handed_over_later = 0
        self._figures: dict[int, Figures] = {}
        self._refused_at = -math.inf
        self._readings: deque[tuple[float, dict[int, Figures]]] = deque(maxlen=READINGS_KEPT)

    def _coalescer(self, number: int) -> Coalescer:
        settings = self._settings
        return Coalescer(
            number,
            AsyncLane(self._jobs, number, settings.result_ttl_seconds).enqueue,
            origin=self.origin,
            batch_max=settings.batch_max,
            unfinished_max=settings.batches_unfinished_max,
            buffer_max=settings.buffer_max,
            batch_seconds_max=settings.command_deadline_seconds + LATE_SECONDS,
            wait_seconds_max=settings.wait_seconds_max,
            may_acknowledge=self.site_lanes.may_acknowledge,
        )

    def _lane(self, number: int) -> Coalescer:
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = self._coalescer(number)
        return lane

    @property
    def lanes(self) -> list[Coalescer]:
        """This process' way to each of the site's lanes, in their order."""
        return [self._lane(number) for number in self.site_lanes.numbers]

    async def start(self) -> None:
        """Read the jobs' clock and the map of lanes.

        Raises:
            redis.RedisError, sqlalchemy.exc.SQLAlchemyError: Redis or Postgres does not answer.
        """
        await self.site_lanes.begin()
        seconds, micros = await self._jobs.time()
        self._clock_offset_ms = int(seconds) * 1000 + int(micros) // 1000 - time.monotonic_ns() // 1_000_000

    async def close(self) -> None:
        for lane in list(self._lanes.values()):
            await lane.drain()

    def now_ms(self, lane: Coalescer) -> int:
        """Milliseconds on the clock of the jobs' Redis, carried on by this process' monotonic clock.

        A wall clock may be set while commands wait, so none decides a deadline.
        """
        offset = lane.clock_offset_ms if lane.clock_offset_ms is not None else self._clock_offset_ms
        assert offset is not None
        return time.monotonic_ns() // 1_000_000 + offset

    def on_former(self, news: BatchNews) -> None:
        """As `on_batch`, where a worker of the release before told every gateway."""
        if not news.is_told:
            self.on_batch(news)

    def on_batch(self, news: BatchNews) -> None:
        """A batch is finished: the requests that wait for its outcomes are answered, and its place in the lane is free
        if it was this process's.
        """
        self.waiters.on_awaiting(news.awaiting, news.trace)
        self.waiters.on_outcomes(news.outcomes, news.trace)
        if news.origin == self.origin:
            self._lane(news.lane).finished(news.batch_id)

    async def keep_finishing(self) -> None:
        """Look, for as long as the process runs, for batches that Redis lost, and for finished batches and outcomes
        whose message was lost. Each is counted as finished, because it would else keep its place in the lane.
        """
        while True:
            await asyncio.sleep(LOST_SECONDS)
            for lane in list(self._lanes.values()):
                for batch_id, command_id in lane.unfinished(LOST_SECONDS):
                    record = await self.waiters.read(command_id)
                    if record is None or record.body or record.payment_id or not record.queued:
                        lane.finished(batch_id)
            await self.waiters.reread()

    @property
    def backlog(self) -> int:
        """Commands waiting in this process."""
        return self._handed_over_later + sum(lane.backlog for lane in self._lanes.values())

    def backlog_here(self, lane: int) -> int:
        """Commands that wait in this process for a lane."""
        return self._lane(lane).backlog

    async def backlog_of(self, lane: int, batch_mean: float) -> int:
        """About how many commands wait for a lane: those in this process, and the batches queued in Redis.

        Raises:
            redis.RedisError
        """
        queued = await self._jobs.llen(f"rq:queue:{queue_name(lane)}")
        return self.backlog_here(lane) + round(queued * batch_mean)

    async def keep_figures(self) -> None:
        """Read the lanes' figures each second, for as long as the process runs."""
        while True:
            numbers = self.site_lanes.numbers
            figures = await asyncio.gather(*(read_figures(self._jobs, number) for number in numbers))
            earlier, self._figures = self._figures, dict(zip(numbers, figures, strict=True))
            self.former_lanes.on_figures(earlier, self._figures)
            self._readings.append((time.monotonic(), self._figures))
            await asyncio.sleep(FIGURES_SECONDS)

    def recent(self, lane: int, seconds: float) -> Figures:
        """What the lane did in the last ``seconds`` (at most a minute), at every gateway."""
        since = time.monotonic() - seconds
        now = self.figures_of(lane)
        earlier = next((figures[lane] for at, figures in self._readings if at >= since and lane in figures), now)
        return now.since(earlier)

    def figures_of(self, lane: int) -> Figures:
        """The lane's figures, as they were read last."""
        return self._figures.get(lane, Figures())

    def p95_ms(self, lane: int, seconds: float = 60.0) -> float | None:
        """The 95th percentile of the lane's recent commands from arrival to outcome; None without any."""
        return self.recent(lane, seconds).wait_ms(0.95)

    # -- commands

    def refuse_if_full(self, event_id: int) -> None:
        """Refuse a command at once if its lane would refuse it.

        Routes call this before they do any other work: under overload, the cost of refusals slows the bookings.

        Raises:
            ProblemError: ``overloaded``.
        """
        if self.is_full(event_id):
            self._refused_at = time.monotonic()
            raise overloaded()

    def is_full(self, event_id: int) -> bool:
        """Whether the event's lane would refuse a command now."""
        return self._lane_of(event_id).full or self._handed_over_later >= self._settings.buffer_max

    @property
    def refused_lately(self) -> bool:
        """Whether a command was refused for a full lane in the last `REFUSING_SECONDS`."""
        return time.monotonic() - self._refused_at < REFUSING_SECONDS

    async def book(self, ask: Ask) -> Booked:
        """Send the command to its lane; or, for a retry, repeat the outcome of the first request with its
        Idempotency-Key.

        Raises:
            ProblemError: ``idempotency_key_reused``, ``overloaded`` or ``unavailable``; or what ``ask.permit`` raises.
        """
        command, key = ask.command, ask.idempotency_key
        hash_of_body = body_hash(command)
        if key is None:
            command_id = command_id_new()
        else:
            command_id = command_id_for(command.user_id, key)
            record = await self._first_request(command_id, command.user_id, hash_of_body)
            if record is not None:
                if not record.body and ask.wait_seconds > 0:
                    record = await self.job(command_id, ask.wait_seconds) or record
                return Booked(command_id, record)
        about.note(command_id=command_id)
        lane = self._lane_of(command.event_id)
        received_at_ms = self.now_ms(lane)
        if ask.permit is not None:
            lane.coming += 1
            try:
                command = await ask.permit(command_id) or command
            except ProblemError:
                record = await self.recorded(command_id) if key is not None and ask.repeats_recorded else None
                if record is None or record.body_hash != hash_of_body:
                    raise
                return Booked(command_id, record)
            finally:
                lane.coming -= 1
        command = msgspec.structs.replace(
            command,
            command_id=command_id,
            received_at_ms=received_at_ms,
            deadline_ms=received_at_ms + self._settings.command_deadline_seconds * 1000,
            body_hash=hash_of_body,
            trace=tracing.tracer.here(),
        )
        return Booked(command_id, await self._submit(command, ask.wait_seconds, behind=ask.behind))

    def _lane_of(self, event_id: int) -> Coalescer:
        return self._lane(self.site_lanes.of(event_id))

    async def _await_hand_over(self, event_id: int) -> None:
        """Wait until the event's former lanes have applied what they were given for it.

        Raises:
            ProblemError: ``overloaded``, because they did not in time, or too many commands wait for it.
        """
        if self._handed_over_later >= self._settings.buffer_max:
            raise overloaded()
        self._handed_over_later += 1
        try:
            await self.site_lanes.handed_over(event_id, self._settings.command_deadline_seconds * HAND_OVER_SHARE)
        except TimeoutError:
            raise overloaded() from None
        finally:
            self._handed_over_later -= 1

    async def _first_request(self, command_id: uuid.UUID, user_id: int, hash_of_body: bytes) -> JobRecord | None:
        """Redis' record of the first request with an Idempotency-Key; None if this request is to go ahead.

        Where Redis has lost the record, going ahead is safe: the engine finds the recorded outcome and repeats it.

        Raises:
            ProblemError: ``idempotency_key_reused``.
        """
        claim = JobRecord(user_id, 0, "", hash_of_body, queued=False)
        earlier = await self._jobs.set(job_key(command_id), encode_record(claim), nx=True, get=True, ex=CLAIM_SECONDS)
        if earlier is None:
            return None
        record = decode_record(cast(bytes, earlier))
        _refuse_reuse(record, hash_of_body)
        return record if record.queued else None

    async def _submit(self, command: Command, wait_seconds: float, *, behind: bool) -> JobRecord | None:
        """Hand the command to its lane; return the finished record if it comes within ``wait_seconds``, else None once
        Redis has the job.
        """
        if self.site_lanes.map.waits(command.event_id):
            await self._await_hand_over(command.event_id)
        outcome = self.waiters.expect(command.command_id)
        try:
            taken = self._lane_of(command.event_id).submit(command, behind=behind)
            if wait_seconds > 0:
                # An outcome shows that the lane took the command, so of `taken` only a refusal matters.
                taken.add_done_callback(partial(_pass_refusal, outcome))
                until = time.monotonic() + wait_seconds
                record = await tracing.tracer.waiting(self.waiters.wait(outcome, wait_seconds))
                if record is not None:
                    _refuse_reuse(record, command.body_hash)
                    if record.payment_id is not None and not record.body:
                        # So that the fan can pay with what this request answers.
                        await self._until_open(record.payment_id, until - time.monotonic())
                    return record
            await taken
            return None
        except LaneFullError:
            raise overloaded() from None
        except LaneUnavailableError as away:
            raise ProblemError(
                "unavailable",
                "The booking lane did not answer; retry with the same Idempotency-Key.",
                retry_after_seconds=away.retry_after_seconds,
            ) from None
        finally:
            self.waiters.forget(command.command_id, outcome)

    # -- jobs

    async def job(self, command_id: uuid.UUID, wait_seconds: float) -> JobRecord | None:
        """The record of a job, None if there is none; waits up to ``wait_seconds`` for the job to finish."""
        outcome = self.waiters.expect(command_id) if wait_seconds > 0 else None
        try:
            record = await self.waiters.read(command_id)
            if record is None or not record.queued:
                return await self.recorded(command_id)
            if record.body or outcome is None:
                return record
            # Its worker tells the gateway that sent the job, which may be another one.
            record = await self.waiters.read_and_await(command_id) or record
            if record.body:
                return record
            if record.payment_id is not None:
                self.waiters.know_payment(command_id)
                if await self._until_open(record.payment_id, wait_seconds, outcome):
                    return outcome.result() if outcome.done() and outcome.result() else record
                wait_seconds = min(wait_seconds, OPEN_PAYMENT_WAIT_SECONDS)
            return await tracing.tracer.waiting(self.waiters.wait(outcome, wait_seconds)) or record
        finally:
            if outcome is not None:
                self.waiters.forget(command_id, outcome)

    async def _until_open(
        self, payment_id: uuid.UUID, wait_seconds: float, *others: asyncio.Future[JobRecord | None]
    ) -> bool:
        """Wait until the fan can pay, or one of the others is done, `NEW_PAYMENT_WAIT_SECONDS` at most. False if the
        fan could pay already.
        """
        opened = self.waiters.expect(payment_id)
        try:
            if await self.waiters.opened(payment_id) is not None:
                return False
            await asyncio.wait(
                (opened, *others),
                timeout=max(0.0, min(wait_seconds, NEW_PAYMENT_WAIT_SECONDS)),
                return_when=asyncio.FIRST_COMPLETED,
            )
            return True
        finally:
            self.waiters.forget(payment_id, opened)

    async def recorded(self, command_id: uuid.UUID) -> JobRecord | None:
        """The outcome that Postgres recorded of a command, or the payment that it waits for; None if there is none."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(
                    select(
                        BookingCommand.user_id,
                        BookingCommand.event_id,
                        BookingCommand.kind,
                        BookingCommand.body_hash,
                        BookingCommand.outcome,
                    )
                    .where(BookingCommand.command_id == command_id)
                    .limit(1)
                )
            ).one_or_none()
            if row is None:
                awaited = await job_awaiting(connection, command_id)
                if awaited is None:
                    return None
                kind, hash_of_body = KINDS[Checkout], bytes(awaited.body_hash)
                return JobRecord(
                    awaited.user_id, awaited.event_id, kind, hash_of_body, True, payment_id=awaited.payment_id
                )
        return JobRecord(
            row.user_id, row.event_id, row.kind, bytes(row.body_hash), True, msgspec.json.encode(row.outcome)
        )


def overloaded() -> ProblemError:
    """What a command is refused with where its lane, or the gateway's buffer, is full."""
    return ProblemError("overloaded", retry_after_seconds=LaneFullError.retry_after_seconds)


def _pass_refusal(outcome: asyncio.Future[JobRecord | None], taken: asyncio.Future[None]) -> None:
    error = None if taken.cancelled() else taken.exception()
    if error is not None and not outcome.done():
        outcome.set_exception(error)


def _refuse_reuse(record: JobRecord, body_hash: bytes) -> None:
    if record.body_hash != body_hash:
        raise ProblemError("idempotency_key_reused")
