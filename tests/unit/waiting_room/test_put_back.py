"""An operator puts fans back in line: at the place that ended or in front, and nobody's shown position rises."""

from __future__ import annotations

import pytest

from tests.unit.waiting_room.room import Room
from waiting_room.errors import NoPlace, RoomClosed
from waiting_room.model import FanState


async def test_a_fan_who_left_gets_the_old_place_back(room: Room) -> None:
    await room.open(rate_per_minute=0)
    for fan in (1, 2, 3):
        await room.line.join(42, fan)
    joined = await room.line.standing(42, 2)
    await room.line.leave(42, 2)
    shown = (await room.line.standing(42, 3)).shown
    back = await room.line.put_back(42, 2, in_front=False)
    assert (back.state, back.joined, back.position) == (FanState.WAITING, "restored", 2)
    assert (back.epoch, back.number) == (joined.epoch, joined.number)
    assert (await room.line.standing(42, 3)).shown == shown
    assert (await room.line.history(42, 2)).noted[-1].what == "put_back"
    assert (await room.line.put_back(42, 2, in_front=False)).joined == "known"


async def test_in_front_is_before_all_who_wait(room: Room) -> None:
    await room.open(rate_per_minute=0)
    for fan in (1, 2, 3):
        await room.line.join(42, fan)
    assert (await room.line.put_back(42, 9, in_front=True)).position == 1
    assert (await room.line.put_back(42, 3, in_front=True)).position == 1
    assert [(await room.line.standing(42, fan)).position for fan in (3, 9, 1, 2)] == [1, 2, 3, 4]
    assert (await room.line.put_back(42, 3, in_front=True)).position == 1
    # Who is called or inside stays there.
    await room.open(rate_per_minute=60_000)
    await room.line.admit(42)
    assert (await room.line.put_back(42, 3, in_front=True)).state == FanState.CALLED


async def test_what_cannot_be_given_back_is_refused(room: Room) -> None:
    await room.open(rate_per_minute=0)
    with pytest.raises(NoPlace):
        await room.line.put_back(42, 7, in_front=False)
    await room.open(state="closed")
    with pytest.raises(RoomClosed):
        await room.line.put_back(42, 7, in_front=True)
