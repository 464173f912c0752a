from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from redis import asyncio as aioredis

from tests.unit.waiting_room.room import Room
from waiting_room.autopilot import start
from waiting_room.eta import eta_in, forecast
from waiting_room.line import Line


async def test_calls_those_in_front_with_a_deadline_and_tells(room: Room) -> None:
    await room.fill(1, 2, 3, capacity=2)
    before_ms = (await room.line.counts(42)).now_ms
    async with room.news() as news:
        tick = await room.line.admit(42)
    after_ms = (await room.line.counts(42)).now_ms
    assert (tick.called, tick.ended, tick.more) == (2, 0, False)
    assert await room.states(1, 2, 3) == ["called", "called", "waiting"]
    standing = await room.line.standing(42, 1)
    assert standing.claim_by_ms is not None
    assert before_ms + 60_000 <= standing.claim_by_ms <= after_ms + 60_000
    assert standing.claim_by_seconds == (standing.claim_by_ms - standing.now_ms) // 1000
    assert news[0].called == [(1, standing.claim_by_ms), (2, standing.claim_by_ms)]
    assert len(news) == 1


async def test_a_tick_that_changes_nothing_is_silent(room: Room) -> None:
    await room.fill(1, capacity=0)
    async with room.news() as news:
        await room.tick()
    assert news == []


async def test_a_deputys_tick_does_nothing_where_another_tick_was_just_now(room: Room) -> None:
    await room.fill(1, 2, capacity=1)
    assert (await room.line.admit(42)).called == 1
    await room.line.leave(42, 1)
    in_vain = await room.line.admit(42, unless_within_ms=60_000)
    assert (in_vain.called, in_vain.is_empty) == (0, False)
    assert 0 < in_vain.due_in_ms <= 60_000
    await room.client.hincrby(room.keys["config"], "ticked_at", -60_000)
    assert (await room.line.admit(42, unless_within_ms=60_000)).due_in_ms == 0
    assert (await room.line.admit(42)).due_in_ms == 0, "the room's ticker asks nobody"


@pytest.mark.parametrize("state", ["off", "lobby", "paused", "rebuilding", "sold_out", "closed"])
async def test_calls_nobody_unless_open_but_ends_what_lapsed(room: Room, state: str) -> None:
    await room.admitted(1)
    await room.fill(2)
    await room.open(state=state)
    await room.pass_time(room.config.pass_seconds + 1)
    await room.heard_from(2)
    await room.tick()
    assert await room.states(1, 2) == ["expired", "waiting"]


class TestCapacity:
    async def test_counts_called_and_admitted(self, room: Room) -> None:
        await room.fill(*range(1, 8), capacity=3)
        await room.tick()
        await room.line.claim(42, 1)
        await room.tick()
        assert await room.states(1, 2, 3, 4) == ["admitted", "called", "called", "waiting"]

    async def test_a_slot_freed_is_the_next_ones(self, room: Room) -> None:
        await room.fill(1, 2, 3, 4, capacity=1)
        await room.tick()
        await room.line.leave(42, 1)
        await room.tick()
        assert await room.states(2, 3) == ["called", "waiting"]
        await room.line.claim(42, 2)
        await room.line.finish(42, [2])
        await room.tick()
        assert await room.states(2, 3, 4) == ["done", "called", "waiting"]

    async def test_a_pass_that_ran_out_frees_the_slot(self, room: Room) -> None:
        await room.fill(1, 2, capacity=1)
        await room.tick()
        await room.line.claim(42, 1)
        await room.pass_time(room.config.pass_seconds + 1)
        await room.heard_from(2)
        async with room.news() as news:
            await room.tick()
        assert await room.states(1, 2) == ["expired", "called"]
        assert news[0].ended == [(1, "expired")]

    async def test_lowered_capacity_takes_no_slot_away(self, room: Room) -> None:
        await room.fill(1, 2, 3)
        await room.tick()
        await room.open(capacity=1)
        await room.tick()
        assert await room.states(1, 2, 3) == ["called"] * 3


