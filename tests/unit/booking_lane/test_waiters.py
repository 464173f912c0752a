from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from booking_lane.clients import async_client, jobs_client, plain_async_client
from booking_lane.commands import Outcome, command_id_new
from booking_lane.results import (
    BatchNews,
    JobRecord,
    awaited_channel,
    decode_awaited,
    encode_record,
    job_key,
    publish,
)
from booking_lane.waiters import WOKEN_AT_ONCE, Waiters

BODY = b'{"status":"succeeded"}'
AT_ONCE_SECONDS = 5
"""Half of what the same poll would wait for without a message, so that a busy machine's pause is none."""


def outcome(command_id: uuid.UUID) -> Outcome:
    return Outcome(command_id, 1, 5, "reserve", b"h", BODY)


def record(*, body: bytes = b"") -> JobRecord:
    return JobRecord(5, 1, "reserve", b"h", queued=True, body=body)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    client = async_client(redis_url)
    yield client
    await client.aclose()
    await client.connection_pool.disconnect()


@pytest.fixture
def waiters(client: aioredis.Redis) -> Waiters:
    return Waiters(client, "here")


async def poll(waiters: Waiters, command_id: uuid.UUID, seconds: float) -> JobRecord | None:
    """As the gateway does: register, read, wait."""
    future = waiters.expect(command_id)
    try:
        known = await waiters.read(command_id)
        if known is not None and known.body:
            return known
        return await waiters.wait(future, seconds)
    finally:
        waiters.forget(command_id, future)


def nothing_is_left(waiters: Waiters) -> bool:
    return not waiters._waiting and not waiters._know_payment


async def test_an_outcome_that_came_before_is_read(waiters: Waiters, client: aioredis.Redis) -> None:
    command_id = command_id_new()
    await client.set(job_key(command_id), encode_record(record(body=BODY)))
    waiters.on_outcomes((outcome(command_id),))  # to nobody: none has registered yet
    assert await asyncio.wait_for(poll(waiters, command_id, 10), AT_ONCE_SECONDS) == record(body=BODY)
    assert nothing_is_left(waiters)


async def test_outcomes_of_a_large_batch_wake_some_and_then_the_others(waiters: Waiters) -> None:
    ids = [command_id_new() for _ in range(2 * WOKEN_AT_ONCE + 1)]
    waiting = [waiters.expect(command_id) for command_id in ids]
    waiters.on_outcomes(tuple(map(outcome, ids)))
    woken: list[int] = []
    while not woken or woken[-1] < len(ids):
        woken.append(sum(future.done() for future in waiting))
        await asyncio.sleep(0)
    assert woken == [WOKEN_AT_ONCE, 2 * WOKEN_AT_ONCE, len(ids)]
    assert nothing_is_left(waiters)


async def test_an_outcome_between_read_and_wait_wakes(waiters: Waiters, client: aioredis.Redis) -> None:
    command_id = command_id_new()
    await client.set(job_key(command_id), encode_record(record()))
    future = waiters.expect(command_id)
    assert await waiters.read(command_id) == record()
    waiters.on_outcomes((outcome(command_id),))
    assert await asyncio.wait_for(waiters.wait(future, 10), AT_ONCE_SECONDS) == record(body=BODY)
    waiters.forget(command_id, future)
    assert nothing_is_left(waiters)


async def test_everybody_who_waits_is_woken_at_once(waiters: Waiters) -> None:
    command_id, other = command_id_new(), command_id_new()
    polls = [asyncio.create_task(poll(waiters, command_id, 10)) for _ in range(3)]
    elsewhere = asyncio.create_task(poll(waiters, other, 0.2))
    await asyncio.sleep(0.05)
    waiters.on_outcomes((outcome(command_id),))
    assert await asyncio.wait_for(asyncio.gather(*polls), AT_ONCE_SECONDS) == [record(body=BODY)] * 3
    assert await elsewhere is None
    assert nothing_is_left(waiters)


