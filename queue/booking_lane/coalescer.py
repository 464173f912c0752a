"""Batching without a timer: a command is sent at once while its lane has room, and else together with others later.

So the latency stays low under light load, and the batches grow under heavy load.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import redis

from booking_lane import about
from booking_lane.commands import Batch, Command, command_id_new

logger = logging.getLogger(__name__)

RATE_SECONDS: Final = 5.0
"""The lane's pace is measured over this long."""
RATE_SECONDS_MIN: Final = 0.25
BATCHES_MEASURED_MAX: Final = 10_000
LEAVING_AT_ONCE: Final = 64
"""So many commands leave in the midst of a turn of the loop if their lane has nothing to do: a turn that reads hundreds
of requests takes as long as the lane takes for a batch of them.
"""
BEHIND_PART: Final = 8
"""Of a batch at least one command in so many is of those that wait behind the others, while there are any."""


class LaneFullError(Exception):
    """The lane's buffer is full: nothing was queued; try again after ``retry_after_seconds``."""

    retry_after_seconds = 2


class LaneUnavailableError(Exception):
    """Redis did not confirm that it took the batch, but may have taken it: retry with the same Idempotency-Key."""

    retry_after_seconds = 2


class Taken(NamedTuple):
    """The answer of Redis when it took a batch.

    Attributes:
        clock_offset_ms: the clock of Redis minus this process' monotonic clock.
        batches_queued: how many batches the lane's worker has yet to begin, this one included.
        map_revision: the revision of the map of lanes when Redis took the batch; None where Redis has no map.
    """

    clock_offset_ms: int
    batches_queued: int
    map_revision: int | None = None


@dataclass(slots=True)
class _UnderWay:
    """A batch that was sent.

    Attributes:
        timer: gives the batch up when it fires.
        sent_at: when it left this process.
        commands: how many commands the batch has.
        command_id: the id of one of them.
        taken_at: when Redis took the batch.
        takens: what is done once the batch is finished, because it went to a lane that its events were leaving.
    """

    timer: asyncio.TimerHandle
    sent_at: float
    commands: int
    command_id: uuid.UUID
    taken_at: float = math.inf
    takens: Sequence[asyncio.Future[None]] = ()


_Waiting = tuple[asyncio.Future[None], Command, float]
"""A command, what is done once Redis has it, and since when it waits."""


