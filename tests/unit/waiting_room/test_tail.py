"""The end of a sale: who counts as at work, whose pass ends early, and what becomes of the place."""

from __future__ import annotations

from tests.unit.waiting_room.room import Room
from waiting_room.model import Standing

LONG_AGO_MS = 300_000


async def inside(room: Room, *fans: int, free: int, **config: object) -> None:
    """Fans 1 to 39 join; these are called, claim, and are inside; so many seats are free."""
    config = {"stock_factor": 1.0, "stock_spare": 0, **config}
    await room.fill(*range(1, 40), capacity=len(fans), connected_seconds=60, **{**config, "rate_per_minute": 60_000})
    await room.tick()
    for fan in fans:
        await room.line.claim(42, fan)
    await room.line.set_stock(42, free, 0, 1)
    await room.open(capacity=100, connected_seconds=60, **config)


async def did_nothing_since(room: Room, ms: int, *fans: int) -> None:
    now_ms = (await room.line.counts(42)).now_ms
    await room.client.zadd(room.keys["acted"], dict.fromkeys(fans, now_ms - ms))


async def scarce_since(room: Room, ms: int) -> None:
    now_ms = (await room.line.counts(42)).now_ms
    await room.client.hset(room.keys["config"], "scarce_since", now_ms - ms)


async def standing(room: Room, fan: int) -> Standing:
    return await room.line.standing(42, fan, touch=False)


async def test_who_does_nothing_takes_no_slot_from_the_last_seat(room: Room) -> None:
    await inside(room, 1, 2, free=1, stock_factor=2.0)
    await room.tick()
    assert (await room.line.counts(42)).called == 0, "both may take the seat still"
    await did_nothing_since(room, LONG_AGO_MS, 2)
    await room.tick()
    counts = await room.line.counts(42)
    assert (counts.called, counts.admitted, counts.at_work) == (1, 2, 2)
    assert counts.is_crowded


async def test_a_little_more_fans_than_seats_are_let_in_but_none_without_a_seat(room: Room) -> None:
    await inside(room, 1, free=1, stock_factor=2.0, stock_spare=3)
    await room.tick()
    assert (await room.line.counts(42)).called == 4
    await room.line.set_stock(42, 0, 1, 2)
    await room.tick()
    assert (await room.line.counts(42)).called == 4


async def test_who_holds_seats_takes_no_slot_of_the_free_ones_and_is_not_idle(room: Room) -> None:
    await inside(room, 1, free=1)
    until_ms = (await standing(room, 1)).pass_until_ms or 0
    await room.line.extend(42, {1: until_ms + 1000})
    await room.tick()
    assert (await room.line.counts(42)).called == 1
    await scarce_since(room, LONG_AGO_MS)
    await room.tick()
    assert (await standing(room, 1)).state == "admitted"
    assert (await standing(room, 1)).idle_ends_ms is None


async def test_the_end_of_an_idle_pass_is_told_before_it_comes(room: Room) -> None:
    await inside(room, 1, 2, free=1, idle_seconds=60)
    assert (await standing(room, 1)).idle_ends_ms is None, "seats are not scarce yet"
    await did_nothing_since(room, LONG_AGO_MS, 1, 2)
    before_ms = (await room.line.counts(42)).now_ms
    await room.tick()
    after_ms = (await room.line.counts(42)).now_ms
    now = await standing(room, 1)
    assert now.state == "admitted", "all have the whole time from when seats grow scarce"
    assert now.idle_ends_ms is not None
    assert before_ms + 60_000 <= now.idle_ends_ms <= after_ms + 60_000
    ends = await room.line.passes(42, [1, 3])
    assert ends[0] is not None
    assert (ends[0].until_ms, ends[0].idle_ends_ms) == (now.pass_until_ms, now.idle_ends_ms)
    assert ends[1] is None


async def test_who_does_nothing_loses_the_pass_and_keeps_the_place_in_front(room: Room) -> None:
    await inside(room, 1, 2, free=1, rate_per_minute=0)
    before = await standing(room, 1)
    await room.tick()
    await scarce_since(room, LONG_AGO_MS)
    await did_nothing_since(room, LONG_AGO_MS, 1)
    await room.tick()
    now = await standing(room, 1)
    assert (now.state, now.idle, now.ahead, now.shown) == ("waiting", True, 0, 1)
    assert (now.epoch, now.number) == (before.epoch, before.number)
    assert await room.line.admitted_until(42, 1) is None
    assert (await standing(room, 2)).state == "admitted"
    counts = await room.line.counts(42)
    assert (counts.away, counts.admitted) == (1, 1)
    assert [one.what for one in (await room.line.history(42, 1)).noted][-1] == "idle"


