"""Leases of those who tick doors, and how rooms are shared out among them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from redis import asyncio as aioredis

from waiting_room.keys import TICKERS
from waiting_room.tickers import DEPUTY, LEASE_SECONDS, TICKER, Tickers

EVENTS = range(4, 4 + 32 * 400, 32)
"""Ids as a database gives them whose sequence jumped by 32 at each restart."""


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


async def _saw_each_other(client: aioredis.Redis, number: int) -> list[Tickers]:
    all_of_them = [Tickers(client, Clock()) for _ in range(number)]
    for _ in range(2):
        for one in all_of_them:
            await one.renew()
    return all_of_them


async def test_each_room_has_one_ticker_and_one_deputy(client: aioredis.Redis) -> None:
    tickers = await _saw_each_other(client, 4)
    for event in EVENTS:
        assert sorted(one.rank(event) for one in tickers) == [0, 1, 2, 3]
    rooms = Counter(next(at for at, one in enumerate(tickers) if one.rank(event) == TICKER) for event in EVENTS)
    assert all(number > len(EVENTS) / 8 for number in rooms.values()), rooms


async def test_one_alone_ticks_every_room(client: aioredis.Redis) -> None:
    (alone,) = await _saw_each_other(client, 1)
    assert {alone.rank(event) for event in EVENTS} == {TICKER}


async def test_who_has_not_renewed_is_the_deputy_of_every_room(client: aioredis.Redis) -> None:
    clock = Clock()
    late = Tickers(client, clock)
    assert late.rank(1) == DEPUTY
    await late.renew()
    assert late.rank(1) == TICKER
    clock.now += LEASE_SECONDS + 0.01
    assert {late.rank(event) for event in EVENTS} == {DEPUTY}


async def test_a_lease_that_is_given_up_ends_at_once(client: aioredis.Redis) -> None:
    leaving, staying = await _saw_each_other(client, 2)
    await leaving.give_up()
    await staying.renew()
    assert {staying.rank(event) for event in EVENTS} == {TICKER}


async def test_a_lease_that_is_not_renewed_ends_by_redis_clock(client: aioredis.Redis) -> None:
    _, staying = await _saw_each_other(client, 2)
    assert await client.zcard(TICKERS) == 2
    leases: Any = await client.zrange(TICKERS, 0, -1, withscores=True)
    await client.zadd(TICKERS, {name: until_ms - LEASE_SECONDS * 1000 for name, until_ms in leases})
    await staying.renew()
    assert await client.zcard(TICKERS) == 1
    assert {staying.rank(event) for event in EVENTS} == {TICKER}


async def test_a_process_of_an_older_release_shows(client: aioredis.Redis) -> None:
    one, other = await _saw_each_other(client, 2)
    assert one.all_read_lists
    assert other.all_read_lists
    await client.zadd(TICKERS, {"0" * 32: 2**43})
    await one.renew()
    assert not one.all_read_lists
