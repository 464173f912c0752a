from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from booking_lane.clients import jobs_client
from booking_lane.commands import Command, Outcome, Reserve, Sweep, command_id_new
from booking_lane.figures import WAIT_BOUNDS_MS, Figures, count, read

LANE = 3


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    client = aioredis.Redis.from_url(redis_url)
    yield client
    await client.aclose()


def batch(redis_url: str, waits_ms: list[int], bodies: list[bytes]) -> None:
    now_ms = 1_000_000
    commands: list[Command] = [
        Reserve(command_id=command_id_new(), event_id=1, user_id=1, received_at_ms=now_ms - wait, deadline_ms=0)
        for wait in waits_ms
    ]
    commands.append(Sweep(command_id=command_id_new(), event_id=1, user_id=0, received_at_ms=0, deadline_ms=0))
    outcomes = [Outcome(command_id_new(), 1, 1, "reserve", b"", body) for body in bodies]
    with jobs_client(redis_url).pipeline() as pipe:
        count(pipe, LANE, commands, outcomes, now_ms, 3)
        pipe.execute()


async def test_what_is_counted_is_what_is_read(redis_url: str, client: aioredis.Redis) -> None:
    assert await read(client, LANE) == Figures()
    taken = b'{"status":"failed","problem":{"type":"x","code":"seats_taken","status":409}}'
    batch(redis_url, [1, 2, 3, 40_000], [b'{"status":"succeeded","result":{}}', taken, taken])
    found = await read(client, LANE)
    assert found.batches == 1
    assert found.commands == {("reserve", "succeeded"): 1, ("reserve", "seats_taken"): 2}
    assert found.waits[:2] == (2, 1)
    assert found.waits[-1] == 1
    assert found.waits_sum_ms == 40_006
    assert (await read(client, LANE + 1)) == Figures()


async def test_a_later_reading_tells_what_came_since(redis_url: str, client: aioredis.Redis) -> None:
    batch(redis_url, [4], [b'{"status":"succeeded"}'])
    earlier = await read(client, LANE)
    batch(redis_url, [400, 400], [b'{"status":"succeeded"}'])
    later = await read(client, LANE)
    since = later.since(earlier)
    assert (since.batches, sum(since.waits), since.commands) == (1, 2, {("reserve", "succeeded"): 1})
    assert later == earlier + since
    await client.flushall()
    batch(redis_url, [4], [])
    again = await read(client, LANE)
    assert again.since(later) == again, "a Redis that lost its data begins at nothing"


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_lies_within_its_class(share: float) -> None:
    chance = random.Random(7)
    waits_ms = sorted(chance.lognormvariate(4, 1) for _ in range(5000))
    classes = [0] * (len(WAIT_BOUNDS_MS) + 1)
    for wait in waits_ms:
        classes[next((i for i, bound in enumerate(WAIT_BOUNDS_MS) if wait <= bound), len(WAIT_BOUNDS_MS))] += 1
    true_ms = waits_ms[int(share * len(waits_ms))]
    found = Figures(waits=tuple(classes)).wait_ms(share)
    assert found is not None
    assert true_ms / 1.25 < found < true_ms * 1.25
    assert Figures().wait_ms(share) is None
