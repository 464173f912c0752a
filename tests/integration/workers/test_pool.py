"""Real pools of real processes, killed where it hurts."""

from __future__ import annotations

import os
import signal
import time

import psycopg
import pytest

from booking_lane.alive import alive_workers
from booking_lane.commands import Command
from booking_lane.results import channel, decode_news
from tests.integration.workers.lanes import BACK_SECONDS_MAX, LANES, Lanes, await_true
from tests.unit.booking_lane.asks import checkout, reserve

A1, A2 = (1, 1, 1), (1, 1, 2)


def purchases(lanes: Lanes) -> int:
    with psycopg.connect(lanes.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM purchase").fetchone()
    assert row is not None
    return int(row[0])


def batch_of(event: int, fans: int, row: int = 1) -> list[Command]:
    commands: list[Command] = []
    for fan in range(1, fans + 1):
        seat = (1, row, fan)
        commands += [reserve(event, row * 100 + fan, seat), checkout(event, row * 100 + fan, seat)]
    return commands


def test_batches_are_answered_on_every_lane_and_rq_keeps_nothing(lanes: Lanes) -> None:
    lanes.pool()
    events = [lanes.event_in_lane(lane) for lane in range(LANES)]
    lanes.await_workers()
    with lanes.jobs.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(*[channel(lane) for lane in range(LANES)])
        sent = {lane: batch_of(event, 3) for lane, event in enumerate(events)}
        batches = [lanes.enqueue(lane, *commands) for lane, commands in sent.items()]
        _, codes = lanes.await_answers(*sent[0], *sent[1])
        assert codes == ["ok"] * 12
        heard: list[tuple[object, int, int, list[int]]] = []
        until = time.monotonic() + 5
        while len(heard) < 2 and time.monotonic() < until:
            message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.5)
            if message is not None and (news := decode_news(message["data"])).origin == "a gateway":
                changed = [change.event_id for change in news.changes]
                heard.append((news.batch_id, news.lane, len(news.outcomes), changed))
    assert {one[1]: one for one in heard} == {
        lane: (batch.batch_id, lane, 6, [events[lane]]) for lane, batch in enumerate(batches)
    }
    lanes.assert_nothing_left(*batches)


@pytest.mark.parametrize("point", ["locked", "written", "committed", "published"])
def test_a_lane_worker_killed_anywhere_is_replaced_and_its_batch_applied_once(lanes: Lanes, point: str) -> None:
    """``committed``: Postgres has it and nobody has been told. ``published``: everybody has."""
    lanes.pool()
    event = lanes.event_in_lane(1)
    lanes.await_workers()
    lanes.stop_at(point)
    commands = batch_of(event, 5)
    batch = lanes.enqueue(1, *commands)
    lanes.reached()
    behind = batch_of(event, 5, row=2)
    second = lanes.enqueue(1, *behind)
    lanes.kill_at(point)
    seconds, codes = lanes.await_answers(*commands, *behind, seconds_max=BACK_SECONDS_MAX)
    assert codes == ["ok"] * 20
    assert purchases(lanes) == 10
    lanes.assert_nothing_left(batch, second)
    assert lanes.queue(1).failed_job_registry.count == 0
    print(f"killed at {point}: answered after {seconds:.2f} s")


