"""A room that Redis lost comes back by itself, in the old order, before anybody else gets in."""

from __future__ import annotations

import asyncio

import pytest
from redis import Redis

from tests.unit.waiting_room.room import Room
from tests.unit.waiting_room.test_restore import tokens_of
from waiting_room.errors import Rebuilding
from waiting_room.line import Slots
from waiting_room.model import Slot


async def rebuild(room: Room, *, seconds: float = 10, after_epoch: int = 1) -> None:
    await room.lose()
    configured = await room.line.configure(42, room.config, after_epoch=after_epoch, rebuild_seconds=seconds)
    assert configured == "created"


async def end_window(room: Room) -> None:
    """As if the window's time were over; the time to be heard is not."""
    await room.client.hset(room.keys["config"], "rebuild_until", 1)


async def test_the_window_opens_and_ends_by_itself(room: Room) -> None:
    began_ms = (await room.line.counts(42)).now_ms
    await rebuild(room, seconds=60)
    counts = await room.line.counts(42)
    assert counts.state == "rebuilding"
    until_ms = int(await room.client.hget(room.keys["config"], "rebuild_until"))
    assert began_ms + 60_000 <= until_ms <= counts.now_ms + 60_000
    with pytest.raises(Rebuilding):
        await room.line.join(42, 9)
    await room.client.hset(room.keys["config"], "rebuild_until", counts.now_ms + 100)
    while (counts := await room.line.counts(42)).state == "rebuilding":  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert counts.state == "open"
    assert counts.now_ms >= int(await room.client.hget(room.keys["config"], "rebuild_until"))
    assert (await room.line.join(42, 9)).joined == "new"


async def test_a_new_room_has_no_window(room: Room) -> None:
    await room.lose()
    await room.line.configure(42, room.config, after_epoch=0, rebuild_seconds=10)
    assert (await room.line.counts(42)).state == "open"


async def test_a_window_of_nothing_is_none(room: Room) -> None:
    await rebuild(room, seconds=0)
    assert (await room.line.join(42, 9)).state == "admitted"


async def test_the_next_epoch_is_later_though_the_clock_fell_back(room: Room) -> None:
    await rebuild(room, after_epoch=2_000_000_000)
    assert (await room.line.counts(42)).epoch == 2_000_000_001


async def test_nobody_is_called_before_all_had_time_to_be_heard(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    tokens = await tokens_of(room, 1, 2)
    await room.open(rate_per_minute=60_000)
    await rebuild(room)
    standing = await room.line.join(42, 2, tokens[2])
    assert (standing.room_state, standing.shown, standing.ahead) == ("rebuilding", 0, 0)
    await room.tick()
    assert await room.state(2) == "waiting"
    await end_window(room)
    assert (await room.line.join(42, 9)).state == "waiting", "not at once either"
    await room.tick()
    assert await room.states(2, 9) == ["waiting", "waiting"]
    assert (await room.line.join(42, 1, tokens[1])).ahead == 0
    await room.pass_time(room.config.connected_seconds + 1)
    await room.heard_from(1, 2, 9)
    await room.open(capacity=1)
    await room.tick()
    assert await room.states(1, 2, 9) == ["called", "waiting", "waiting"]


async def test_a_slot_is_retaken_once_and_counts(room: Room) -> None:
    await room.open(capacity=1)
    await rebuild(room)
    now_ms = (await room.line.counts(42)).now_ms
    slot = Slot(7, now_ms + 60_000, now_ms - 60_000)
    assert await room.line.retake(42, [slot, Slot(8, now_ms - 1, 1)]) == 1
    assert await room.line.retake(42, [slot]) == 0
    assert await room.line.admitted_until(42, 7) == slot.until_ms
    assert await room.line.admitted_until(42, 8) is None
    await end_window(room)
    assert (await room.line.join(42, 9)).state == "waiting"
    await room.pass_time(room.config.connected_seconds + 1)
    await room.heard_from(7, 9)
    await room.tick()
    assert await room.states(7, 9) == ["admitted", "waiting"]


async def test_a_restored_fan_with_a_pass_goes_from_line_to_slot(room: Room) -> None:
    await room.fill(1, rate_per_minute=0)
    tokens = await tokens_of(room, 1)
    await rebuild(room, after_epoch=tokens[1].epoch)
    await room.line.join(42, 1, tokens[1])
    until_ms = (await room.line.counts(42)).now_ms + 60_000
    assert await room.line.retake(42, [Slot(1, until_ms, 1)]) == 1
    assert await room.state(1) == "admitted"
    assert (await room.line.counts(42)).waiting == 0


async def test_a_pass_takes_no_slot_where_redis_knows_better(room: Room) -> None:
    await room.admitted(1)
    await room.line.leave(42, 1)
    await room.open(rate_per_minute=0)
    await room.line.join(42, 2)
    until_ms = (await room.line.counts(42)).now_ms + 60_000
    assert await room.line.retake(42, [Slot(1, until_ms, 1), Slot(2, until_ms, 1)]) == 0
    assert await room.states(1, 2) == ["left", "waiting"]
    await room.line.join(42, 1)
    assert await room.line.retake(42, [Slot(1, until_ms, 1)]) == 0
    assert await room.state(1) == "waiting"


async def test_departures_wait_to_be_recorded(room: Room, redis_url: str) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    tokens = await tokens_of(room, 1, 2)
    await room.line.leave(42, 1)
    await room.line.leave(42, 2)
    with Redis.from_url(redis_url) as client:
        slots = Slots(client)
        gone = slots.departing(42)
        assert {(one.fan, one.state, one.epoch, one.number) for one in gone} == {
            (fan, "left", tokens[fan].epoch, tokens[fan].number) for fan in (1, 2)
        }
        # One departs again before the first departure is struck off.
        await room.line.join(42, 2)
        await room.line.leave(42, 2)
        assert slots.recorded(42, gone) == 1
        assert [(one.fan, one.number) for one in slots.departing(42)] == [(2, 3)]
