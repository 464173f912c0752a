"""Absent fans who can be told of their turn keep their places for it, once, and nobody waits for them."""

from __future__ import annotations

from tests.unit.waiting_room.room import Room

LONG_SECONDS = 600


async def test_the_front_names_fans_with_their_places(room: Room) -> None:
    await room.fill(1, 2, 3, capacity=0)
    front = await room.line.front(42)
    assert [(one.fan, one.number) for one in front.line] == [(1, 1), (2, 2), (3, 3)]
    assert (front.priority, front.called, front.away) == ((), (), ())
    standing = await room.line.standing(42, 2, touch=False)
    assert (front.line[1].epoch, front.line[1].joined_at_ms) == (standing.epoch, standing.joined_at_ms)
    await room.open(capacity=1)
    await room.tick()
    front = await room.line.front(42)
    assert [one.fan for one in front.called] == [1]
    assert len((await room.line.front(42, 1)).line) == 1


async def test_a_told_fan_is_passed_over_and_keeps_the_place(room: Room) -> None:
    await room.fill(1, 2, 3, capacity=0)
    await room.pass_time(LONG_SECONDS)
    await room.heard_from(3)
    assert await room.line.keep(42, [1], [], LONG_SECONDS) == 1
    await room.open(capacity=5)
    await room.tick()
    assert await room.states(1, 2, 3) == ["waiting", "expired", "called"], "nobody waits for the told fan"
    assert [one.fan for one in (await room.line.front(42)).away] == [1]
    assert await room.line.keep(42, [], [1], LONG_SECONDS) == 1
    await room.pass_time(LONG_SECONDS - 30)
    await room.tick()
    assert await room.state(1) == "waiting"
    await room.heard_from(1)
    await room.tick()
    assert await room.state(1) == "called", "who comes back is next"


async def test_a_told_fan_who_stays_away_loses_the_place_in_the_end(room: Room) -> None:
    await room.fill(1, capacity=0)
    await room.pass_time(LONG_SECONDS)
    await room.line.keep(42, [1], [], LONG_SECONDS)
    await room.open(capacity=5)
    await room.tick()
    await room.line.keep(42, [], [1], LONG_SECONDS)
    await room.pass_time(LONG_SECONDS + 1)
    await room.tick()
    assert await room.state(1) == "expired"


async def test_to_keep_a_place_shortens_nothing_and_makes_none(room: Room) -> None:
    await room.fill(1, capacity=0)
    assert await room.line.keep(42, [1, 99], [1, 99], LONG_SECONDS) == 0, "a fan who is there needs nothing"
    await room.open(capacity=5)
    await room.tick()
    assert await room.states(1, 99) == ["called", "none"]