async def test_a_job_of_another_gateway_is_sent_to_those_who_wait_for_it(
    client: aioredis.Redis, redis_url: str
) -> None:
    command_id = command_id_new()
    await client.set(job_key(command_id), encode_record(record()))
    waiting, idle = Waiters(client, "waiting"), Waiters(client, "idle")
    future = waiting.expect(command_id)
    assert await waiting.read_and_await(command_id) == record()
    assert await idle.read(command_id) == record()
    async with plain_async_client(redis_url) as listening, listening.pubsub() as pubsub:
        await pubsub.subscribe(awaited_channel("waiting"), awaited_channel("idle"))
        with jobs_client(redis_url) as jobs:
            publish(jobs, BatchNews(command_id_new(), "sender", 0, (outcome(command_id),), ()), 60)
        heard: list[tuple[bytes, bytes]] = []
        while len(heard) < 3 and (message := await pubsub.get_message(timeout=2)) is not None:
            heard.append((message["channel"], message["data"]))
        assert await pubsub.get_message(timeout=0.2) is None
    assert heard[2][0] == awaited_channel("waiting").encode()
    waiting.on_awaited(decode_awaited(heard[2][1]))
    assert await waiting.wait(future, 5) == record(body=BODY)
    waiting.forget(command_id, future)
    assert nothing_is_left(waiting)


async def test_a_lost_message_is_found_by_reading_again(waiters: Waiters, client: aioredis.Redis) -> None:
    command_id = command_id_new()
    await client.set(job_key(command_id), encode_record(record()))
    waiting = asyncio.create_task(poll(waiters, command_id, 10))
    await asyncio.sleep(0.05)
    await waiters.reread()
    assert not waiting.done()
    await client.set(job_key(command_id), encode_record(record(body=BODY)))
    await waiters.reread()
    assert await asyncio.wait_for(waiting, 3) == record(body=BODY)
    assert nothing_is_left(waiters)


async def test_who_knows_of_a_payment_is_woken_by_the_outcome_alone(waiters: Waiters, client: aioredis.Redis) -> None:
    command_id = command_id_new()
    paying = JobRecord(5, 1, "checkout", b"h", queued=True, payment_id=uuid.uuid4())
    await client.set(job_key(command_id), encode_record(paying))
    unknowing = waiters.expect(command_id)
    await waiters.reread()
    await waiters.reread()
    assert await asyncio.wait_for(waiters.wait(unknowing, 10), 3) == paying
    waiters.forget(command_id, unknowing)

    knowing = waiters.expect(command_id)
    waiters.know_payment(command_id)
    await waiters.reread()
    await waiters.reread()
    assert not knowing.done()
    await client.set(job_key(command_id), encode_record(record(body=BODY)))
    await waiters.reread()
    assert await asyncio.wait_for(waiters.wait(knowing, 10), 3) == record(body=BODY)
    waiters.forget(command_id, knowing)
    waiters.know_payment(command_id)
    assert nothing_is_left(waiters)


async def test_a_payment_that_is_open_wakes_who_awaits_it_and_stays_known(
    waiters: Waiters, client: aioredis.Redis
) -> None:
    payment_id, other = uuid.uuid4(), uuid.uuid4()
    awaiting = waiters.expect(payment_id)
    waiters.on_opened((other,))
    assert not awaiting.done()
    waiters.on_opened((payment_id, other))
    assert awaiting.done()
    waiters.forget(payment_id, awaiting)
    assert nothing_is_left(waiters)
    assert await waiters.opened(payment_id) is None
    await waiters.keep_opened(payment_id, "sealed", 60)
    await waiters.keep_opened(payment_id, "an older one", 60)
    assert await waiters.opened(payment_id) == "sealed"


async def test_a_wait_ends_in_time_without_an_outcome(waiters: Waiters, client: aioredis.Redis) -> None:
    command_id = command_id_new()
    await client.set(job_key(command_id), encode_record(record()))
    begun = asyncio.get_running_loop().time()
    assert await poll(waiters, command_id, 0.2) is None
    assert 0.2 <= asyncio.get_running_loop().time() - begun < AT_ONCE_SECONDS
    assert nothing_is_left(waiters)


async def test_a_client_who_leaves_leaves_nothing_behind(waiters: Waiters) -> None:
    command_id = command_id_new()
    waiting = asyncio.create_task(poll(waiters, command_id, 10))
    stays = asyncio.create_task(poll(waiters, command_id, 10))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    waiters.on_outcomes((outcome(command_id),))
    assert await asyncio.wait_for(stays, AT_ONCE_SECONDS) == record(body=BODY)
    assert nothing_is_left(waiters)


async def test_forgetting_twice_or_after_the_outcome_is_no_fault(waiters: Waiters) -> None:
    command_id = command_id_new()
    future = waiters.expect(command_id)
    waiters.on_outcomes((outcome(command_id),))
    waiters.forget(command_id, future)
    waiters.forget(command_id, future)
    assert nothing_is_left(waiters)


async def test_what_redis_does_not_know_is_none(waiters: Waiters) -> None:
    assert await waiters.read(command_id_new()) is None
