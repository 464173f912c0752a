"""A place token brings a place back where Redis lost it, and nowhere else."""

from __future__ import annotations

import pytest

from tests.unit.waiting_room.room import Room
from waiting_room.errors import Rebuilding, RoomClosed
from waiting_room.model import Standing
from waiting_room.tokens import PlaceToken


def token_of(fan: int, standing: Standing, event: int = 42) -> PlaceToken:
    assert standing.joined_at_ms is not None
    return PlaceToken(
        event=event,
        fan=fan,
        epoch=standing.epoch,
        number=standing.number,
        joined_at_ms=standing.joined_at_ms,
        session="s",
        priority=standing.priority,
    )


async def tokens_of(room: Room, *fans: int) -> dict[int, PlaceToken]:
    return {fan: token_of(fan, await room.line.standing(42, fan)) for fan in fans}


async def test_the_old_order_returns_whoever_comes_first(room: Room) -> None:
    await room.fill(1, 2, 3, rate_per_minute=0)
    tokens = await tokens_of(room, 1, 2, 3)
    await room.lose()
    await room.open(state="rebuilding")
    for fan in (3, 1, 2):
        standing = await room.line.join(42, fan, tokens[fan])
        assert (standing.joined, standing.state) == ("restored", "waiting")
        assert (standing.number, standing.joined_at_ms) == (tokens[fan].number, tokens[fan].joined_at_ms)
    assert (await room.line.positions(42, [1, 2, 3])).ranks == [0, 1, 2]
    assert (await room.line.join(42, 1, tokens[1])).joined == "known"


async def test_the_unknown_wait_until_it_is_rebuilt_and_stand_behind(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    tokens = await tokens_of(room, 1, 2)
    await room.lose()
    await room.open(state="rebuilding")
    with pytest.raises(Rebuilding) as refused:
        await room.line.join(42, 3)
    assert refused.value.retry_after_seconds > 0
    assert await room.state(3) == "none"
    await room.line.join(42, 2, tokens[2])
    await room.open(state="open")
    await room.line.join(42, 3)
    await room.line.join(42, 1, tokens[1])
    assert (await room.line.positions(42, [1, 2, 3])).ranks == [0, 1, 2]


async def test_it_ignores_the_cap(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    tokens = await tokens_of(room, 1, 2)
    await room.lose()
    await room.fill(3, line_cap=1)
    for fan in (1, 2):
        assert (await room.line.join(42, fan, tokens[fan])).joined == "restored"


async def test_later_joiners_stand_behind_even_if_the_clock_fell_back(room: Room) -> None:
    await room.open(state="paused")
    ahead_of_us = PlaceToken(event=42, fan=1, epoch=2_000_000_000, number=77, joined_at_ms=1, session="s")
    await room.line.join(42, 1, ahead_of_us)
    behind = await room.line.join(42, 2)
    assert (behind.ahead, behind.epoch, behind.number) == (1, 2_000_000_000, 78)


async def test_a_counter_that_fell_back_gives_no_number_twice(room: Room) -> None:
    """The append-only file lacked the last second: the room is there, its latest joins are not."""
    await room.fill(1, 2, 3, rate_per_minute=0)
    tokens = await tokens_of(room, 3)
    await room.client.zrem(room.keys["line"], "3")
    for name in ("places", "seen"):
        await room.client.hdel(room.keys[name], "3")
    await room.client.hset(room.keys["config"], "number", 2)
    assert (await room.line.join(42, 3, tokens[3])).number == 3
    assert (await room.line.join(42, 4)).number == 4


@pytest.mark.parametrize("end", ["left", "done", "expired"])
async def test_a_place_that_ended_does_not_come_back(room: Room, end: str) -> None:
    await room.fill(1, 2, 3, capacity=1)
    tokens = await tokens_of(room, 1)
    await room.called(1)
    if end == "left":
        await room.line.leave(42, 1)
    else:
        await room.line.claim(42, 1)
        if end == "done":
            await room.line.finish(42, [1])
        else:
            await room.pass_time(room.config.pass_seconds + 1)
            await room.heard_from(2, 3)
            await room.tick()
    assert await room.state(1) == end
    again = await room.line.join(42, 1, tokens[1])
    assert again.joined == "new"
    assert again.number == 4

    await room.line.leave(42, 1)
    once_more = await room.line.join(42, 1, tokens[1])
    assert (once_more.joined, once_more.number) == ("new", 5)


async def test_ended_places_are_bounded_and_what_is_forgotten_stays_ended(room: Room) -> None:
    most = 100_000
    await room.fill(1, 2, 3, rate_per_minute=0)
    tokens = await tokens_of(room, 1)
    await room.line.leave(42, 1)
    for round_ in range(2):
        crowd = {str(10_000_000 * (round_ + 1) + fan): "left:1:1" for fan in range(most)}
        await room.client.hset(room.keys["ended"], mapping=crowd)
        await room.line.join(42, 4 + round_)
        await room.line.leave(42, 4 + round_)
    assert await room.client.hlen(room.keys["ended"]) <= most
    assert await room.client.hlen(room.keys["ended_before"]) <= most + 1
    assert await room.state(1) == "none", "forgotten"
    assert (await room.line.join(42, 1, tokens[1])).joined == "new"
    assert await room.states(4, 5) == ["left", "left"]


async def test_a_token_of_the_known_changes_nothing(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    better = PlaceToken(event=42, fan=2, epoch=1_750_000_001, number=1, joined_at_ms=1, session="s")
    standing = await room.line.join(42, 2, better)
    assert (standing.joined, standing.ahead) == ("known", 1)


async def test_a_closed_room_takes_no_token(room: Room) -> None:
    await room.fill(1)
    tokens = await tokens_of(room, 1)
    await room.lose()
    await room.open(state="closed")
    with pytest.raises(RoomClosed):
        await room.line.join(42, 1, tokens[1])


async def test_a_token_of_another_fan_or_event_is_a_bug_of_the_caller(room: Room) -> None:
    await room.fill(1)
    token = (await tokens_of(room, 1))[1]
    with pytest.raises(ValueError, match="another"):
        await room.line.join(42, 2, token)
    with pytest.raises(ValueError, match="another"):
        await room.line.join(43, 1, token)
