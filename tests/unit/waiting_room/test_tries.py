"""Tries at a secret: some are free, each further one waits twice as long, and a right one forgets them."""

from __future__ import annotations

import asyncio

from redis import asyncio as aioredis

from waiting_room.tries import DELAY_SECONDS_MAX, FREE_TRIES, forgive, take_try


async def test_delays_double_and_a_right_try_forgets_them(client: aioredis.Redis) -> None:
    taken = await asyncio.gather(*(take_try(client, "ada") for _ in range(20)))
    assert sum(one.allowed for one in taken) == FREE_TRIES
    assert {one.retry_after_seconds for one in taken if not one.allowed} == {1}
    (key,) = await client.keys("tries:*")
    assert b"ada" not in key
    for seconds in (2, 4, 8):
        await client.hset(key, "next_at", 0)
        assert (await take_try(client, "ada")).retry_after_seconds == seconds
        assert not (await take_try(client, "ada")).allowed
    await client.hset(key, mapping={"next_at": 0, "tries": 1000})
    assert (await take_try(client, "ada")).retry_after_seconds == DELAY_SECONDS_MAX
    assert (await take_try(client, "grace")).allowed
    await forgive(client, "ada")
    assert await take_try(client, "ada") == (True, 0)
