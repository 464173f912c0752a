"""Natural batching: a command leaves at once while its lane has room, and in company when it has not.

No timer to tune: light load keeps its low latency, heavy load grows the batch.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, NamedTuple

import redis

from booking_lane import about
from booking_lane.commands import Batch, Command, command_id_new

logger = logging.getLogger(__name__)

RATE_SECONDS: Final = 5.0
"""Over how long the lane's pace is measured."""
RATE_SECONDS_MIN: Final = 0.25
LEFT_MAX: Final = 10_000


class LaneFullError(Exception):
    """The lane's buffer is full: nothing was queued; try again after ``retry_after_seconds``."""

    retry_after_seconds = 2


class LaneUnavailableError(Exception):
    """Redis did not say that it has the batch. It may have it: retry with the same Idempotency-Key."""

    retry_after_seconds = 2


class Taken(NamedTuple):
    """What Redis said of a batch it took.

    Attributes:
        clock_offset_ms: its clock less this process' monotonic one.
        batches_queued: how many the lane's worker has yet to begin, this one among them.
    """

    clock_offset_ms: int
    batches_queued: int


@dataclass(slots=True)
class _UnderWay:
    """A batch that left: the timer that gives it up, its commands' number, one of them, and when Redis took it."""

    timer: asyncio.TimerHandle
    commands: int
    command_id: uuid.UUID
    taken_at: float = math.inf


