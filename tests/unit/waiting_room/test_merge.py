"""Two fans who are one person have one place: the better of the two, whole, and the other one ends."""

from __future__ import annotations

import pytest
from redis import asyncio as aioredis

from tests.unit.waiting_room import test_lobby
from tests.unit.waiting_room.room import Room

STAYS, GOES = 8, 9


async def ranks(room: Room, *fans: int) -> list[int]:
    return list((await room.line.positions(42, list(fans))).ranks)


async def test_a_place_comes_to_a_fan_without_one(room: Room) -> None:
    await room.fill(1, GOES, 2, rate_per_minute=0)
    before = await room.line.standing(42, GOES)
    async with room.news() as news:
        assert await room.line.merge(42, STAYS, GOES)
    after = await room.line.standing(42, STAYS)
    assert (after.epoch, after.number, after.joined_at_ms) == (before.epoch, before.number, before.joined_at_ms)
    assert await room.states(STAYS, GOES) == ["waiting", "left"]
    assert await ranks(room, 1, STAYS, 2) == [0, 1, 2]
    assert [(message.ended, message.waiting) for message in news] == [([(GOES, "left")], [STAYS])]
    assert await room.line.merge(42, STAYS, GOES), "done twice is done once"
    assert await ranks(room, 1, STAYS, 2) == [0, 1, 2]


@pytest.mark.parametrize("order", [(STAYS, 1, GOES, 2), (GOES, 1, STAYS, 2)])
async def test_the_earlier_of_two_places_stays(room: Room, order: tuple[int, ...]) -> None:
    await room.fill(*order, rate_per_minute=0)
    assert await room.line.merge(42, STAYS, GOES)
    assert await room.states(STAYS, GOES) == ["waiting", "left"]
    assert await ranks(room, STAYS, 1, 2) == [0, 1, 2]
    assert (await room.line.counts(42)).waiting == 3


@pytest.mark.parametrize(("inside", "outside"), [(STAYS, GOES), (GOES, STAYS)])
async def test_a_slot_beats_a_place(room: Room, inside: int, outside: int) -> None:
    await room.fill(inside, outside, capacity=1)
    await room.tick()
    await room.line.claim(42, inside)
    before = await room.line.standing(42, inside)
    assert await room.line.merge(42, STAYS, GOES)
    after = await room.line.standing(42, STAYS)
    assert (after.state, after.pass_until_ms) == ("admitted", before.pass_until_ms)
    assert await room.state(GOES) == "left"
    counts = await room.line.counts(42)
    assert (counts.admitted, counts.waiting) == (1, 0)
    assert (await room.line.act(42, STAYS, tries=True)).pass_until_ms, "the slot is at work"


@pytest.mark.parametrize(("inside", "outside"), [(STAYS, GOES), (GOES, STAYS)])
async def test_a_slot_beats_a_place_that_is_earlier(room: Room, inside: int, outside: int) -> None:
    await room.fill(outside, inside, capacity=1)
    await room.pass_time(20)
    await room.heard_from(inside)
    await room.called(inside)
    await room.line.claim(42, inside)
    assert await room.line.merge(42, STAYS, GOES)
    assert await room.states(STAYS, GOES) == ["admitted", "left"]
    counts = await room.line.counts(42)
    assert (counts.admitted, counts.away, counts.waiting) == (1, 0, 0)


async def test_the_better_place_is_kept_by_a_fan_who_had_left(room: Room) -> None:
    await room.fill(STAYS, GOES, 1, rate_per_minute=0)
    await room.line.leave(42, STAYS)
    assert await room.line.merge(42, STAYS, GOES)
    assert await room.states(STAYS, GOES) == ["waiting", "left"]
    assert await ranks(room, STAYS, 1) == [0, 1]


async def test_of_two_in_the_lobby_one_is_drawn(client: aioredis.Redis) -> None:
    room = Room(client)
    await room.open()
    await test_lobby.hours_to_sale(room, 1)
    for fan in (GOES, 1, STAYS):
        await room.line.join(42, fan)
    assert await room.line.merge(42, STAYS, GOES)
    assert await room.states(STAYS, GOES) == ["lobby", "left"]
    assert (await room.line.counts(42)).lobby == 2
    await test_lobby.hours_to_sale(room, -0.01)
    assert not await room.line.merge(42, STAYS, 1), "while the lobby is drawn nothing moves"
    assert sorted(await test_lobby.draw(room)) == [1, STAYS]
    assert await room.line.merge(42, STAYS, 1)


async def test_a_room_that_redis_does_not_know_has_nothing_to_move(room: Room) -> None:
    await room.lose()
    assert await room.line.merge(42, STAYS, GOES)
