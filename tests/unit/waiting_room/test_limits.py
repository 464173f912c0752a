from __future__ import annotations

import asyncio

import pytest
from redis import asyncio as aioredis

from waiting_room.limits import Allowances, address_prefix, allow


async def older(client: aioredis.Redis, minutes: int) -> None:
    """As if the count had been made so many minutes ago, at the same second of the minute."""
    await client.hincrby("allow:join:a", "index", -minutes)


async def test_allows_as_many_as_it_says(client: aioredis.Redis) -> None:
    allowances = [await allow(client, "join", "a", 5) for _ in range(8)]
    assert [allowance.allowed for allowance in allowances] == [True] * 5 + [False] * 3
    assert [allowance.used for allowance in allowances[:5]] == [1, 2, 3, 4, 5]
    for refused in allowances[5:]:
        assert 1 <= refused.retry_after_seconds <= 120
    assert all(allowance.retry_after_seconds == 0 for allowance in allowances[:5])


async def test_counts_each_name_and_key_apart(client: aioredis.Redis) -> None:
    assert (await allow(client, "join", "a", 1)).allowed
    assert (await allow(client, "join", "b", 1)).allowed
    assert (await allow(client, "session", "a", 1)).allowed
    assert not (await allow(client, "join", "a", 1)).allowed


async def test_requests_of_one_turn_are_counted_by_one_script_each_for_its_own(client: aioredis.Redis) -> None:
    await allow(client, "join", "a", 2)  # Redis knows the script now
    before = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    counting = Allowances(client, "join", 2)
    answers = await asyncio.gather(*[counting.count(key) for key in ("a", "b", "a", "b", "c")])
    assert [(one.allowed, one.used) for one in answers] == [(True, 2), (True, 1), (False, 2), (True, 2), (True, 1)]
    assert answers[2].retry_after_seconds > 0
    assert (await client.info("commandstats"))["cmdstat_evalsha"]["calls"] == before + 1
    assert not (await allow(client, "join", "b", 2)).allowed, "the same counters"


async def test_a_longer_window_is_kept_longer(client: aioredis.Redis) -> None:
    counting = Allowances(client, "proofs", 2, window_seconds=600)
    first, second = await asyncio.gather(counting.count("a"), counting.count("a"))
    assert (first.used, second.used, second.window_seconds) == (1, 2, 600)
    assert 600_000 < await client.pttl("allow:proofs:a") <= 1_200_000


async def minute(client: aioredis.Redis) -> int:
    return int((await client.time())[0]) // 60


async def test_last_minute_still_counts_for_the_part_that_overlaps(client: aioredis.Redis) -> None:
    async def room() -> float:
        """What the sliding minute has room for; it grows while the test asks."""
        seconds, micros = await client.time()
        return 1000 * (seconds % 60 + micros / 1e6) / 60

    began_in, allowed, room_before, room_after = -1, 0, 0.0, 0.0
    while began_in != await minute(client):
        # Where a minute ends meanwhile, the calls before and after count in two, and all is asked again.
        await client.flushdb()
        began_in = await minute(client)
        for _ in range(1000):
            await allow(client, "join", "a", 1000)
        await older(client, 1)
        room_before, allowed = await room(), 0
        while (await allow(client, "join", "a", 1000)).allowed:
            allowed += 1
        room_after = await room()
    assert room_before - 1 <= allowed <= room_after + 1


async def test_two_minutes_later_all_is_forgotten(client: aioredis.Redis) -> None:
    for _ in range(5):
        await allow(client, "join", "a", 5)
    await older(client, 2)
    assert (await allow(client, "join", "a", 5)).used == 1
    assert 0 < await client.pttl("allow:join:a") <= 120_000


async def test_what_was_counted_in_the_minute_before_can_be_given_back(client: aioredis.Redis) -> None:
    for counted in (2, 1):
        for _ in range(counted):
            await allow(client, "join", "a", 2)
        await older(client, 1)
        for _ in range(2):
            await allow(client, "join", "a", 2, count=-1)
        assert (await allow(client, "join", "a", 2)).used == 1


async def test_zero_allows_none(client: aioredis.Redis) -> None:
    refused = await allow(client, "join", "a", 0)
    assert not refused.allowed
    assert refused.retry_after_seconds == 60


async def test_a_refusal_is_honest_about_the_wait(client: aioredis.Redis) -> None:
    """The wait it names, and no shorter one, lets the next through."""
    began_in, refused = -1, None
    while began_in != await minute(client):
        # Where a minute ends meanwhile, what was counted before it is two minutes old, and all is asked again.
        await client.flushdb()
        began_in = await minute(client)
        for _ in range(100):
            await allow(client, "join", "a", 100)
        await older(client, 1)
        while (await allow(client, "join", "a", 100)).allowed:
            pass
        refused = await allow(client, "join", "a", 100)
    assert refused is not None
    assert 1 <= refused.retry_after_seconds <= 2, "one in a hundred of a minute is 0.6 s away"


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2ff:3::4", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("1.2.3.4.5", "unknown"),
        ("x" * 100_000, "unknown"),
    ],
)
def test_address_prefix(address: str, prefix: str) -> None:
    assert address_prefix(address) == prefix