class Coalescer:
    """Gathers one lane's commands into batches. Lives in one event loop; not thread-safe.

    A batch leaves when fewer than ``unfinished_max`` of this gateway's are under way, or none while others' batches
    keep the worker busy: each more would only make all of them smaller. It is under way until `finished` is called
    for it, or for ``batch_seconds_max`` if its message was lost.

    Args:
        enqueue: blocking; puts a batch on the lane.
        executor: runs ``enqueue``; its threads bound how many enqueue at a time.
    """

    def __init__(
        self,
        lane: int,
        enqueue: Callable[[Batch], Taken],
        executor: Executor,
        *,
        origin: str,
        batch_max: int,
        unfinished_max: int,
        buffer_max: int,
        batch_seconds_max: float,
        wait_seconds_max: float,
    ) -> None:
        self.number = lane
        self._enqueue = enqueue
        self._executor = executor
        self._origin = origin
        self._batch_max = batch_max
        self._unfinished_max = unfinished_max
        self._buffer_max = buffer_max
        self._batch_seconds_max = batch_seconds_max
        self._wait_seconds_max = wait_seconds_max
        self._left: deque[tuple[float, int]] = deque()
        self._left_commands = 0
        self._under_way_commands = 0
        self._others_queued = 0
        self._waiting: deque[tuple[asyncio.Future[None], Command, float]] = deque()
        self._refusing: asyncio.TimerHandle | None = None
        self._unfinished: dict[uuid.UUID, _UnderWay] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._due = False
        self.clock_offset_ms: int | None = None
        self.batch_sizes: deque[int] = deque(maxlen=1024)

    @property
    def backlog(self) -> int:
        """Commands that wait in this process for the lane."""
        return len(self._waiting)

    def submit(self, command: Command) -> asyncio.Future[None]:
        """A future that is done once Redis has the command's job and marker.

        Raises:
            LaneFullError: the buffer is full; or (the future) the command waited too long and never left.
            LaneUnavailableError: (the future) Redis did not answer.
        """
        if self.full:
            raise LaneFullError
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[None] = loop.create_future()
        self._waiting.append((taken, command, loop.time()))
        if self._refusing is None:
            self._refusing = loop.call_later(self._wait_seconds_max, self._refuse)
        if not self._due and self._may_leave():
            # After this turn of the loop, so that commands read in one turn leave together.
            self._due = True
            loop.call_soon(self._leave, context=about.NOBODY)
        return taken

    @property
    def full(self) -> bool:
        """Whether a command that came now would be refused: the buffer is full, or what waits and is under way is all
        that the lane will do, at its pace, in half the time that a command may wait.

        Refused at once, a fan may try again; taken and withdrawn, they have waited for nothing. Two whole batches
        behind those under way, shared among the gateways that keep the lane busy, are always taken: a pace measured
        on light load says little, and one of small batches keeps them small.
        """
        waiting = len(self._waiting)
        if waiting >= self._buffer_max:
            return True
        always = (self._unfinished_max + 2) * self._batch_max // (1 + self._others_queued)
        inside = waiting + self._under_way_commands
        return inside >= always and inside >= self._pace() * self._wait_seconds_max / 2

    def _pace(self) -> float:
        """Commands a second that left lately; without any, more than there could be."""
        now = asyncio.get_running_loop().time()
        while self._left and (now - self._left[0][0] > RATE_SECONDS or len(self._left) > LEFT_MAX):
            self._left_commands -= self._left.popleft()[1]
        if not self._left:
            return math.inf
        return self._left_commands / max(RATE_SECONDS_MIN, now - self._left[0][0])

    def _may_leave(self) -> bool:
        under_way_max = self._unfinished_max if self._others_queued < 1 else 1
        return len(self._unfinished) < under_way_max

    def _refuse(self) -> None:
        """Take back the commands that have waited too long to leave."""
        now = asyncio.get_running_loop().time()
        self._refusing = None
        while self._waiting:
            taken, _, since = self._waiting[0]
            left = since + self._wait_seconds_max - now
            if left > 0:
                self._refusing = asyncio.get_running_loop().call_later(left, self._refuse)
                return
            self._waiting.popleft()
            if not taken.done():
                taken.set_exception(LaneFullError())

    def unfinished(self, seconds_min: float) -> list[tuple[uuid.UUID, uuid.UUID]]:
        """(batch id, a command's id) of batches that Redis took so long ago and whose message has not come."""
        now = asyncio.get_running_loop().time()
        return [
            (batch_id, batch.command_id)
            for batch_id, batch in self._unfinished.items()
            if now - batch.taken_at >= seconds_min
        ]

    @property
    def oldest_seconds(self) -> float:
        """How long ago Redis took the oldest batch of this process whose message has not come; 0 without any."""
        taken_at = min((batch.taken_at for batch in self._unfinished.values()), default=math.inf)
        return 0.0 if taken_at == math.inf else asyncio.get_running_loop().time() - taken_at

    def finished(self, batch_id: uuid.UUID) -> None:
        """The batch's message has come; idempotent."""
        batch = self._unfinished.pop(batch_id, None)
        if batch is not None:
            batch.timer.cancel()
            self._under_way_commands -= batch.commands
            self._leave()

    async def drain(self) -> None:
        """Send every waiting command, however many batches are unfinished, and wait for Redis to answer."""
        self._unfinished_max = sys.maxsize
        while self._waiting or self._sending:
            self._others_queued = 0
            self._leave()
            await asyncio.wait(set(self._sending))

    def _leave(self) -> None:
        self._due = False
        loop = asyncio.get_running_loop()
        while self._waiting and self._may_leave():
            count = min(self._batch_max, len(self._waiting))
            leaving = [self._waiting.popleft() for _ in range(count)]
            takens = [taken for taken, _, _ in leaving]
            batch = Batch(command_id_new(), self._origin, self.number, tuple([command for _, command, _ in leaving]))
            timer = loop.call_later(self._batch_seconds_max, self.finished, batch.batch_id)
            self._unfinished[batch.batch_id] = _UnderWay(timer, count, batch.commands[0].command_id)
            self._under_way_commands += count
            self.batch_sizes.append(count)
            self._left.append((loop.time(), count))
            self._left_commands += count
            self._sending.add(task := loop.create_task(self._send(batch, takens)))
            task.add_done_callback(self._sending.discard)

    async def _send(self, batch: Batch, takens: list[asyncio.Future[None]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._executor, self._enqueue, batch)
        except Exception as error:
            # Whatever it was: who waits must hear of it, and the batch's place be free.
            known = isinstance(error, redis.RedisError | OSError)
            logger.warning(
                "batch of %d commands not taken: %s",
                len(takens),
                error,
                exc_info=not known,
                extra={"batch_id": batch.batch_id, "lane": self.number},
            )
            for taken in takens:
                if not taken.done():
                    taken.set_exception(LaneUnavailableError())
            self.finished(batch.batch_id)
        else:
            self.clock_offset_ms = answer.clock_offset_ms
            self._others_queued = max(0, answer.batches_queued - len(self._unfinished))
            if batch.batch_id in self._unfinished:
                self._unfinished[batch.batch_id].taken_at = loop.time()
            for taken in takens:
                if not taken.done():
                    taken.set_result(None)
            # The others' batches may have gone meanwhile.
            self._leave()
