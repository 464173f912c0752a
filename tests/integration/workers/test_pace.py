"""Two worker pools keep one pace with a provider."""

from __future__ import annotations

import asyncio
import time

import redis.asyncio

from workers.messages.pace import Pace

PER_SECOND = 100
EACH = 40


async def test_two_clients_share_one_pace_and_another_provider_has_its_own(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as one, redis.asyncio.Redis.from_url(redis_url) as other:
        paces = [Pace(client, "smtp", PER_SECOND) for client in (one, other)]

        async def tries(pace: Pace) -> None:
            for _ in range(EACH):
                await pace.wait()

        began = time.monotonic()
        await asyncio.gather(*(tries(pace) for pace in paces), tries(Pace(one, "sms", 10_000)))
        seconds = time.monotonic() - began
    alone_seconds = EACH / PER_SECOND
    assert seconds > 2 * alone_seconds * 0.85
    assert seconds < 2 * alone_seconds + 2


async def test_a_pace_that_was_not_used_is_not_made_up_for(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        pace = Pace(client, "smtp", 50)
        await pace.wait()
        await asyncio.sleep(0.5)
        began = time.monotonic()
        for _ in range(26):
            await pace.wait()
        assert time.monotonic() - began > 0.4


async def test_a_process_keeps_the_pace_by_itself_while_redis_is_away() -> None:
    async with redis.asyncio.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1) as client:
        pace = Pace(client, "smtp", 50)
        began = time.monotonic()
        for _ in range(26):
            await pace.wait()
        assert 0.4 < time.monotonic() - began < 5