class TestRate:
    @pytest.mark.parametrize("rate", [0.5, 3, 7.5])
    async def test_a_slow_rate_calls_one_a_time(self, room: Room, rate: float) -> None:
        interval_seconds = 60 / rate
        await room.fill(*range(1, 6), rate_per_minute=rate, connected_seconds=3600, claim_window_seconds=3600)
        await room.tick()
        assert (await room.line.counts(42)).called == 1, "room for one in the bucket"
        for called in (2, 3):
            # Not to the last moment: on a busy machine half a second passes by itself.
            await room.pass_time(0.6 * interval_seconds)
            await room.tick()
            assert (await room.line.counts(42)).called == called - 1
            await room.pass_time(0.4 * interval_seconds)
            await room.tick()
            assert (await room.line.counts(42)).called == called

    async def test_rate_zero_calls_nobody_ever(self, room: Room) -> None:
        await room.fill(1, rate_per_minute=0, connected_seconds=3600)
        await room.pass_time(3000)
        await room.tick()
        assert await room.state(1) == "waiting"

    async def test_an_idle_hour_saves_up_one_second_only(self, room: Room) -> None:
        await room.fill(*range(1, 40), rate_per_minute=600, connected_seconds=86_400)
        await room.pass_time(3600)
        assert (await room.line.admit(42)).called == 10

    async def test_admissions_at_once_take_from_the_same_bucket(self, room: Room) -> None:
        await room.open(rate_per_minute=6)  # the next is let in ten seconds later
        states = [(await room.line.join(42, fan)).state for fan in (1, 2, 3)]
        assert states == ["admitted", "waiting", "waiting"]

    async def test_two_loops_at_once_keep_rate_and_capacity(self, room: Room, redis_url: str) -> None:
        rate_a_second, capacity = 60, 100
        await room.fill(*range(1, 251), rate_per_minute=rate_a_second * 60, capacity=capacity)
        calls: list[tuple[float, float, int]] = []

        async def loop(until: float) -> None:
            async with aioredis.Redis.from_url(redis_url) as own:
                line = Line(own)
                while (asked_at := time.monotonic()) < until:
                    tick = await line.admit(42)
                    calls.append((asked_at, time.monotonic(), tick.called))

        begun = time.monotonic()
        await asyncio.gather(*(loop(begun + 0.6) for _ in range(4)))
        elapsed = time.monotonic() - begun
        total = sum(called for _, _, called in calls)
        # The last tick was at least so long after the first one, however busy the machine is.
        ticked_seconds = max(asked_at for asked_at, _, _ in calls) - min(heard_at for _, heard_at, _ in calls)
        assert total <= rate_a_second * (1 + elapsed) + 1, "a second's burst, then the rate"
        assert total >= min(capacity, rate_a_second * (1 + ticked_seconds) - 1), "and it is used"
        while (await room.line.counts(42)).called < capacity:
            await asyncio.gather(*(loop(time.monotonic() + 0.2) for _ in range(4)))
        await asyncio.gather(*(loop(time.monotonic() + 0.2) for _ in range(4)))
        counts = await room.line.counts(42)
        assert counts.called == capacity
        assert counts.waiting == 250 - capacity


