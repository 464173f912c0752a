"""Ranks that a gateway counts itself, against the ranks that Valkey has."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from redis import asyncio as aioredis

from gateway.line import ranks as ranks_module
from gateway.line.ranks import EventRanks
from tests.unit.waiting_room.room import FAST, Room
from waiting_room.errors import RoomError
from waiting_room.model import Mark, Standing
from waiting_room.tokens import PlaceToken

FANS = 40
STEPS = 300
ACTS = {
    "join": 20,
    "redeem": 4,
    "leave": 6,
    "tick": 12,
    "claim": 4,
    "pass_time": 6,
    "return": 8,
    "put_back": 2,
    "put_in_front": 2,
    "move": 2,
    "rate": 4,
    "lose": 1,
}


def token(fan: int, standing: Standing) -> PlaceToken:
    return PlaceToken(
        event=42,
        fan=fan,
        epoch=standing.epoch,
        number=standing.number,
        joined_at_ms=standing.joined_at_ms or 0,
        session="",
        priority=standing.priority,
    )


async def act(room: Room, name: str, fan: int, chance: random.Random, tokens: dict[int, PlaceToken]) -> None:
    line = room.line
    if name in ("join", "redeem", "return"):
        place = tokens.get(fan) if name == "return" else None
        standing = await line.join(42, fan, place, redeemed=name == "redeem")
        tokens[fan] = token(fan, standing)
    elif name == "leave":
        await line.leave(42, fan)
    elif name == "tick":
        await room.tick()
    elif name == "claim":
        called = await room.client.zrange(room.keys["called"], 0, 0)
        await line.claim(42, int(called[0]) if called else fan)
    elif name == "pass_time":
        await room.pass_time(chance.choice([1, 16, 65, 130]))
        await room.heard_from(*chance.sample(range(1, FANS + 1), FANS // 2))
    elif name.startswith("put"):
        await line.put_back(42, fan, in_front=name == "put_in_front")
    elif name == "move":
        if fan in tokens:
            await line.move(42, fan + FANS, tokens[fan])
    elif name == "rate":
        await room.open(rate_per_minute=chance.choice([0, 120, 600, 60_000]), capacity=chance.choice([1, 5, 50]))
    else:
        epoch = (await line.counts(42)).epoch
        await room.lose()
        await line.configure(42, room.config, after_epoch=epoch)


@pytest.mark.parametrize("seed", range(2))
async def test_counted_ranks_are_those_of_the_line_whatever_happens(
    client: aioredis.Redis, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks_module, "PROOFS", 0)
    monkeypatch.setattr(ranks_module, "MOVES_MAX", 12)
    chance = random.Random(seed)
    room = Room(client, config=replace(FAST, rate_per_minute=600, capacity=5, claim_window_seconds=20))
    await room.open()
    gateways = [EventRanks(room.line, 42) for _ in range(3)]
    tokens: dict[int, PlaceToken] = {}
    happened: Counter[str] = Counter()
    for name in chance.choices(list(ACTS), list(ACTS.values()), k=STEPS):
        fan = chance.randint(1, FANS)
        try:
            await act(room, name, fan, chance, tokens)
            happened[name] += 1
        except RoomError as error:
            happened[error.code] += 1
        gateway = chance.choice(gateways)
        asked = chance.sample(range(1, 2 * FANS + 1), 60)
        counted = await gateway.of(asked)
        assert counted == await room.line.positions(42, asked), name
        if chance.random() < 0.1:
            gateway.forget(fan)
    assert set(ACTS) <= set(happened), "every way was gone"


async def test_ranks_are_asked_once_and_counted_on(room: Room) -> None:
    fans = list(range(1, 31))
    await room.fill(*fans, rate_per_minute=0)
    ranks = EventRanks(room.line, 42)
    assert (await ranks.of(fans)).ranks == list(range(30))
    before = (await room.client.info("commandstats"))["cmdstat_zrank"]["calls"]
    await room.line.leave(42, 10)
    assert (await ranks.of(fans)).ranks == [*range(9), -1, *range(9, 29)]
    asked = (await room.client.info("commandstats"))["cmdstat_zrank"]["calls"] - before
    assert asked <= 2 * (1 + ranks_module.PROOFS), "the fan who left, and proofs"


async def test_a_rank_that_was_counted_wrongly_is_found_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks_module, "PROOFS", 30)
    fans = list(range(1, 31))
    await room.fill(*fans, rate_per_minute=0)
    ranks = EventRanks(room.line, 42)
    await ranks.of(fans)
    # As a gateway of an older release does, which records no moves.
    await room.client.zrem(room.keys["line"], "1")
    assert (await ranks.of(fans)).ranks == [-1, *range(29)]


async def test_who_missed_moves_asks_anew(room: Room) -> None:
    fans = list(range(1, 31))
    await room.fill(*fans, rate_per_minute=0)
    ranks = EventRanks(room.line, 42)
    await ranks.of(fans)
    await room.line.leave(42, 1)
    await room.client.hincrby(room.keys["config"], "moves_from", await room.client.strlen(room.keys["moves"]))
    await room.client.delete(room.keys["moves"])
    await room.line.leave(42, 2)
    assert (await ranks.of(fans)).ranks == [-1, -1, *range(28)]


async def test_moves_that_redis_undid_are_not_counted_on(room: Room) -> None:
    fans = list(range(1, 31))
    await room.fill(*fans, rate_per_minute=0)
    ranks = EventRanks(room.line, 42)
    old = {name: await room.client.dump(room.keys[name]) for name in ("line", "places")}
    await room.line.leave(42, 1)
    await ranks.of(fans)
    # As a server that comes back without its last second, and goes on as far as it had been.
    await room.client.delete(room.keys["moves"])
    for name, value in old.items():
        await room.client.restore(room.keys[name], 0, value, replace=True)
    await room.line.leave(42, 2)
    assert (await ranks.of(fans)).ranks == [0, -1, *range(1, 29)]


async def test_the_record_of_moves_is_bounded(room: Room) -> None:
    await room.fill(*range(1, 4), rate_per_minute=0)
    ranks = EventRanks(room.line, 42)
    await ranks.of([1, 2, 3])
    await room.line.leave(42, 1)
    known = await room.line.ranks(42, Mark(), [])
    await room.client.append(room.keys["moves"], ";" * 262_144)
    await room.line.leave(42, 2)
    assert await room.client.strlen(room.keys["moves"]) == 131_072
    assert (await room.line.ranks(42, known.mark, [])).moves is None
    assert (await ranks.of([1, 2, 3])).ranks == [-1, -1, 0]


async def test_after_a_draw_all_are_asked_anew(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks_module, "PROOFS", 0)
    await room.fill(1, 2, 3, rate_per_minute=0)
    ranks = EventRanks(room.line, 42)
    await ranks.of([1, 2, 3])
    await room.client.zrem(room.keys["line"], "1")
    assert (await ranks.of([1, 2, 3])).ranks == [0, 1, 2], "nothing that was recorded moved"
    await room.client.append(room.keys["moves"], "1 r;")
    assert (await ranks.of([1, 2, 3])).ranks == [-1, 0, 1]
