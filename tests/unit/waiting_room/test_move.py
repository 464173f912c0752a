"""A place token brings the place into a new session of its fan, whole and once, and the old session loses it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from redis import asyncio as aioredis

from tests.unit.waiting_room import test_lobby
from tests.unit.waiting_room.room import Room
from tests.unit.waiting_room.test_restore import token_of
from waiting_room import operations
from waiting_room.errors import Rebuilding
from waiting_room.model import Noted
from waiting_room.tokens import PlaceToken


async def proof(room: Room, fan: int) -> PlaceToken:
    return token_of(fan, await room.line.standing(42, fan))


async def words(room: Room, fan: int) -> list[str]:
    return [note.what for note in (await room.line.history(42, fan)).noted]


async def test_it_stands_where_it_stood_and_the_old_session_has_none(room: Room) -> None:
    await room.fill(1, 2, 3, rate_per_minute=0)
    token = await proof(room, 2)
    async with room.news() as news:
        moved = await room.line.move(42, 9, token)
    assert (moved.state, moved.joined, moved.shown) == ("waiting", "restored", 2)
    assert (moved.epoch, moved.number, moved.joined_at_ms) == (token.epoch, token.number, token.joined_at_ms)
    assert await room.state(2) == "left"
    assert [message.ended for message in news] == [[(2, "left")]], "the old session's streams hear of it"
    assert (await room.line.positions(42, [1, 9, 3])).ranks == [0, 1, 2]
    assert (await room.line.positions(42, [2])).ranks == [-1]
    assert moved.waiting == 3


async def test_what_is_kept_of_the_fan_goes_along(room: Room) -> None:
    await room.fill(1, 2, claim_window_seconds=10)
    await room.called(1)
    await room.pass_time(11)
    await room.heard_from(1, 2)
    await room.tick()
    missed_before = await words(room, 1)
    assert "missed" in missed_before
    await room.line.move(42, 9, await proof(room, 1))
    assert await words(room, 9) == [*missed_before, "moved"]
    assert await words(room, 1) == [*missed_before, "moved_away"]
    assert (await room.line.history(42, 1)).joined_at_ms is None
    await room.pass_time(11)
    await room.tick()
    assert await room.state(9) == "expired", "the second claim missed, by the same person"


async def test_a_history_without_notes_begins_with_the_joining(room: Room) -> None:
    await room.fill(1, rate_per_minute=0)
    token = await proof(room, 1)
    await room.line.move(42, 9, token)
    joined = Noted("joined", token.joined_at_ms)
    for fan, last in ((1, "moved_away"), (9, "moved")):
        noted = (await room.line.history(42, fan)).noted
        assert (noted[0], [note.what for note in noted[1:]]) == (joined, [last])


async def test_a_called_fan_is_called_still_and_claims_once(room: Room) -> None:
    await room.fill(1)
    await room.called(1)
    before = await room.line.standing(42, 1)
    called = await room.line.move(42, 9, token_of(1, before))
    assert (called.state, called.claim_by_ms) == ("called", before.claim_by_ms)
    assert (await room.line.counts(42)).called == 1
    assert (await room.line.claim(42, 9)).state == "admitted"
    assert await room.state(1) == "left"
    assert (await room.line.counts(42)).admitted == 1


async def test_an_absent_fan_comes_back_in_line(room: Room) -> None:
    await room.fill(1, 2, capacity=1)
    token = await proof(room, 1)
    await room.pass_time(20)
    await room.heard_from(2)
    await room.tick()
    assert (await room.line.counts(42)).away == 1
    assert (await room.line.move(42, 9, token)).state == "waiting"
    assert (await room.line.counts(42)).away == 0
    assert (await words(room, 9))[-2:] == ["moved", "back"]


async def test_an_admitted_fan_stays_admitted(room: Room) -> None:
    await room.admitted(1)
    token = await proof(room, 1)
    refused = await room.line.move(42, 9, token)
    assert (refused.state, refused.joined) == ("none", "known")
    assert await room.states(1, 9) == ["admitted", "none"]


async def test_a_token_that_was_used_moves_nothing_again(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    token = await proof(room, 1)
    await room.line.move(42, 9, token)
    assert (await room.line.move(42, 8, token)).state == "none", "no clone"
    assert await room.states(1, 8, 9) == ["left", "none", "waiting"]
    # The old session joins anew, at the end, with its old token or without one.
    await room.next_ms()
    assert (await room.line.join(42, 1, token)).joined == "new"
    assert (await room.line.positions(42, [9, 2, 1])).ranks == [0, 1, 2]
    # Nor does the old token take the old session's new place.
    assert (await room.line.move(42, 8, token)).state == "none"
    # The token of the new session is good.
    assert (await room.line.move(42, 8, await proof(room, 9))).state == "waiting"
    assert (await room.line.positions(42, [8, 2, 1])).ranks == [0, 1, 2]


async def test_of_many_sessions_one_has_it(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    token = await proof(room, 1)
    moved = await asyncio.gather(*(room.line.move(42, fan, token) for fan in range(10, 20)))
    assert [standing.joined for standing in moved].count("restored") == 1
    assert (await room.line.counts(42)).waiting == 2


@pytest.mark.parametrize("ending", ["left", "expired", "waiting"])
async def test_a_fan_with_a_place_or_a_past_gets_none(room: Room, ending: str) -> None:
    await room.fill(1, 2, capacity=1, claim_window_seconds=10)
    if ending == "left":
        await room.line.leave(42, 2)
    if ending == "expired":
        await room.line.leave(42, 1)
        for _ in range(2):
            await room.heard_from(2)
            await room.tick()
            await room.pass_time(11)
        await room.tick()
        await room.line.join(42, 1)
    assert await room.state(2) == ending
    assert (await room.line.move(42, 2, await proof(room, 1))).joined == "known"
    assert await room.state(1) != "left"


async def test_the_place_of_the_priority_class_stays_of_it(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    await room.line.join(42, 3, redeemed=True)
    moved = await room.line.move(42, 9, await proof(room, 3))
    assert (moved.priority, moved.ahead, moved.state) == (True, 0, "waiting")


async def test_a_place_that_redis_lost_moves_too(room: Room) -> None:
    await room.fill(1, 2, 3, rate_per_minute=0)
    tokens = [await proof(room, fan) for fan in (1, 2, 3)]
    await room.lose()
    await room.open(state="open")
    await room.line.join(42, 3, tokens[2])
    await room.line.join(42, 1, tokens[0])
    moved = await room.line.move(42, 9, tokens[1])
    assert (moved.joined, moved.number) == ("restored", tokens[1].number)
    assert (await room.line.positions(42, [1, 9, 3])).ranks == [0, 1, 2]
    assert await room.state(2) == "left"
    assert (await room.line.move(42, 8, tokens[1])).state == "none"
    assert (await room.line.join(42, 2, tokens[1])).joined == "new"
    gone = await room.line._run(operations.departing(42))
    assert [(departure.fan, departure.number) for departure in gone] == [(2, tokens[1].number)], "Postgres will know it"


@pytest.mark.parametrize("state", ["off", "closed"])
async def test_a_room_that_takes_nobody_moves_what_stands_and_restores_nothing(room: Room, state: str) -> None:
    await room.fill(1, rate_per_minute=0)
    token = await proof(room, 1)
    await room.open(state=state)
    assert (await room.line.move(42, 9, msgspec.structs.replace(token, fan=7))).state == "none"
    assert (await room.line.move(42, 9, token)).number == token.number


async def test_in_the_lobby_it_is_the_new_session_that_takes_part_in_the_draw(client: aioredis.Redis) -> None:
    room = Room(client)
    await room.open()
    await test_lobby.hours_to_sale(room, 1)
    for fan in (1, 2, 3):
        await room.line.join(42, fan)
    token = test_lobby.token_of(2, await room.line.standing(42, 2))
    moved = await room.line.move(42, 9, token)
    assert (moved.state, moved.joined) == ("lobby", "restored")
    assert (await room.line.counts(42)).lobby == 3
    assert (await room.line.move(42, 8, token)).state == "none"
    await test_lobby.hours_to_sale(room, -0.01)
    third = test_lobby.token_of(3, await room.line.standing(42, 3))
    with pytest.raises(Rebuilding) as refused:
        await room.line.move(42, 8, third)
    assert refused.value.retry_after_seconds > 0
    order = await test_lobby.draw(room)
    assert sorted(order) == [1, 3, 9]
    # The token of the lobby is good for the place that was drawn from it.
    drawn = await room.line.move(42, 8, third)
    assert (drawn.state, drawn.number) == ("waiting", order.index(3) + 1)
    assert (await room.line.move(42, 7, token)).state == "none"
    assert (await room.line.join(42, 2, token)).joined == "new"
    assert (await room.line.counts(42)).waiting == 4