class TestGhosts:
    async def test_are_skipped_and_do_not_hold_up_those_behind(self, room: Room) -> None:
        await room.fill(1, 2, 3, 4, capacity=1)
        await room.pass_time(room.config.connected_seconds + 1)
        await room.heard_from(3, 4)
        await room.tick()
        assert await room.states(1, 2, 3, 4) == ["waiting", "waiting", "called", "waiting"]
        counts = await room.line.counts(42)
        assert (counts.waiting, counts.away, counts.called) == (1, 2, 1)

    async def test_cost_no_token(self, room: Room) -> None:
        await room.fill(1, 2, 3, rate_per_minute=1)
        await room.pass_time(30)
        await room.heard_from(3)
        await room.tick()
        assert await room.state(3) == "called"

    async def test_a_thousand_are_passed_in_bounded_steps(self, room: Room) -> None:
        await room.fill(*range(1, 1002))
        await room.pass_time(30)
        await room.heard_from(1001)
        first = await room.line.admit(42)
        assert (first.called, first.more) == (0, True)
        await room.tick()
        assert await room.state(1001) == "called"
        assert (await room.line.counts(42)).away == 1000

    @pytest.mark.parametrize("way", ["poll", "heartbeat", "join"])
    async def test_who_comes_back_in_time_has_the_old_place(self, room: Room, way: str) -> None:
        await room.fill(1, 2, 3, 4, capacity=1)
        await room.pass_time(30)
        await room.heard_from(2, 3, 4)
        await room.tick()
        assert await room.states(1, 2) == ["waiting", "called"]
        await room.pass_time(room.config.absence_seconds - 36)
        if way == "poll":
            await room.line.standing(42, 1)
        elif way == "heartbeat":
            assert await room.line.heartbeat(42, {1: 0}) == []
        else:
            await room.line.join(42, 1)
        standing = await room.line.standing(42, 1, touch=False)
        assert (standing.state, standing.number, standing.ahead) == ("waiting", 1, 0)
        assert (await room.line.counts(42)).away == 0
        await room.open(capacity=2)
        await room.tick()
        assert await room.states(1, 3) == ["called", "waiting"]

    async def test_looking_from_outside_is_no_heartbeat(self, room: Room) -> None:
        await room.fill(1)
        await room.pass_time(30)
        await room.line.standing(42, 1, touch=False)
        await room.tick()
        assert (await room.line.counts(42)).away == 1

    @pytest.mark.parametrize("settled_by", ["tick", "poll", "heartbeat"])
    async def test_who_stays_away_too_long_loses_the_place(self, room: Room, settled_by: str) -> None:
        await room.fill(1, 2)
        await room.pass_time(30)
        await room.heard_from(2)
        await room.tick()
        await room.pass_time(room.config.absence_seconds - 29)
        async with room.news() as news:
            if settled_by == "tick":
                await room.tick()
            elif settled_by == "poll":
                assert (await room.line.standing(42, 1)).state == "expired"
            else:
                assert await room.line.heartbeat(42, {1: 0}) == [1]
        assert (1, "expired") in [ended for message in news for ended in message.ended]
        assert await room.state(1) == "expired"

    async def test_absence_ends_a_place_only_at_the_front(self, room: Room) -> None:
        await room.fill(1, 2, 3, capacity=1)
        await room.pass_time(1000)
        await room.heard_from(1)
        await room.tick()
        assert await room.states(1, 2) == ["called", "waiting"], "the door is not there yet"
        await room.open(capacity=3)
        await room.heard_from(3)
        await room.tick()
        assert await room.states(2, 3) == ["expired", "called"]


class TestOutage:
    async def test_expires_nobody_and_calls_nobody_before_they_can_be_back(self, room: Room) -> None:
        await room.fill(*range(1, 7), capacity=2)
        await room.tick()
        assert await room.states(1, 2, 3) == ["called", "called", "waiting"]
        await room.open(capacity=5)
        await room.pass_time(1000, ticking=False)
        await room.heard_from(4)
        await room.tick()
        assert await room.states(1, 2, 3, 4) == ["called", "called", "waiting", "waiting"]
        called = await room.line.standing(42, 1)
        assert called.claim_by_seconds in (58, 59, 60), "the claim window starts afresh"
        assert (await room.line.claim(42, 1)).state == "admitted"

        await room.pass_time(room.config.connected_seconds + 1)
        await room.heard_from(1, 2, 4)
        await room.tick()
        assert await room.states(3, 4) == ["waiting", "called"], "now absence is absence again"
        await room.pass_time(room.config.absence_seconds)
        await room.tick()
        assert await room.state(3) == "expired"

    async def test_the_absent_have_their_time_again(self, room: Room) -> None:
        await room.fill(1, 2)
        await room.pass_time(100)
        await room.tick()
        assert (await room.line.counts(42)).away == 2
        await room.pass_time(1000, ticking=False)
        await room.tick()
        assert (await room.line.standing(42, 1)).state == "waiting"

    async def test_an_empty_room_that_slept_calls_the_first_at_once(self, room: Room) -> None:
        await room.tick()
        await room.pass_time(3600, ticking=False)
        await room.fill(1)
        await room.called(1)