@pytest.mark.long
def test_a_command_that_kills_its_worker_fails_alone(lanes: Lanes) -> None:
    """Again and again, as a fault in a library's C code would: the others of its batch succeed."""
    (lanes.folder / "deadly").write_text("13")
    lanes.pool()
    event = lanes.event_in_lane(1)
    lanes.await_workers()
    commands: list[Command] = [reserve(event, fan, (1, 1 + fan // 20, 1 + fan % 20)) for fan in range(1, 256)]
    commands.insert(100, deadly := reserve(event, 13, A2))
    commands.remove(commands[12])
    batch = lanes.enqueue(1, *commands)
    seconds, codes = lanes.await_answers(*commands, seconds_max=40)
    assert codes.count("ok") == len(commands) - 1 == 254
    assert codes[commands.index(deadly)] == "internal_error"
    lanes.assert_nothing_left(batch)
    for lane in range(LANES):
        assert lanes.queue(lane).failed_job_registry.count == 0
    # It is ended for good, even where what was wrong with it is mended.
    (lanes.folder / "deadly").unlink()
    again = lanes.enqueue(1, deadly)
    lanes.assert_nothing_left(again)
    assert lanes.await_answers(deadly)[1] == ["internal_error"]
    print(f"254 beside a deadly one answered after {seconds:.1f} s")


def test_a_whole_pool_killed_is_replaced_by_the_next(lanes: Lanes) -> None:
    first = lanes.pool()
    event = lanes.event_in_lane(0)
    lanes.await_workers()
    lanes.stop_at("written")
    commands, behind = batch_of(event, 3), batch_of(event, 3, row=2)
    batches = [lanes.enqueue(0, *commands)]
    worker = lanes.reached()
    batches.append(lanes.enqueue(0, *behind))
    first.kill()
    await_true("no child outlives its pool", lambda: not os.path.exists(f"/proc/{worker}"), 5)
    lanes.go_on("written")
    lanes.next_pool()
    _, codes = lanes.await_answers(*commands, *behind, seconds_max=BACK_SECONDS_MAX)
    assert codes == ["ok"] * 12
    assert purchases(lanes) == 6
    lanes.assert_nothing_left(*batches)


def test_a_job_left_between_queue_and_worker_is_found(lanes: Lanes) -> None:
    event = lanes.event_in_lane(0)
    commands = batch_of(event, 3)
    batch = lanes.enqueue(0, *commands)
    queue = lanes.queue(0)
    lanes.jobs.lmove(queue.key, queue.intermediate_queue_key)
    lanes.pool()
    lanes.await_workers()
    _, codes = lanes.await_answers(*commands, seconds_max=BACK_SECONDS_MAX)
    assert codes == ["ok"] * 6
    lanes.assert_nothing_left(batch)


def test_sigterm_lets_the_batch_finish(lanes: Lanes) -> None:
    pool = lanes.pool()
    event = lanes.event_in_lane(0)
    lanes.await_workers()
    lanes.stop_at("written")
    commands = batch_of(event, 3)
    batch = lanes.enqueue(0, *commands)
    lanes.reached()
    begun = time.monotonic()
    pool.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert pool.process.poll() is None, "it waits for the batch"
    lanes.go_on("written")
    pool.process.wait(10)
    assert time.monotonic() - begun < 10
    assert pool.process.returncode == 0
    _, codes = lanes.await_answers(*commands, seconds_max=0.5)
    assert codes == ["ok"] * 6
    lanes.assert_nothing_left(batch)
    assert [alive_workers(lanes.jobs, f"lane-{lane}") for lane in range(LANES)] == [set(), set()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_all_its_processes_lets_the_batch_finish(lanes: Lanes, number: signal.Signals) -> None:
    """As Ctrl-C or an init does, or a terminal that is closed: the workers are signalled twice, by their pool too."""
    pool = lanes.pool()
    event = lanes.event_in_lane(0)
    lanes.await_workers()
    lanes.stop_at("written")
    commands = batch_of(event, 3)
    batch = lanes.enqueue(0, *commands)
    lanes.reached()
    begun = time.monotonic()
    os.killpg(pool.pid, number)
    time.sleep(0.5)
    lanes.go_on("written")
    pool.process.wait(10)
    assert time.monotonic() - begun < 10
    assert pool.process.returncode == 0
    assert lanes.await_answers(*commands, seconds_max=0.5)[1] == ["ok"] * 6
    lanes.assert_nothing_left(batch)


def test_who_does_not_finish_in_time_is_stopped_and_the_next_pool_does(lanes: Lanes) -> None:
    first = lanes.pool()
    event = lanes.event_in_lane(0)
    lanes.await_workers()
    lanes.stop_at("written")
    commands = batch_of(event, 3)
    batch = lanes.enqueue(0, *commands)
    lanes.reached()
    begun = time.monotonic()
    first.process.send_signal(signal.SIGTERM)
    first.process.wait(12)
    assert time.monotonic() - begun < 10
    lanes.go_on("written")
    lanes.next_pool()
    assert lanes.await_answers(*commands, seconds_max=BACK_SECONDS_MAX)[1] == ["ok"] * 6
    lanes.assert_nothing_left(batch)


def test_two_pools_on_one_lane_stay_correct(lanes: Lanes) -> None:
    lanes.pool()
    lanes.pool()
    event = lanes.event_in_lane(0)
    lanes.await_workers(pools=2)
    # Both pools' workers want the same twenty seats of one event, batch for batch.
    batches, everything = [], []
    for turn in range(20):
        commands: list[Command] = []
        for fan in range(1, 21):
            commands += [
                reserve(event, turn * 100 + fan, (1, 1, fan)),
                checkout(event, turn * 100 + fan, (1, 1, fan)),
            ]
        everything += commands
        batches.append(lanes.enqueue(0, *commands))
    _, codes = lanes.await_answers(*everything, seconds_max=20)
    assert codes.count("ok") == 40
    assert set(codes) == {"ok", "seats_taken", "hold_mismatch"}
    assert purchases(lanes) == 20
    lanes.assert_nothing_left(*batches)


def test_cron_sweeps_lapsed_holds_without_being_asked(lanes: Lanes) -> None:
    lanes.environ = {**lanes.environ, "ADMITONE_HOLD_SECONDS": "1", "ADMITONE_HOLD_GRACE_SECONDS": "0"}
    lanes.pool()
    event = lanes.event_in_lane(1)
    lanes.await_workers()
    command = reserve(event, 1, A1, A2)
    # Connected before: from the hold's end, a second after the answer, the seats may be given back.
    with psycopg.connect(lanes.database_url, autocommit=True) as connection:
        batch = lanes.enqueue(1, command)
        assert lanes.await_answers(command)[1] == ["ok"]

        def held() -> int:
            row = connection.execute(
                "SELECT held_count FROM ticket WHERE event_id = %s AND ticket_type_id = 1", (event,)
            ).fetchone()
            assert row is not None
            return int(row[0])

        assert held() == 2
        assert await_true("the seats are given back", lambda: held() == 0, 6) < 4
    lanes.assert_nothing_left(batch)
