"""Nobody is let in before a sale begins or after it has ended, and a sale that is moved takes nobody's place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.waiting_room.room import Room
from waiting_room.errors import NotCalled, RoomClosed

HOUR_MS = 3_600_000


async def now_ms(room: Room) -> int:
    return (await room.line.counts(42)).now_ms


async def room_state(room: Room) -> tuple[str, str]:
    """The room's state as the scripts have it, and as Python computes it."""
    standing = await room.line.standing(42, 999, touch=False)
    return standing.room_state, (await room.line.counts(42)).state


async def test_before_the_sale_fans_wait_and_nobody_is_let_in(room: Room) -> None:
    await room.open(on_sale_at_ms=await now_ms(room) + HOUR_MS)
    assert await room_state(room) == ("paused", "paused")
    for fan in (1, 2):
        assert (await room.line.join(42, fan)).state == "waiting"
    await room.tick()
    assert await room.states(1, 2) == ["waiting", "waiting"]
    await room.open(on_sale_at_ms=await now_ms(room) - 1)
    assert await room_state(room) == ("open", "open")
    await room.tick()
    assert await room.states(1, 2) == ["called", "called"]


async def test_a_sale_that_is_moved_to_later_puts_the_called_and_the_admitted_back_at_their_places(room: Room) -> None:
    await room.admitted(1)
    await room.fill(2, 3)
    await room.tick()
    assert await room.states(1, 2, 3) == ["admitted", "called", "called"]
    await room.open(on_sale_at_ms=await now_ms(room) + HOUR_MS)
    with pytest.raises(NotCalled):
        await room.line.claim(42, 2)
    await room.tick()
    assert await room.states(1, 2, 3) == ["waiting", "waiting", "waiting"]
    assert await room.line.admitted_until(42, 1) is None, "nor does a pass count"
    assert [(await room.line.standing(42, fan, touch=False)).ahead for fan in (1, 2, 3)] == [0, 1, 2]
    history = await room.line.history(42, 1)
    assert history.noted[-1].what == "put_off"


async def test_a_cancelled_event_ends_every_turn_and_every_pass(room: Room) -> None:
    await room.admitted(1)
    await room.fill(2, 3)
    await room.tick()
    assert await room.states(1, 2, 3) == ["admitted", "called", "called"]
    await room.open(state="closed", is_cancelled=True)
    with pytest.raises(NotCalled):
        await room.line.claim(42, 2)
    await room.tick()
    assert await room.states(1, 2, 3) == ["waiting", "waiting", "waiting"]
    assert await room.line.admitted_until(42, 1) is None
    assert (await room.line.history(42, 1)).noted[-1].what == "called_off"
    assert (await room.line.counts(42)).config.is_cancelled
    with pytest.raises(RoomClosed):
        await room.line.join(42, 4)


async def test_from_the_end_of_the_sale_on_the_room_is_closed(room: Room) -> None:
    await room.fill(1, 2, capacity=1)
    await room.called(1)
    await room.open(off_sale_at_ms=await now_ms(room))
    assert await room_state(room) == ("closed", "closed")
    with pytest.raises(NotCalled):
        await room.line.claim(42, 1)
    with pytest.raises(RoomClosed):
        await room.line.join(42, 3)
    await room.open(capacity=10)
    await room.tick()
    assert await room.state(2) == "waiting"


async def test_a_room_that_is_off_has_no_line_whatever_the_sale(room: Room) -> None:
    await room.open(state="off", off_sale_at_ms=await now_ms(room))
    assert await room_state(room) == ("off", "off")


async def test_a_room_of_an_older_release_is_told_its_sale_at_the_same_revision(room: Room) -> None:
    later = replace(room.config, on_sale_at_ms=await now_ms(room) + HOUR_MS)
    assert await room.line.configure(42, later) == "kept"
    assert await room_state(room) == ("paused", "paused")
