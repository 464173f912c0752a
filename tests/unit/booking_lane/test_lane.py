from __future__ import annotations

import asyncio
import pickletools
import time
import uuid
import zlib
from collections.abc import Iterator
from typing import cast

import msgspec
import pytest
import redis
from rq.job import Job

from booking_lane.clients import async_client, jobs_client
from booking_lane.coalescer import Taken
from booking_lane.commands import Awaiting, Batch, Outcome, command_id_new, decode_batch
from booking_lane.lane import BOOK, AsyncLane, Lane, lane_of, queue_name, rq_queue
from booking_lane.results import (
    BatchNews,
    Count,
    EventChange,
    JobRecord,
    SeatChange,
    awaited_channel,
    awaited_key,
    channel,
    decode_awaited,
    decode_change,
    decode_news,
    decode_record,
    event_channel,
    job_key,
    origin_channel,
    publish,
)
from booking_lane.serializer import MsgpackSerializer
from tests.unit.booking_lane.asks import batch, checkout, reserve

TTL_SECONDS = 77


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class OfALoop:
    """An event loop's lane, asked for one batch after the other."""

    def __init__(self, redis_url: str, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.client = async_client(redis_url)
        self._lane = AsyncLane(self.client, 3, TTL_SECONDS)

    def enqueue(self, batch: Batch) -> Taken:
        return self._runner.run(self._enqueue(batch))

    async def _enqueue(self, batch: Batch) -> Taken:
        return await self._lane.enqueue(batch)


AnyLane = Lane | OfALoop


@pytest.fixture(params=["of a thread", "of a loop"])
def lane(request: pytest.FixtureRequest, jobs: redis.Redis, redis_url: str) -> Iterator[AnyLane]:
    if request.param == "of a thread":
        yield Lane(jobs, 3, TTL_SECONDS)
        return
    with asyncio.Runner() as runner:
        lane = OfALoop(redis_url, runner)
        yield lane
        runner.run(lane.client.aclose())


def test_an_event_has_one_lane() -> None:
    assert [lane_of(event, 3) for event in range(6)] == [0, 1, 2, 0, 1, 2]
    assert queue_name(2) == "lane-2"


def test_rq_sees_the_job(lane: AnyLane, jobs: redis.Redis) -> None:
    sent = batch(reserve(1, 5, (1, 1, 1)), checkout(1, 6, (1, 1, 2)))
    lane.enqueue(sent)
    queue = rq_queue(jobs, "lane-3")
    assert queue.get_job_ids() == [str(sent.batch_id)]
    job = queue.fetch_job(str(sent.batch_id))
    assert job is not None
    assert job.func_name == BOOK
    assert [decode_batch(payload) for payload in job.args] == [sent]
    assert job.get_status() == "queued"
    assert job.result_ttl == 0
    assert job.retries_left
    assert queue.count == 1


def test_every_command_has_its_marker(lane: AnyLane, jobs: redis.Redis) -> None:
    first = reserve(1, 5, (1, 1, 1), body_hash=b"h" * 16)
    second = checkout(1, 6, (1, 1, 2))
    lane.enqueue(batch(first, second))
    markers = [decode_record(cast(bytes, jobs.get(job_key(command.command_id)))) for command in (first, second)]
    assert markers == [
        JobRecord(5, 1, "reserve", b"h" * 16, queued=True),
        JobRecord(6, 1, "checkout", b"", queued=True),
    ]
    assert 0 < jobs.ttl(job_key(first.command_id)) <= TTL_SECONDS


def test_nothing_in_redis_is_pickled(lane: AnyLane, jobs: redis.Redis) -> None:
    sent = batch(reserve(1, 5, (1, 1, 1)))
    lane.enqueue(sent)
    stored = cast(dict[bytes, bytes], jobs.hgetall(Job.key_for(str(sent.batch_id))))
    data = zlib.decompress(stored[b"data"])
    with pytest.raises(ValueError, match="opcode"):
        list(pickletools.genops(data))
    assert MsgpackSerializer.loads(data)[0] == BOOK


def test_job_and_markers_come_in_one_multi(lane: AnyLane, jobs: redis.Redis, redis_url: str) -> None:
    sent = batch(*[reserve(1, fan, (1, 1, fan)) for fan in range(1, 4)])
    lane.enqueue(batch(reserve(1, 99, (9, 9, 9))))  # opens the connection
    with jobs_client(redis_url).monitor() as monitor:  # type: ignore[no-untyped-call]
        lane.enqueue(sent)
        jobs.echo("end")
        said: list[tuple[str, str]] = []
        for heard in monitor.listen():
            said.append((f"{heard['client_address']}:{heard['client_port']}", heard["command"]))
            if heard["command"] == "ECHO end":
                break
    commands = [command for _, command in said]
    begin, end = commands.index("MULTI"), commands.index("EXEC")
    inside = commands[begin + 1 : end]
    assert commands.count("MULTI") == 1
    assert [command for command in inside if command.startswith("RPUSH rq:queue:lane-3 ")]
    assert [command for command in inside if command.startswith(f"HSET rq:job:{sent.batch_id} ")]
    for command in sent.commands:
        key = job_key(command.command_id)
        assert [one for one in inside if one.startswith(f"SET {key} ")]
    outside = commands[:begin] + commands[end + 1 :]
    assert not [command for command in outside if command.split()[0] in ("SET", "HSET", "RPUSH", "LPUSH")]


def test_a_batch_that_redis_cannot_take_leaves_nothing(lane: AnyLane, jobs: redis.Redis) -> None:
    sent = batch(*[reserve(1, fan, (1, 1, fan)) for fan in range(1, 4)])
    # Out of memory: Redis refuses the first write of the transaction, and with it the whole of it.
    used = cast(dict[str, int], jobs.info("memory"))["used_memory"]
    jobs.config_set("maxmemory", used // 2)
    try:
        with pytest.raises(redis.RedisError):
            lane.enqueue(sent)
    finally:
        jobs.config_set("maxmemory", 0)
    assert jobs.keys("*") == []
    lane.enqueue(sent)
    assert rq_queue(jobs, "lane-3").count == 1


def test_enqueue_tells_the_offset_of_redis_clock_and_how_many_batches_wait(lane: AnyLane, jobs: redis.Redis) -> None:
    begun_ms = now_ms()
    offset_ms, queued, _ = lane.enqueue(batch(reserve(1, 5, (1, 1, 1))))
    # Redis read its clock at some moment of it.
    uncertain_ms = now_ms() - begun_ms + 2
    assert queued == 1
    assert lane.enqueue(batch(reserve(1, 6, (1, 1, 2)))).batches_queued == 2, "no worker has begun the first"
    before_ms = now_ms()
    seconds, micros = jobs.time()
    after_ms = now_ms()
    redis_ms = seconds * 1000 + micros // 1000
    assert before_ms + offset_ms - uncertain_ms <= redis_ms <= after_ms + offset_ms + uncertain_ms


def test_what_was_published_is_read_and_heard(jobs: redis.Redis) -> None:
    command = reserve(1, 5, (1, 1, 1), body_hash=b"h" * 16)
    outcome = Outcome(command.command_id, 1, 5, "reserve", b"h" * 16, b'{"status":"succeeded"}')
    change = EventChange(1, 8, (SeatChange(1, 1, 1, "reserved"),), (Count(1, 9, 1),))
    news = BatchNews(command_id_new(), "origin", 2, (outcome,), (change,))
    with jobs.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(channel(2))
        pubsub.get_message(timeout=5)
        publish(jobs, news, TTL_SECONDS)
        message = pubsub.get_message(timeout=5)
    assert message is not None
    assert decode_news(message["data"]) == msgspec.structs.replace(news, is_told=True)
    record = decode_record(cast(bytes, jobs.get(job_key(command.command_id))))
    assert record == JobRecord(5, 1, "reserve", b"h" * 16, queued=True, body=b'{"status":"succeeded"}')
    assert 0 < jobs.ttl(job_key(command.command_id)) <= TTL_SECONDS


def test_each_gateway_is_told_what_it_needs_and_no_more(jobs: redis.Redis) -> None:
    command = reserve(7, 5, (1, 1, 1))
    outcome = Outcome(command.command_id, 7, 5, "reserve", b"h" * 16, b'{"status":"succeeded"}')
    changes = tuple(EventChange(event, 8, (SeatChange(1, 1, 1, "reserved"),), (Count(1, 9, 1),)) for event in (7, 8))
    news = BatchNews(command_id_new(), "sender", 2, (outcome,), changes)
    jobs.sadd(awaited_key(command.command_id), "waiter")
    record = JobRecord(5, 7, "reserve", b"h" * 16, queued=True, body=b'{"status":"succeeded"}')
    channels = [
        event_channel(7),
        awaited_channel("waiter"),
        origin_channel("sender"),
        *(event_channel(9), awaited_channel("sender"), origin_channel("waiter")),
    ]
    with jobs.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(*channels)
        for _ in channels:
            pubsub.get_message(timeout=5)
        publish(jobs, news, TTL_SECONDS)
        heard = []
        while (message := pubsub.get_message(timeout=0.5)) is not None:
            heard.append((message["channel"].decode(), message["data"]))
    assert [channel for channel, _ in heard] == channels[:3], "the event's hall is changed before a fan is answered"
    assert decode_change(heard[0][1]) == changes[0]
    assert decode_awaited(heard[1][1]) == (command.command_id, record)
    assert decode_news(heard[2][1]) == msgspec.structs.replace(news, changes=())


class _NewsOfTheReleaseBefore(msgspec.Struct, frozen=True, array_like=True):
    """`BatchNews` as the release before knows it."""

    batch_id: uuid.UUID
    origin: str
    lane: int
    outcomes: tuple[Outcome, ...]
    changes: tuple[EventChange, ...]
    trace: str = ""
    awaiting: tuple[Awaiting, ...] = ()


def test_a_gateway_of_the_release_before_hears_all_of_it(jobs: redis.Redis) -> None:
    change = EventChange(7, 8, (), ())
    outcome = Outcome(command_id_new(), 7, 5, "reserve", b"", b"{}")
    news = BatchNews(command_id_new(), "origin", 2, (outcome,), (change,))
    with jobs.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(channel(2))
        pubsub.get_message(timeout=5)
        publish(jobs, news, TTL_SECONDS)
        message = pubsub.get_message(timeout=5)
    assert message is not None
    found = msgspec.msgpack.decode(message["data"], type=_NewsOfTheReleaseBefore)
    assert (found.batch_id, found.outcomes, found.changes) == (news.batch_id, (outcome,), (change,))


def test_ids_of_commands_do_not_meet_in_their_keys() -> None:
    ids = [command_id_new() for _ in range(100)]
    assert len({job_key(command_id) for command_id in ids}) == 100
    assert job_key(uuid.UUID(int=7)) == job_key(uuid.UUID(str(uuid.UUID(int=7))))