async def idle_fan(room: Room, **config: object) -> None:
    await inside(room, 1, free=1, **config)
    await scarce_since(room, LONG_AGO_MS)
    await did_nothing_since(room, LONG_AGO_MS, 1)
    await room.tick()
    assert (await standing(room, 1)).idle


async def test_an_idle_fan_is_called_again_after_a_sign_of_life_only(room: Room) -> None:
    await idle_fan(room)
    await room.line.heartbeat(42, {1: 1})
    await room.line.standing(42, 1)
    await room.tick()
    assert (await standing(room, 1)).idle, "an open page is none"
    acted = await room.line.act(42, 1, tries=False)
    assert (acted.pass_until_ms, acted.was_idle) == (None, True)
    now = await standing(room, 1)
    assert (now.state, now.idle, now.ahead) == ("waiting", False, 0)
    await room.line.set_stock(42, 9, 0, 3)
    await room.tick()
    assert (await standing(room, 1)).state == "called"
    assert (await room.line.claim(42, 1)).pass_until_ms is not None
    assert [one.what for one in (await room.line.history(42, 1)).noted][-4:] == ["idle", "back", "called", "admitted"]


async def test_a_sign_puts_the_end_off_for_a_while_and_a_try_always(room: Room) -> None:
    await inside(room, 1, 2, free=1, choose_seconds=100)
    await scarce_since(room, LONG_AGO_MS)
    place = await room.client.hget(room.keys["places"], "1")
    score, joined_at, admitted_at = place.decode().split(":")
    long_in = f"{score}:{joined_at}:{int(admitted_at) - LONG_AGO_MS}"
    await room.client.hset(room.keys["places"], "1", long_in)
    await did_nothing_since(room, 50_000, 1, 2)
    for fan in (1, 2):
        await room.line.act(42, fan, tries=False)
    soon, later = [ends.idle_ends_ms or 0 for ends in await room.line.passes(42, [1, 2]) if ends]
    assert later - soon > 40_000, "the first one's page says so for too long"
    acted = await room.line.act(42, 1, tries=True)
    assert acted.pass_until_ms == (await standing(room, 1)).pass_until_ms
    again, _ = [ends.idle_ends_ms or 0 for ends in await room.line.passes(42, [1, 2]) if ends]
    assert again - soon > 40_000


async def test_an_idle_fan_may_leave_buy_and_be_absent_as_any_other(room: Room) -> None:
    await idle_fan(room)
    assert await room.line.finish(42, [1]) == 0
    assert (await standing(room, 1)).state == "done"
    assert await room.client.zcard(room.keys["idle"]) == 0


async def test_the_place_of_an_idle_fan_ends_with_the_absence_alone(room: Room) -> None:
    await idle_fan(room, absence_seconds=20)
    now_ms = (await room.line.counts(42)).now_ms
    await room.client.zadd(room.keys["idle"], {1: now_ms - 1})
    await room.tick()
    assert (await standing(room, 1)).idle, "the page is open"
    await room.client.zadd(room.keys["idle"], {1: now_ms - 1})
    await room.client.hset(room.keys["seen"], "1", now_ms - 30_000)
    await room.tick()
    assert (await standing(room, 1)).state == "expired"


async def test_seats_are_not_scarce_while_nobody_waits_or_none_is_free(room: Room) -> None:
    await room.fill(1, 2, capacity=9)
    await room.tick()
    await room.line.claim(42, 1)
    await room.line.set_stock(42, 1, 0, 1)
    await room.tick()
    assert (await room.line.counts(42)).scarce_since_ms == 0, "nobody waits"
    await inside(room, 1, free=0)
    await room.tick()
    assert (await room.line.counts(42)).scarce_since_ms == 0, "there is nothing to choose"


async def test_while_others_wait_for_a_slot_who_does_nothing_inside_gives_it_back(room: Room) -> None:
    await room.fill(1, 2, 3, capacity=2, rate_per_minute=60_000, choose_seconds=180, connected_seconds=60)
    await room.tick()
    for fan in (1, 2):
        await room.line.claim(42, fan)
    await room.tick()
    await room.pass_time(120)
    await room.line.act(42, 1, tries=False)
    await room.heard_from(1, 2, 3)
    await room.tick()
    assert [(await standing(room, fan)).state for fan in (1, 2)] == ["admitted", "admitted"], "three minutes are theirs"
    await room.pass_time(70)
    await room.heard_from(1, 2, 3)
    await room.tick()
    assert (await standing(room, 1)).state == "admitted", "a fan at work stays"
    idle = await standing(room, 2)
    assert (idle.state, idle.idle) == ("waiting", True), "the place is kept, in front"
    await room.tick()
    assert (await standing(room, 3)).state == "called"
