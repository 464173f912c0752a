from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator

import pytest
import redis

from booking_lane.coalescer import LEAVING_AT_ONCE, Coalescer, LaneFullError, LaneUnavailableError, Taken
from booking_lane.commands import Batch
from tests.unit.booking_lane.asks import reserve
from tests.waiting import await_that


class Gate:
    """An enqueue that takes what it is told to take, and waits or fails when told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.failures: list[Exception] = []
        self.queued = 1
        self.open = asyncio.Event()
        self.open.set()

    def enqueue(self, batch: Batch) -> asyncio.Future[Taken]:
        return asyncio.get_running_loop().create_task(self._taken(batch))

    async def _taken(self, batch: Batch) -> Taken:
        await asyncio.wait_for(self.open.wait(), 10)
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(batch)
        return Taken(123_000, self.queued)

    @property
    def sizes(self) -> list[int]:
        return [len(batch.commands) for batch in self.batches]


@pytest.fixture
def gate() -> Gate:
    return Gate()


def make(
    gate: Gate,
    *,
    batch_max: int = 10,
    buffer_max: int = 100,
    batch_seconds_max: float = 30,
    wait_seconds_max: float = 5,
) -> Coalescer:
    return Coalescer(
        1,
        gate.enqueue,
        origin="here",
        batch_max=batch_max,
        unfinished_max=2,
        buffer_max=buffer_max,
        batch_seconds_max=batch_seconds_max,
        wait_seconds_max=wait_seconds_max,
    )


@pytest.fixture
async def coalescer(gate: Gate) -> AsyncIterator[Coalescer]:
    coalescer = make(gate)
    yield coalescer
    gate.open.set()


async def test_a_command_leaves_at_once_when_the_lane_is_idle(coalescer: Coalescer, gate: Gate) -> None:
    command = reserve(1, 1, (1, 1, 1))
    await asyncio.wait_for(coalescer.submit(command), 1)
    (batch,) = gate.batches
    assert batch.commands == (command,)
    assert (batch.lane, batch.origin) == (1, "here")
    assert coalescer.clock_offset_ms == 123_000
    assert coalescer.backlog == 0


async def test_commands_read_in_one_turn_leave_together(coalescer: Coalescer, gate: Gate) -> None:
    commands = [reserve(1, fan, (1, 1, fan)) for fan in range(5)]
    await asyncio.gather(*[coalescer.submit(command) for command in commands])
    assert [batch.commands for batch in gate.batches] == [tuple(commands)]


async def test_many_commands_leave_in_the_midst_of_a_turn_while_the_lane_has_nothing_to_do(gate: Gate) -> None:
    coalescer = make(gate, batch_max=1000, buffer_max=1000)
    taken = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in range(3 * LEAVING_AT_ONCE)]
    assert list(coalescer.batch_sizes) == [LEAVING_AT_ONCE], "no turn of the loop has ended"
    assert coalescer.backlog == 2 * LEAVING_AT_ONCE, "the lane has something to do: the others share a batch"
    await asyncio.wait_for(asyncio.gather(*taken), 1)
    assert gate.sizes == [LEAVING_AT_ONCE, 2 * LEAVING_AT_ONCE]


async def test_commands_that_come_while_two_batches_are_unfinished_leave_together(
    coalescer: Coalescer, gate: Gate
) -> None:
    await coalescer.submit(reserve(1, 1, (1, 1, 1)))
    await coalescer.submit(reserve(1, 2, (1, 1, 2)))
    later = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in range(3, 8)]
    await asyncio.sleep(0.05)
    assert gate.sizes == [1, 1], "two are under way: the rest waits"
    assert coalescer.backlog == 5
    coalescer.finished(gate.batches[0].batch_id)
    await asyncio.gather(*later)
    assert gate.sizes == [1, 1, 5]
    assert [command.user_id for command in gate.batches[2].commands] == [3, 4, 5, 6, 7], "in order of arrival"


async def test_one_batch_at_a_time_leaves_while_others_keep_the_worker_busy(coalescer: Coalescer, gate: Gate) -> None:
    gate.queued = 3
    await coalescer.submit(reserve(1, 1, (1, 1, 1)))
    later = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in range(2, 6)]
    await asyncio.sleep(0.05)
    assert gate.sizes == [1], "two of others wait in the lane already"
    gate.queued = 1
    coalescer.finished(gate.batches[0].batch_id)
    await asyncio.gather(*later)
    assert gate.sizes == [1, 4], "in one batch, not in two"
    await asyncio.wait_for(coalescer.submit(reserve(1, 9, (1, 1, 9))), 1)
    assert gate.sizes == [1, 4, 1], "the others have gone: a second may be under way again"


async def test_who_waited_for_others_leaves_once_they_are_gone(coalescer: Coalescer, gate: Gate) -> None:
    gate.queued = 3
    await coalescer.submit(reserve(1, 1, (1, 1, 1)))
    later = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in range(2, 14)]
    await asyncio.sleep(0.05)
    assert gate.sizes == [1]
    gate.queued = 1
    coalescer.finished(gate.batches[0].batch_id)
    await asyncio.wait_for(asyncio.gather(*later), 1)
    assert gate.sizes == [1, 10, 2], "a second may be under way, and nobody comes who would set it off"


async def test_a_lane_is_full_when_it_holds_what_it_can_do_in_half_the_wait(gate: Gate) -> None:
    # Two minutes, so that the machine's own pace does not matter here.
    coalescer = make(gate, wait_seconds_max=120, buffer_max=100_000)

    def fill() -> int:
        taken = 0
        while not coalescer.full:
            coalescer.submit(reserve(1, 1, (1, 1, 1)))
            taken += 1
        with pytest.raises(LaneFullError):
            coalescer.submit(reserve(1, 1, (1, 1, 1)))
        return taken

    async def left(sizes: list[int]) -> None:
        await asyncio.to_thread(await_that, lambda: gate.sizes == sizes, each_seconds=0.005)

    assert fill() == 40, "no pace is known yet: what is always taken"
    await left([10, 10])
    assert coalescer.full, "that two batches were sent says nothing of how fast the lane is"
    coalescer.finished(gate.batches[0].batch_id)
    await left([10, 10, 10])
    # 10 in the quarter of a second that is looked at least are 40 a second, 2,400 in half of the wait.
    assert 10 < fill() <= 2_400 - 30


async def test_a_gateway_among_many_takes_its_share_of_what_is_always_taken(gate: Gate) -> None:
    coalescer = make(gate, wait_seconds_max=0.02)
    gate.queued = 4
    await coalescer.submit(reserve(1, 1, (1, 1, 1)))
    taken = 0
    while not coalescer.full:
        coalescer.submit(reserve(1, 1, (1, 1, 1)))
        taken += 1
    # 4 x 10 shared with three others is 10, one of them under way.
    assert taken == 9


async def test_a_batch_is_never_larger_than_batch_max(coalescer: Coalescer, gate: Gate) -> None:
    waiting = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in range(1, 26)]
    await asyncio.gather(*waiting[:20])
    coalescer.finished(gate.batches[0].batch_id)
    await asyncio.gather(*waiting)
    assert gate.sizes == [10, 10, 5]
    assert list(coalescer.batch_sizes) == [10, 10, 5]


async def test_the_buffer_is_bounded(gate: Gate) -> None:
    coalescer = make(gate, buffer_max=3)
    await coalescer.submit(reserve(1, 1, (1, 1, 1)))
    await coalescer.submit(reserve(1, 2, (1, 1, 2)))
    waiting = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in range(3)]
    with pytest.raises(LaneFullError) as full:
        coalescer.submit(reserve(1, 9, (1, 1, 9)))
    assert full.value.retry_after_seconds > 0
    assert coalescer.backlog == 3
    coalescer.finished(gate.batches[0].batch_id)
    await asyncio.gather(*waiting)
    assert gate.sizes == [1, 1, 3], "the refused command was not queued"


async def test_finished_is_idempotent(coalescer: Coalescer, gate: Gate) -> None:
    await coalescer.submit(reserve(1, 1, (1, 1, 1)))
    await coalescer.submit(reserve(1, 2, (1, 1, 2)))
    for _ in range(3):
        coalescer.finished(gate.batches[0].batch_id)
    await coalescer.submit(reserve(1, 3, (1, 1, 3)))
    fourth = coalescer.submit(reserve(1, 4, (1, 1, 4)))
    await asyncio.sleep(0.05)
    assert not fourth.done(), "one message frees one place, however often it comes"
    coalescer.finished(gate.batches[1].batch_id)
    await asyncio.wait_for(fourth, 1)


async def test_a_lost_message_frees_its_place_in_time(gate: Gate) -> None:
    coalescer = make(gate, batch_seconds_max=0.15)
    begun = asyncio.get_running_loop().time()
    await coalescer.submit(reserve(1, 1, (1, 1, 1)))
    await coalescer.submit(reserve(1, 2, (1, 1, 2)))
    third = coalescer.submit(reserve(1, 3, (1, 1, 3)))
    await asyncio.wait_for(third, 4)
    assert asyncio.get_running_loop().time() - begun >= 0.15, "and no sooner"
    assert gate.sizes == [1, 1, 1]


@pytest.mark.parametrize(
    "failure", [redis.ConnectionError("away"), redis.TimeoutError("late"), ConnectionResetError(), ValueError("bug")]
)
async def test_a_batch_that_redis_does_not_take_fails_alone(
    coalescer: Coalescer, gate: Gate, failure: Exception
) -> None:
    gate.failures.append(failure)
    lost = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in (1, 2)]
    answers = await asyncio.wait_for(asyncio.gather(*lost, return_exceptions=True), 2)
    assert [type(answer) for answer in answers] == [LaneUnavailableError, LaneUnavailableError]
    # Both places are free again.
    for fan in (3, 4):
        await asyncio.wait_for(coalescer.submit(reserve(1, fan, (1, 1, fan))), 1)
    assert gate.sizes == [1, 1]


async def test_a_failing_batch_lets_the_next_go(coalescer: Coalescer, gate: Gate) -> None:
    gate.open.clear()
    first = coalescer.submit(reserve(1, 1, (1, 1, 1)))
    await asyncio.sleep(0)
    second = coalescer.submit(reserve(1, 2, (1, 1, 2)))
    await asyncio.sleep(0)
    third = coalescer.submit(reserve(1, 3, (1, 1, 3)))
    gate.failures.append(redis.ConnectionError("away"))
    gate.open.set()
    answers = await asyncio.wait_for(asyncio.gather(first, second, third, return_exceptions=True), 2)
    assert sorted(type(answer).__name__ for answer in answers) == ["LaneUnavailableError", "NoneType", "NoneType"]
    assert sum(gate.sizes) == 2


async def test_a_client_that_leaves_takes_nothing_with_it(coalescer: Coalescer, gate: Gate) -> None:
    gate.open.clear()
    gone = coalescer.submit(reserve(1, 1, (1, 1, 1)))
    stays = coalescer.submit(reserve(1, 2, (1, 1, 2)))
    await asyncio.sleep(0.01)
    gone.cancel()
    gate.open.set()
    await asyncio.wait_for(stays, 1)
    assert gate.sizes == [2]


async def test_drain_sends_what_waits_and_hears_redis_answer(coalescer: Coalescer, gate: Gate) -> None:
    gate.open.clear()
    taken = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in range(40)]
    await asyncio.sleep(0.01)
    draining = asyncio.create_task(coalescer.drain())
    await asyncio.sleep(0.05)
    assert not draining.done()
    gate.open.set()
    # No message of a finished batch comes any more: at the end nobody waits for one.
    await asyncio.wait_for(draining, 2)
    assert all(future.done() for future in taken)
    assert sum(gate.sizes) == 40
    assert coalescer.backlog == 0


class SlowLane:
    """One worker that takes 20 ms a batch, whatever is in it, as a fixed cost would."""

    BATCH_SECONDS = 0.02

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[Batch, Coalescer]] = asyncio.Queue()
        self.sizes: list[int] = []
        self.depth_max = 0

    async def work(self) -> None:
        while True:
            self.depth_max = max(self.depth_max, self.queue.qsize())
            batch, coalescer = await self.queue.get()
            await asyncio.sleep(self.BATCH_SECONDS)
            self.sizes.append(len(batch.commands))
            coalescer.finished(batch.batch_id)


async def test_four_gateways_over_capacity_do_not_drown_the_lane_in_small_batches() -> None:
    loop = asyncio.get_running_loop()
    lane = SlowLane()
    coalescers: list[Coalescer] = []
    for number in range(4):

        def enqueue(batch: Batch, number: int = number) -> asyncio.Future[Taken]:
            lane.queue.put_nowait((batch, coalescers[number]))
            taken: asyncio.Future[Taken] = loop.create_future()
            taken.set_result(Taken(0, lane.queue.qsize()))
            return taken

        coalescers.append(
            Coalescer(
                0,
                enqueue,
                origin=str(number),
                batch_max=32,
                unfinished_max=2,
                buffer_max=64,
                batch_seconds_max=30,
                wait_seconds_max=5,
            )
        )
    worker = asyncio.create_task(lane.work())
    # Batches of one would book 50 a second, full ones 1,600; 3,000 come, whether the earlier are done or not.
    submitted = refused = 0
    begun = loop.time()
    while len(lane.sizes) < 50:
        passed = loop.time() - begun
        assert passed < 30, lane.sizes
        while submitted < passed * 3000:
            submitted += 1
            try:
                coalescers[submitted % 4].submit(reserve(1, submitted, (1, 1, submitted)))
            except LaneFullError:
                refused += 1
        await asyncio.sleep(0.002)
    worker.cancel()
    settled = lane.sizes[len(lane.sizes) // 2 :]
    assert len(settled) > 10
    assert statistics.mean(settled) > 30, "batches grow to what the lane allows, and stay there"
    assert min(settled) > 24
    assert lane.depth_max <= 8, "two batches a gateway, no more"
    assert refused > 0, "what the lane cannot take is refused, not kept"
    for coalescer in coalescers:
        assert coalescer.backlog <= 64


async def test_a_command_that_cannot_leave_in_time_is_refused(gate: Gate) -> None:
    impatient = make(gate, wait_seconds_max=0.6)
    await impatient.submit(reserve(1, 1, (1, 1, 1)))
    await impatient.submit(reserve(1, 2, (1, 1, 2)))
    waiting = impatient.submit(reserve(1, 3, (1, 1, 3)))
    await asyncio.sleep(0.5)
    later = impatient.submit(reserve(1, 4, (1, 1, 4)))
    with pytest.raises(LaneFullError):
        await asyncio.wait_for(waiting, 1)
    assert not later.done(), "each has its own time"
    impatient.finished(gate.batches[0].batch_id)
    await asyncio.wait_for(later, 1)
    assert [command.user_id for command in gate.batches[2].commands] == [4]


async def test_batches_whose_message_is_late_are_named(
    coalescer: Coalescer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    await coalescer.submit(reserve(1, 1, (1, 1, 1)))
    await asyncio.sleep(0.01)
    between = loop.time()
    await asyncio.sleep(0.01)
    await coalescer.submit(reserve(1, 2, (1, 1, 2)))
    first, second = gate.batches
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)  # a busy machine stops between two looks at its clock
    assert coalescer.unfinished(now - between) == [(first.batch_id, first.commands[0].command_id)]
    monkeypatch.undo()
    assert len(coalescer.unfinished(0)) == 2
    coalescer.finished(first.batch_id)
    assert [batch_id for batch_id, _ in coalescer.unfinished(0)] == [second.batch_id]


async def test_commands_behind_have_their_part_of_each_batch_and_what_others_leave(gate: Gate) -> None:
    coalescer = make(gate, batch_max=8)
    for fan in (1, 2):
        await coalescer.submit(reserve(1, fan, (1, 1, fan)))
    behind = [coalescer.submit(reserve(1, 100 + fan, (1, 2, fan)), behind=True) for fan in range(4)]
    others = [coalescer.submit(reserve(1, fan, (1, 1, fan))) for fan in range(3, 15)]
    assert coalescer.backlog == 16
    coalescer.finished(gate.batches[0].batch_id)
    await asyncio.wait_for(others[0], 5)
    assert [command.user_id for command in gate.batches[2].commands] == [*range(3, 10), 100]
    coalescer.finished(gate.batches[1].batch_id)
    await asyncio.wait_for(asyncio.gather(*behind, *others), 5)
    assert [command.user_id for command in gate.batches[3].commands] == [*range(10, 15), 101, 102, 103]


async def test_a_command_behind_leaves_at_once_where_nobody_waits(coalescer: Coalescer, gate: Gate) -> None:
    await asyncio.wait_for(coalescer.submit(reserve(1, 1, (1, 1, 1)), behind=True), 1)
    assert gate.sizes == [1]


async def test_a_command_behind_is_withdrawn_like_others_when_it_waited_too_long(gate: Gate) -> None:
    coalescer = make(gate, wait_seconds_max=0.05)
    for fan in (1, 2):
        await coalescer.submit(reserve(1, fan, (1, 1, fan)))
    late = [coalescer.submit(reserve(1, fan, (1, 1, fan)), behind=fan == 4) for fan in (3, 4)]
    for taken in late:
        with pytest.raises(LaneFullError):
            await asyncio.wait_for(taken, 5)
    assert coalescer.backlog == 0
