"""Tries at a secret: some are free, each further one waits twice as long, and a right one forgets them."""

from __future__ import annotations

import asyncio
import math
import time

from redis import asyncio as aioredis

from waiting_room.tries import DELAY_SECONDS_MAX, FIRST_NETWORKS_MAX, FREE_TRIES, Try, forgive, forgive_first, take_try


async def test_delays_double_and_a_right_try_forgets_them(client: aioredis.Redis) -> None:
    taken: list[Try] = []
    began, ended = 0.0, math.inf
    while ended - began >= 1:
        # A machine that takes as long as the first delay gives one more try meanwhile, and all is asked again.
        await client.flushdb()
        began = time.monotonic()
        taken = await asyncio.gather(*(take_try(client, "ada") for _ in range(20)))
        ended = time.monotonic()
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
    assert await take_try(client, "ada") == (True, 0, False)


async def test_a_network_that_is_new_has_one_try_while_others_are_delayed(client: aioredis.Redis) -> None:
    for _ in range(FREE_TRIES):
        assert not (await take_try(client, "ada", "network 0")).is_first
    await client.hset((await client.keys("tries:*"))[0], "next_at", 10**15)
    assert not (await take_try(client, "ada")).allowed
    assert await take_try(client, "ada", "network 0") == (True, 0, True)
    assert not (await take_try(client, "ada", "network 0")).allowed
    assert (await take_try(client, "grace", "network 0")) == (True, 0, False)
    # A right one is no try, and brings the others none.
    await forgive_first(client, "ada", "network 0")
    assert (await take_try(client, "ada", "network 0")).is_first
    assert not (await take_try(client, "ada")).allowed
    for number in range(1, FIRST_NETWORKS_MAX):
        assert (await take_try(client, "ada", f"network {number}")).is_first
    assert not (await take_try(client, "ada", "one network more")).allowed
    (key,) = await client.keys("first-tries:*")
    assert 3_500_000 < await client.pttl(key) <= 3_600_000
    await forgive(client, "ada")
    assert len(await client.keys("*tries:*")) == 1