class TestStock:
    async def test_unknown_limits_nobody(self, room: Room) -> None:
        await room.fill(*range(1, 20))
        await room.tick()
        assert (await room.line.counts(42)).called == 19

    async def test_bounds_the_called_and_admitted(self, room: Room) -> None:
        await room.fill(*range(1, 20), stock_factor=1.5, stock_spare=0)
        await room.line.set_stock(42, free=3, held=0, version=1)
        await room.tick()
        assert (await room.line.counts(42)).called == 5, "1.5 x 3, rounded up"

    async def test_none_left_calls_nobody_and_admits_nobody_at_once(self, room: Room) -> None:
        await room.line.set_stock(42, free=0, held=5, version=1)
        assert (await room.line.join(42, 1)).state == "waiting"
        await room.tick()
        assert await room.state(1) == "waiting"
        await room.line.set_stock(42, free=1, held=4, version=2)
        await room.tick()
        assert await room.state(1) == "called"

    async def test_factor_zero_does_not_look(self, room: Room) -> None:
        await room.line.set_stock(42, free=0, held=5, version=1)
        await room.open(stock_factor=0)
        assert (await room.line.join(42, 1)).state == "admitted"

    async def test_an_older_version_is_ignored(self, room: Room) -> None:
        assert await room.line.set_stock(42, free=5, held=1, version=7)
        assert not await room.line.set_stock(42, free=9, held=9, version=6)
        assert await room.line.set_stock(42, free=6, held=0, version=7), "a hold lapsed without a batch"
        stock = (await room.line.counts(42)).stock
        assert stock is not None
        assert (stock.free, stock.held, stock.version) == (6, 0, 7)


class TestForecast:
    """One forecast is told by all gateways, and made from the one before."""

    async def test_one_follows_another_whoever_makes_it(self, room: Room) -> None:
        await room.fill(1, 2)
        counts = await room.line.counts(42)
        first = forecast(counts)
        assert first is not None
        assert await room.line.publish_forecast(42, counts, first)
        assert not await room.line.publish_forecast(42, counts, msgspec.structs.replace(first, expected=1.0)), (
            "it is not the next"
        )
        counts = await room.line.counts(42)
        assert counts.forecast == first
        assert forecast(counts) == first
        better = msgspec.structs.replace(first, grade=first.grade + 1)
        assert await room.line.publish_forecast(42, counts, better)
        assert (await room.line.counts(42)).forecast == better

    async def test_it_ends_with_what_it_was_made_of(self, room: Room) -> None:
        async def paced_ms() -> int:
            counts = await room.line.counts(42)
            return counts.now_ms - counts.paced_from_ms

        await room.pass_time(20)
        await room.open(line_cap=7)
        assert await paced_ms() >= 20_000, "the line is as quick as before"
        await room.open(rate_per_minute=7)
        assert await paced_ms() < 20_000


class TestReturned:
    async def test_seats_given_back_after_the_sell_out_wait_for_the_line(self, room: Room) -> None:
        await room.line.set_stock(42, free=0, held=2, version=1)
        await room.line.join(42, 1)
        await room.line.set_stock(42, free=0, held=0, version=2)
        await room.line.set_stock(42, free=2, held=0, version=3)
        counts = await room.line.counts(42)
        assert not counts.door_open
        assert eta_in(counts, 0) is None
        assert (await room.line.join(42, 2)).state == "waiting", "nobody is quicker than the line"

    async def test_without_anybody_in_line_there_is_nobody_to_wait_for(self, room: Room) -> None:
        await room.line.set_stock(42, free=0, held=0, version=1)
        await room.line.set_stock(42, free=2, held=0, version=2)
        assert (await room.line.join(42, 1)).state == "admitted"


class TestSteering:
    """The autopilot's rate holds while it is on, and one steering follows another whoever makes it."""

    async def test_the_door_admits_at_the_steered_rate_while_the_autopilot_is_on(self, room: Room) -> None:
        await room.fill(*range(1, 40), rate_per_minute=60_000, capacity=100, autopilot=1)
        counts = await room.line.counts(42)
        assert counts.rate_per_minute == 60_000
        slow = start(60_000, 0.0)
        slow = msgspec.structs.replace(slow, rate_per_minute=6.0, why="slowed")
        assert await room.line.steer(42, counts, slow)
        assert not await room.line.steer(42, counts, slow), "made from what was seen before another steered"
        steered = await room.line.counts(42)
        assert (steered.rate_per_minute, steered.steering) == (6.0, slow)
        assert (await room.line.admit(42)).called == 1
        await room.open(rate_per_minute=60_000, capacity=100, autopilot=0)
        assert (await room.line.counts(42)).rate_per_minute == 60_000
