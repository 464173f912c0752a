from __future__ import annotations

import asyncio

import pytest

from tests.unit.waiting_room.room import Room
from waiting_room.errors import LineFull, RoomClosed, RoomOff, RoomSoldOut, RoomUnknown

LARGEST_FAN = 2**52 - 1


async def test_is_admitted_at_once_when_nobody_is_ahead(room: Room) -> None:
    standing = await room.line.join(42, 7)
    assert (standing.state, standing.joined, standing.ahead) == ("admitted", "new", 0)
    assert standing.pass_until_ms == standing.now_ms + room.config.pass_seconds * 1000
    assert await room.line.admitted_until(42, 7) == standing.pass_until_ms


async def test_waits_behind_those_who_wait(room: Room) -> None:
    await room.fill(1)
    standing = await room.line.join(42, 2)
    assert (standing.state, standing.ahead, standing.position, standing.waiting) == ("waiting", 1, 2, 2)


@pytest.mark.parametrize("full", [{"capacity": 0}, {"rate_per_minute": 0}, {"state": "paused"}])
async def test_waits_while_the_door_lets_nobody_in(room: Room, full: dict[str, object]) -> None:
    await room.open(**full)
    assert (await room.line.join(42, 1)).state == "waiting"


async def test_stands_in_order_of_joining(room: Room) -> None:
    fans = [9, 1, LARGEST_FAN, 5, 2]
    await room.fill(*fans)
    assert (await room.line.positions(42, fans)).ranks == [0, 1, 2, 3, 4]
    numbers = [(await room.line.standing(42, fan)).number for fan in fans]
    assert numbers == [1, 2, 3, 4, 5]


async def test_a_crowd_at_one_moment_gets_distinct_numbers(room: Room) -> None:
    await room.open(state="paused")
    standings = await asyncio.gather(*(room.line.join(42, fan) for fan in range(1, 81)))
    assert sorted(standing.number for standing in standings) == list(range(1, 81))


async def test_joining_again_is_the_same_place(room: Room) -> None:
    await room.fill(1, 2, 3)
    before = await room.line.standing(42, 2)
    again = await room.line.join(42, 2)
    assert again.joined == "known"
    assert (again.epoch, again.number, again.joined_at_ms, again.ahead) == (
        before.epoch,
        before.number,
        before.joined_at_ms,
        1,
    )
    assert (await room.line.counts(42)).waiting == 3


async def test_joining_again_keeps_the_pass(room: Room) -> None:
    first = await room.line.join(42, 1)
    await room.pass_time(100)
    again = await room.line.join(42, 1)
    assert first.pass_until_ms is not None
    assert again.pass_until_ms == first.pass_until_ms - 100_000


async def test_a_full_line_stores_nothing(room: Room) -> None:
    await room.fill(1, 2, line_cap=2, rate_per_minute=0)
    keys_before = await room.client.dbsize()
    with pytest.raises(LineFull) as refused:
        await room.line.join(42, 3)
    assert 1 <= refused.value.retry_after_seconds <= 60
    assert await room.state(3) == "none"
    assert await room.client.dbsize() == keys_before
    assert await room.client.hlen(room.keys["places"]) == 2
    assert await room.client.hget(room.keys["seen"], "3") is None
    assert (await room.line.join(42, 2)).ahead == 1, "whoever is in line stays in it"


async def test_the_absent_count_against_the_cap(room: Room) -> None:
    await room.fill(1, 2, line_cap=2)
    await room.pass_time(30)
    await room.heard_from(2)
    await room.tick()
    assert (await room.line.counts(42)).away == 1
    await room.fill(3, rate_per_minute=0)
    with pytest.raises(LineFull):
        await room.line.join(42, 4)


async def test_a_line_cap_of_none_still_admits_at_once(room: Room) -> None:
    await room.open(line_cap=0, capacity=1)
    assert (await room.line.join(42, 1)).state == "admitted"
    with pytest.raises(LineFull):
        await room.line.join(42, 2)


@pytest.mark.parametrize(("state", "error"), [("off", RoomOff), ("closed", RoomClosed), ("sold_out", RoomSoldOut)])
async def test_a_room_that_takes_nobody_says_why(room: Room, state: str, error: type[Exception]) -> None:
    await room.open(state=state)
    with pytest.raises(error):
        await room.line.join(42, 1)
    assert await room.state(1) == "none"


@pytest.mark.parametrize("state", ["paused", "closed", "sold_out"])
async def test_who_has_a_place_keeps_it_whatever_the_room(room: Room, state: str) -> None:
    await room.fill(1)
    await room.open(state=state)
    standing = await room.line.join(42, 1)
    assert (standing.state, standing.room_state) == ("waiting", state)


async def test_no_room_says_so(room: Room) -> None:
    for call in (room.line.join, room.line.standing, room.line.claim):
        with pytest.raises(RoomUnknown):
            await call(43, 1)
    with pytest.raises(RoomUnknown):
        await room.line.admit(43)
    with pytest.raises(RoomUnknown):
        await room.line.counts(43)


async def test_after_leaving_a_new_place_is_at_the_back(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    await room.line.leave(42, 1)
    again = await room.line.join(42, 1)
    assert (again.joined, again.number, again.ahead) == ("new", 3, 1)


async def test_rooms_are_apart(room: Room) -> None:
    other = Room(room.client, event=43)
    await other.fill(1, 2, rate_per_minute=0)
    await room.fill(2, rate_per_minute=0)
    assert (await room.line.standing(42, 2)).ahead == 0
    assert (await room.line.standing(43, 2)).ahead == 1
    assert await room.state(1) == "none"


async def test_numbers_that_would_overflow_begin_a_new_epoch_behind(room: Room) -> None:
    await room.open(state="paused")
    await room.client.hset(room.keys["config"], "number", 2**23 - 2)
    first, second, third = [await room.line.join(42, fan) for fan in (1, 2, 3)]
    assert first.number == 2**23 - 1
    assert (second.number, third.number) == (1, 2)
    assert first.epoch < second.epoch == third.epoch
    assert [standing.ahead for standing in (first, second, third)] == [0, 1, 2]


async def test_a_full_line_lets_go_of_fans_of_whom_nothing_was_heard(room: Room) -> None:
    await room.fill(1, 2, 3, line_cap=3, rate_per_minute=0, absence_seconds=120, connected_seconds=15)
    with pytest.raises(LineFull):
        await room.line.join(42, 4)
    await room.pass_time(100)
    await room.heard_from(2)
    await room.pass_time(60)
    assert (await room.line.join(42, 4)).joined == "new"
    assert [(await room.line.standing(42, fan, touch=False)).state for fan in (1, 2, 3, 4)] == [
        "expired", "waiting", "expired", "waiting",
    ]  # fmt: skip
