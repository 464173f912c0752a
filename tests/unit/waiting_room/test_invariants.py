"""Random sequences of operations, time passing between them: what must hold of a room holds after each."""

from __future__ import annotations

import random

import pytest
from redis import asyncio as aioredis

from tests.unit.waiting_room.room import Room
from waiting_room.errors import RoomError
from waiting_room.model import RoomConfig

FANS = 12
STEPS = 600
CONFIG = RoomConfig(rate_per_minute=6000, capacity=4, line_cap=6, pass_seconds=100)
ACTS = {
    "join": 20,
    "poll": 20,
    "claim": 20,
    "leave": 2,
    "act": 5,
    "heartbeat": 15,
    "tick": 20,
    "pass_time": 20,
    "outage": 1,
    "finish": 2,
    "extend": 2,
    "stock": 2,
    "change": 2,
    "merge": 1,
}


async def check(room: Room) -> None:
    client, keys = room.client, room.keys
    places = {fan: int(place.split(b":")[0]) for fan, place in (await client.hgetall(keys["places"])).items()}
    standing: list[bytes] = []
    for name in ("line", "away", "idle", "called", "admitted"):
        standing += await client.zrange(keys[name], 0, -1)
    assert sorted(standing) == sorted(places), "a place is in exactly one set, and nothing else is"
    assert set(await client.hkeys(keys["seen"])) == set(places)
    for name in ("missed", "shown", "tried"):
        assert set(await client.hkeys(keys[name])) <= set(places), f"{name} outlived the place"
    assert not set(await client.hkeys(keys["ended"])) & set(places), "ended, and in"
    for fan, score in await client.zrange(keys["line"], 0, -1, withscores=True):
        assert score == places[fan], "nobody's score ever changes"
    assert len(set(places.values())) == len(places), "no number twice"
    counts = await room.line.counts(room.event)
    assert counts.called + counts.admitted <= CONFIG.capacity
    assert counts.waiting + counts.away <= CONFIG.line_cap + CONFIG.capacity, "the cap, and claims missed"


async def act(room: Room, name: str, fan: int, chance: random.Random, shown: dict[tuple[int, int], int]) -> str:
    """Do it; what came of it."""
    line, event = room.line, room.event
    if name == "join":
        return (await line.join(event, fan)).joined
    if name == "poll":
        standing = await line.standing(event, fan)
        if standing.state == "waiting":
            place = fan, standing.number
            assert standing.shown <= min(shown.get(place, standing.shown), standing.position), "a position rose"
            shown[place] = standing.shown
        return standing.state
    if name == "claim":
        await line.claim(event, fan)
        return "claimed"
    if name == "leave":
        await line.leave(event, fan)
    elif name == "act":
        await line.act(event, fan, tries=chance.random() < 0.5)
    elif name == "heartbeat":
        await room.heard_from(*chance.sample(range(1, FANS + 1), 8))
    elif name == "tick":
        await room.tick()
    elif name == "pass_time":
        await room.pass_time(chance.choice([1, 1, 5, 16, 40]))
    elif name == "outage":
        await room.pass_time(chance.choice([20, 200]), ticking=False)
    elif name == "finish":
        await line.finish(event, [fan])
    elif name == "extend":
        await line.extend(event, {fan: (await line.counts(event)).now_ms + 150_000})
    elif name == "merge":
        await line.merge(event, fan, fan % FANS + 1)
    elif name == "stock":
        await line.set_stock(event, chance.choice([0, 1, 50, 50, 50]), 0, 1)
    else:
        await room.open(state=chance.choice(["open", "open", "open", "paused"]))
    return name


@pytest.mark.parametrize("seed", range(3))
async def test_no_sequence_of_operations_breaks_a_room(client: aioredis.Redis, seed: int) -> None:
    chance = random.Random(seed)
    room = Room(client, config=CONFIG)
    await room.open()
    shown: dict[tuple[int, int], int] = {}
    happened: set[str] = set()
    for name in chance.choices(list(ACTS), list(ACTS.values()), k=STEPS):
        try:
            happened.add(await act(room, name, chance.randint(1, FANS), chance, shown))
        except RoomError as error:
            happened.add(error.code)
        await check(room)
    assert {"new", "known", "waiting", "called", "claimed", "admitted", "expired", "not_called"} <= happened
