"""How many commands a fan and a network may send, and how long a proof stands."""

from __future__ import annotations

from redis import asyncio as aioredis

from waiting_room.limits import Paced, allow, pace, stand_proof


async def asked(client: aioredis.Redis, fan: int, network: str = "198.51.100.0/24", *, event: int = 1) -> Paced:
    return await pace(client, event, fan, network, fan_per_minute=6, network_per_minute=9)


async def test_a_fan_may_use_a_minutes_commands_at_once_and_then_waits(client: aioredis.Redis) -> None:
    assert [(await asked(client, 7)).left for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    refused = await asked(client, 7)
    assert (refused.over, refused.retry_after_seconds) == ("fan", 10), "a tenth of a minute each"
    assert (await asked(client, 7)).retry_after_seconds == 10, "a refusal is not counted"
    assert (await asked(client, 8)).over == "", "a neighbour goes on"
    assert (await asked(client, 7, event=2)).over == "", "another event is another count"


async def test_many_fans_of_one_network_are_bounded_together(client: aioredis.Redis) -> None:
    assert {(await asked(client, fan)).over for fan in range(9)} == {""}
    assert (await asked(client, 10)).over == "network"
    assert (await asked(client, 10, "203.0.113.0/24")).over == ""


async def test_what_comes_back_comes_evenly(client: aioredis.Redis) -> None:
    for _ in range(6):
        await asked(client, 7)
    paid_until = float(await client.get("pace:{1}:fan:7") or 0)
    await client.set("pace:{1}:fan:7", paid_until - 10_000)
    assert [(await asked(client, 7)).over for _ in range(2)] == ["", "fan"]


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
