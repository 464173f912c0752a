from __future__ import annotations

from dataclasses import replace

import pytest
from redis import Redis

from db.rooms.dials import DIALS, Dial, dials_of
from db.rooms.states import RoomState
from tests.other_values import other_value
from tests.unit.waiting_room.room import Room
from waiting_room.line import Slots
from waiting_room.model import RoomConfig


async def test_what_is_configured_is_what_counts_say(room: Room) -> None:
    config = RoomConfig(
        state=RoomState.PAUSED,
        rate_per_minute=0.5,
        capacity=7,
        line_cap=9,
        claim_window_seconds=30,
        pass_seconds=600,
        absence_seconds=90,
        connected_seconds=10,
        stock_factor=1.5,
        revision=12,
    )
    assert await room.line.configure(42, config) == "updated"
    counts = await room.line.counts(42)
    assert counts.config == config
    assert abs(counts.now_ms / 1000 - counts.epoch) < 60


async def test_every_dial_comes_back_from_redis(room: Room) -> None:
    turned = {name: other_value(dial) for name, dial in DIALS.items()}
    config = RoomConfig(**turned, revision=12)  # type: ignore[arg-type]
    assert await room.line.configure(42, config) == "updated"
    found = (await room.line.counts(42)).config
    assert found == config
    assert dials_of(found) == turned


@pytest.mark.parametrize("dial", DIALS.values(), ids=lambda dial: dial.name)
async def test_a_forecast_is_made_afresh_where_the_speed_depends_on_the_dial(room: Room, dial: Dial) -> None:
    await room.pass_time(60)
    before = (await room.line.counts(42)).paced_from_ms
    await room.open(**{dial.name: other_value(dial)})
    after = (await room.line.counts(42)).paced_from_ms
    assert (after - before > 50_000) == dial.paces


async def test_an_older_revision_changes_nothing(room: Room) -> None:
    new = replace(room.config, revision=9, capacity=1)
    assert await room.line.configure(42, new) == "updated"
    assert await room.line.configure(42, replace(new, capacity=2)) == "kept"
    assert await room.line.configure(42, replace(new, revision=8, capacity=3)) == "kept"
    assert (await room.line.counts(42)).config == new


async def test_settings_are_those_of_the_gateway_that_began_last(room: Room) -> None:
    """No operator changed the room, so its revision is the old one."""
    began = replace(
        room.config, absence_seconds=300, connected_seconds=20, receipt_entries_max=9, receipt_fans_max=5000
    )
    assert await room.line.configure(42, replace(began, capacity=2)) == "kept"
    assert (await room.line.counts(42)).config == began
    assert await room.line.configure(42, replace(room.config, revision=0)) == "kept"
    assert (await room.line.counts(42)).config == began, "an older one knows less of everything"


async def test_a_room_that_redis_lost_is_created_anew(room: Room) -> None:
    await room.lose()
    assert await room.line.configure(42, room.config) == "created"


async def test_a_change_is_told_and_keeps_the_line(room: Room) -> None:
    await room.fill(1, 2)
    epoch = (await room.line.counts(42)).epoch
    async with room.news() as news:
        await room.open(rate_per_minute=1)
    assert [(message.event, message.config) for message in news] == [(42, room.config.revision)]
    counts = await room.line.counts(42)
    assert (counts.waiting, counts.epoch) == (2, epoch)


async def test_workers_see_what_is_configured(room: Room, redis_url: str) -> None:
    await room.open(capacity=3)
    with Redis.from_url(redis_url) as client:
        assert Slots(client).counts(42).config == room.config


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "ajar"},
        {"rate_per_minute": -1},
        {"rate_per_minute": float("nan")},
        {"rate_per_minute": float("inf")},
        {"capacity": -1},
        {"claim_window_seconds": 0},
        {"pass_seconds": 86_401},
    ],
)
def test_bounds_are_kept(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RoomConfig(**wrong)  # type: ignore[arg-type]
