"""How many commands a fan and a network may send, and how long a proof stands."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from redis import asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError

from waiting_room.by_event import TRIPS_UNDER_WAY_MAX
from waiting_room.limits import Paced, Paces, allow, stand_proof


async def asked(client: aioredis.Redis, fan: int, network: str = "198.51.100.0/24", *, event: int = 1) -> Paced:
    return await paces(client).count(event, fan, network)


def paces(client: aioredis.Redis) -> Paces:
    return Paces(client, fan_per_minute=6, network_per_minute=9)


async def test_a_fan_may_use_a_minutes_commands_at_once_and_then_waits(client: aioredis.Redis) -> None:
    async def now() -> float:
        seconds, micros = await client.time()
        return seconds + micros / 1e6

    began = await now()
    assert [(await asked(client, 7)).over for _ in range(6)] == [""] * 6
    for why in ("a sixth of a minute each", "a refusal is not counted"):
        refused = await asked(client, 7)
        assert refused.over == "fan"
        # Of the ten seconds those have passed that the machine took until now.
        assert math.ceil(10 - (await now() - began)) <= refused.retry_after_seconds <= 10, why
    assert (await asked(client, 8)).over == "", "a neighbour goes on"
    assert (await asked(client, 7, event=2)).over == "", "another event is another count"


async def test_many_fans_of_one_network_are_bounded_together(client: aioredis.Redis) -> None:
    assert {(await asked(client, fan)).over for fan in range(9)} == {""}
    assert (await asked(client, 10)).over == "network"
    assert (await asked(client, 10, "203.0.113.0/24")).over == ""


async def older(client: aioredis.Redis, fan: int, by_ms: int) -> None:
    """As if the fan had sent all commands so much earlier."""
    for key in ("pace:{1}:even", "pace:{1}:odd"):
        if paid_until := await client.hget(key, str(fan)):
            await client.hset(key, str(fan), str(float(paid_until) - by_ms))


async def test_what_comes_back_comes_evenly(client: aioredis.Redis) -> None:
    for _ in range(6):
        await asked(client, 7)
    await older(client, 7, 10_000)
    assert [(await asked(client, 7)).over for _ in range(2)] == ["", "fan"]


async def test_the_minute_before_counts_and_older_ones_do_not(client: aioredis.Redis) -> None:
    key = ("pace:{1}:even", "pace:{1}:odd")
    minute, over, left_ms = -1, [""], 0
    while minute != (await client.time())[0] // 60:
        # Where a minute ends meanwhile, what was of the minute before is older, and all is asked again.
        await client.flushdb()
        seconds, _ = await client.time()
        minute = seconds // 60
        ahead = str((seconds + 60) * 1000)
        await client.hset(key[(minute - 1) % 2], mapping={"minute": str(minute - 1), "7": ahead})
        await client.hset(key[minute % 2], mapping={"minute": str(minute - 2), "8": ahead})
        over = [(await asked(client, fan)).over for fan in (7, 8)]
        left_ms = await client.pttl(key[minute % 2])
    assert over == ["fan", ""]
    assert 0 < left_ms <= 120_000


async def test_commands_of_one_turn_are_counted_one_after_the_other(client: aioredis.Redis) -> None:
    counted = paces(client)
    asked = [counted.count(event, fan, "198.51.100.0/24") for event, fan in [(1, 7)] * 7 + [(2, 7)] + [(1, 8)] * 4]
    answers = await asyncio.gather(*asked)
    assert [answer.over for answer in answers] == [*[""] * 6, "fan", "", "", "", "", "network"]


async def test_commands_that_come_while_others_are_counted_go_together(
    client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = paces(client)
    sent: list[tuple[int, int]] = []
    count = counted._count

    async def noting(event: int, commands: Any) -> Any:
        sent.append((event, len(commands)))
        return await count(event, commands)

    await asked(client, 8, "203.0.113.0/24")  # Redis knows the script now
    monkeypatch.setattr(counted._counted, "_ask_all", noting)
    trips = []
    for _ in range(TRIPS_UNDER_WAY_MAX):
        trips.append(counted.count(1, 7, "198.51.100.0/24"))
        await asyncio.sleep(0)
    later = [counted.count(1, 7, "198.51.100.0/24")]
    await asyncio.sleep(0)
    later += [counted.count(1, 7, "198.51.100.0/24"), counted.count(2, 7, "198.51.100.0/24")]
    assert {answer.over for answer in await asyncio.gather(*trips, *later)} == {""}
    assert sorted(sent) == [(1, 1), (1, 1), (1, 2), (2, 1)], "another event does not wait"
    more = [(await counted.count(1, 7, "198.51.100.0/24")).over for _ in range(3)]
    assert more == ["", "", "fan"], "four were counted, and it goes on"


async def test_what_waits_behind_a_trip_that_is_given_up_is_given_up_too(client: aioredis.Redis) -> None:
    counted = paces(client)
    trips = []
    for _ in range(TRIPS_UNDER_WAY_MAX):
        trips.append(counted.count(1, 7, "198.51.100.0/24"))
        await asyncio.sleep(0)
    behind = counted.count(1, 7, "198.51.100.0/24")
    for sending in counted._counted._of_events[1].sending:
        sending.cancel()
    given_up = await asyncio.gather(*trips, behind, return_exceptions=True)
    assert {type(one) for one in given_up} == {RedisConnectionError}


async def test_who_does_not_wait_for_the_answer_is_counted(client: aioredis.Redis) -> None:
    counted = paces(client)
    counted.count(1, 7, "198.51.100.0/24").cancel()
    assert [(await counted.count(1, 7, "198.51.100.0/24")).over for _ in range(6)] == [*[""] * 5, "fan"]


async def test_an_answer_names_its_command(client: aioredis.Redis) -> None:
    """The script tells of those alone that are refused or have a proof."""
    counted = paces(client)
    await stand_proof(client, 1, 8, 60)
    fans = [7] * 7 + [8, 9]
    answers = await asyncio.gather(*[counted.count(1, fan, f"198.51.{fan}.0/24") for fan in fans])
    assert [(answer.over, answer.proof_stands) for answer in answers[5:]] == [
        ("", False),
        ("fan", False),
        ("", True),
        ("", False),
    ]


async def test_a_proof_stands_for_its_fan_and_event(client: aioredis.Redis) -> None:
    await stand_proof(client, 1, 7, 60)
    assert [(await asked(client, *who)).proof_stands for who in ((7,), (8,))] == [True, False]
    assert not (await asked(client, 7, event=2)).proof_stands


async def test_what_was_counted_can_be_given_back(client: aioredis.Redis) -> None:
    for _ in range(5):
        assert (await allow(client, "join", "here", 1)).allowed
        await allow(client, "join", "here", 1, count=-1)
    assert (await allow(client, "join", "here", 1)).allowed
    assert not (await allow(client, "join", "here", 1)).allowed