class Coalescer:
    """Gathers one lane's commands into batches. Lives in one event loop; not thread-safe.

    A batch is sent while fewer than ``unfinished_max`` batches of this gateway are under way; while the batches of
    other gateways keep the worker busy, only if none is, because more batches would only be smaller. A batch is under
    way until `finished` is called for it, or for ``batch_seconds_max`` if its message was lost.

    Args:
        enqueue: sends a batch to the lane at once; the answer comes later.
        may_acknowledge: says of a batch that Redis took whether its commands may be acknowledged before they are
            applied.
    """

    def __init__(
        self,
        lane: int,
        enqueue: Callable[[Batch], asyncio.Future[Taken]],
        *,
        origin: str,
        batch_max: int,
        unfinished_max: int,
        buffer_max: int,
        batch_seconds_max: float,
        wait_seconds_max: float,
        may_acknowledge: Callable[[Batch, Taken], bool] = lambda batch, taken: True,
    ) -> None:
        self.number = lane
        self._enqueue = enqueue
        self._origin = origin
        self._batch_max = batch_max
        self._unfinished_max = unfinished_max
        self._buffer_max = buffer_max
        self._batch_seconds_max = batch_seconds_max
        self._wait_seconds_max = wait_seconds_max
        self._may_acknowledge = may_acknowledge
        self._done: deque[tuple[float, int]] = deque()
        """When each batch that the pace is measured by was sent, and how many commands it had."""
        self._done_commands = 0
        self._under_way_commands = 0
        self._others_queued = 0
        self._waiting: deque[_Waiting] = deque()
        self._behind: deque[_Waiting] = deque()
        self._refusing: asyncio.TimerHandle | None = None
        self._unfinished: dict[uuid.UUID, _UnderWay] = {}
        self._sending: set[asyncio.Future[Taken]] = set()
        self._due = False
        self.clock_offset_ms: int | None = None
        self.coming = 0
        """Commands that will be submitted in a moment, unless something refuses them. Of hundreds that are read in one
        turn of the loop none is submitted before all were let in."""
        self.batch_sizes: deque[int] = deque(maxlen=1024)

    @property
    def backlog(self) -> int:
        """Commands that wait in this process for the lane."""
        return len(self._waiting) + len(self._behind)

    def submit(self, command: Command, *, behind: bool = False) -> asyncio.Future[None]:
        """A future that is done once Redis has the command's job and marker.

        Args:
            behind: the command lets others go first: of each batch it has a share of one in `BEHIND_PART`, and what
                the others leave. While nobody else waits it leaves at once.

        Raises:
            LaneFullError: the buffer is full; or (the future) the command waited too long and never left.
            LaneUnavailableError: (the future) Redis did not answer.
        """
        if self._is_full(self.backlog):
            raise LaneFullError
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[None] = loop.create_future()
        (self._behind if behind else self._waiting).append((taken, command, loop.time()))
        if self._refusing is None:
            self._refusing = loop.call_later(self._wait_seconds_max, self._refuse)
        if not self._unfinished and self.backlog >= LEAVING_AT_ONCE:
            about.NOBODY.run(self._leave)
        elif not self._due and self._may_leave():
            # The batch is made after this turn of the loop, so that commands read in one turn share it.
            self._due = True
            loop.call_soon(self._leave, context=about.NOBODY)
        return taken

    @property
    def full(self) -> bool:
        """Whether a command that begins now is to be refused: the buffer is full, or the lane would need, at its pace,
        more than half the time that a command may wait for the commands that come, wait and are under way.

        A fan whose command is refused at once can try again; a fan whose command is withdrawn later has waited in vain.
        As many commands as two whole batches hold, beside the ones under way, are always taken, divided among the
        gateways that keep the lane busy: a pace measured under light load says little, and a low limit would keep the
        batches small.
        """
        return self._is_full(self.backlog + self.coming)

    def _is_full(self, waiting: int) -> bool:
        if waiting >= self._buffer_max:
            return True
        always = (self._unfinished_max + 2) * self._batch_max // (1 + self._others_queued)
        inside = waiting + self._under_way_commands
        return inside >= always and inside >= self._pace() * self._wait_seconds_max / 2

    def _pace(self) -> float:
        """How many commands a second were finished lately; 0 if none was.

        How many were sent says too much: a gateway whose sale begins sends whole batches at once, and would let several
        seconds' worth of commands wait.
        """
        now = asyncio.get_running_loop().time()
        while self._done and (now - self._done[0][0] > RATE_SECONDS or len(self._done) > BATCHES_MEASURED_MAX):
            self._done_commands -= self._done.popleft()[1]
        if not self._done:
            return 0.0
        return self._done_commands / max(RATE_SECONDS_MIN, now - self._done[0][0])

    def _may_leave(self) -> bool:
        under_way_max = self._unfinished_max if self._others_queued < 1 else 1
        return len(self._unfinished) < under_way_max

    def _refuse(self) -> None:
        """Withdraw the commands that have waited too long to be sent."""
        loop = asyncio.get_running_loop()
        since_min = loop.time() - self._wait_seconds_max
        for waiting in (self._waiting, self._behind):
            while waiting and waiting[0][2] <= since_min:
                taken, _, _ = waiting.popleft()
                if not taken.done():
                    taken.set_exception(LaneFullError())
        oldest = min((waiting[0][2] for waiting in (self._waiting, self._behind) if waiting), default=None)
        self._refusing = None if oldest is None else loop.call_later(oldest - since_min, self._refuse)

    def unfinished(self, seconds_min: float) -> list[tuple[uuid.UUID, uuid.UUID]]:
        """The batches that Redis took at least ``seconds_min`` ago and whose message has not come: each as its id and
        the id of one of its commands.
        """
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
        """Count the batch as finished, because its message has come. A second call for it does nothing."""
        batch = self._unfinished.pop(batch_id, None)
        if batch is not None:
            batch.timer.cancel()
            self._under_way_commands -= batch.commands
            self._done.append((batch.sent_at, batch.commands))
            self._done_commands += batch.commands
            _acknowledge(batch.takens)
            self._leave()

    async def drain(self) -> None:
        """Send every waiting command, however many batches are unfinished, and wait for Redis to answer."""
        self._unfinished_max = sys.maxsize
        while self.backlog or self._sending:
            self._others_queued = 0
            self._leave()
            await asyncio.wait(set(self._sending))

    def _leave(self) -> None:
        self._due = False
        loop = asyncio.get_running_loop()
        while (self._waiting or self._behind) and self._may_leave():
            leaving = self._next()
            count = len(leaving)
            takens = [taken for taken, _, _ in leaving]
            batch = Batch(command_id_new(), self._origin, self.number, tuple([command for _, command, _ in leaving]))
            timer = loop.call_later(self._batch_seconds_max, self.finished, batch.batch_id)
            self._unfinished[batch.batch_id] = _UnderWay(timer, loop.time(), count, batch.commands[0].command_id)
            self._under_way_commands += count
            self.batch_sizes.append(count)
            sending = self._send(batch)
            self._sending.add(sending)
            sending.add_done_callback(partial(self._on_taken, batch, takens))

    def _next(self) -> list[_Waiting]:
        """Take the commands of the next batch: in order of arrival, those behind after the others."""
        room = self._batch_max
        if not self._behind:
            return [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        of_behind = min(len(self._behind), max(room - len(self._waiting), room // BEHIND_PART, 1))
        ordinary = [self._waiting.popleft() for _ in range(min(room - of_behind, len(self._waiting)))]
        return ordinary + [self._behind.popleft() for _ in range(of_behind)]

    def _send(self, batch: Batch) -> asyncio.Future[Taken]:
        try:
            return self._enqueue(batch)
        except Exception as error:
            failed: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    def _on_taken(self, batch: Batch, takens: list[asyncio.Future[None]], sending: asyncio.Future[Taken]) -> None:
        self._sending.discard(sending)
        loop = asyncio.get_running_loop()
        error = asyncio.CancelledError() if sending.cancelled() else sending.exception()
        if error is not None:
            # After any error the waiting requests must be answered, and the batch's place in the lane must be free.
            is_expected = isinstance(error, redis.RedisError | OSError | asyncio.CancelledError)
            logger.warning(
                "batch of %d commands not taken: %s",
                len(takens),
                error,
                exc_info=None if is_expected else error,
                extra={"batch_id": batch.batch_id, "lane": self.number},
            )
            for taken in takens:
                if not taken.done():
                    taken.set_exception(LaneUnavailableError())
            self.finished(batch.batch_id)
            return
        answer = sending.result()
        self.clock_offset_ms = answer.clock_offset_ms
        self._others_queued = max(0, answer.batches_queued - len(self._unfinished))
        under_way = self._unfinished.get(batch.batch_id)
        if under_way is not None:
            under_way.taken_at = loop.time()
        if under_way is None or self._may_acknowledge(batch, answer):
            _acknowledge(takens)
        else:
            under_way.takens = takens
        # The batches of other gateways may have been finished meanwhile.
        self._leave()


def _acknowledge(takens: Sequence[asyncio.Future[None]]) -> None:
    for taken in takens:
        if not taken.done():
            taken.set_result(None)
