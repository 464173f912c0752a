"""Two worker pools keep one pace with a provider."""

from __future__ import annotations

import asyncio
import time

import redis.asyncio

from db.messages.kinds import BULK, URGENT
from workers.messages.pace import Pace

PER_SECOND = 100
EACH = 40


async def test_two_clients_share_one_pace_and_another_provider_has_its_own(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as one, redis.asyncio.Redis.from_url(redis_url) as other:
        paces = [Pace(client, "smtp", PER_SECOND) for client in (one, other)]

        async def tries(pace: Pace) -> None:
            for _ in range(EACH):
                await pace.wait(URGENT)

        began = time.monotonic()
        await asyncio.gather(*(tries(pace) for pace in paces), tries(Pace(one, "sms", 10_000)))
        seconds = time.monotonic() - began
    alone_seconds = EACH / PER_SECOND
    assert seconds > 2 * alone_seconds * 0.85
    assert seconds < 2 * alone_seconds + 2


async def test_a_pace_that_was_not_used_is_not_made_up_for(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        pace = Pace(client, "smtp", 50)
        await pace.wait(URGENT)
        await asyncio.sleep(0.5)
        began = time.monotonic()
        for _ in range(26):
            await pace.wait(URGENT)
        assert time.monotonic() - began > 0.4


async def test_a_process_keeps_the_pace_by_itself_while_redis_is_away() -> None:
    async with redis.asyncio.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1) as client:
        pace = Pace(client, "smtp", 50)
        began = time.monotonic()
        for _ in range(26):
            await pace.wait(URGENT)
        assert 0.4 < time.monotonic() - began < 5


async def test_the_next_moment_is_that_of_the_most_urgent_message(redis_url: str) -> None:
    order = []
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        pace = Pace(client, "sms", 20)

        async def try_once(urgency: int) -> None:
            await pace.wait(urgency)
            order.append(urgency)

        tries = [asyncio.create_task(try_once(BULK)) for _ in range(6)]
        await asyncio.sleep(0.12)
        cancelled, *_ = [asyncio.create_task(try_once(URGENT)) for _ in range(2)]
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(*tries)
    assert order.count(URGENT) == 1
    assert 1 <= order.index(URGENT) <= 4, "it went before some that had waited longer"
