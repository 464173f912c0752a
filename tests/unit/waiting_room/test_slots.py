"""Claim, pass, leave and what bookings do to a slot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from msgspec import structs
from redis import Redis
from redis.exceptions import ResponseError

from tests.unit.waiting_room.room import Room
from waiting_room.errors import NotCalled, RoomUnknown
from waiting_room.keys import room_key
from waiting_room.line import Slots
from waiting_room.model import Standing, Stock
from waiting_room.operations import CLAIMS


@pytest.fixture
def slots(redis_url: str) -> Iterator[Slots]:
    with Redis.from_url(redis_url) as client:
        yield Slots(client)


class TestClaim:
    async def test_turns_the_call_into_a_pass(self, room: Room) -> None:
        await room.fill(1)
        await room.called(1)
        async with room.news() as news:
            standing = await room.line.claim(42, 1)
        assert standing.state == "admitted"
        assert standing.pass_until_ms == standing.now_ms + 900_000
        assert [message.admitted for message in news] == [[(1, standing.pass_until_ms)]]

    async def test_twice_is_the_same_pass(self, room: Room) -> None:
        await room.admitted(1)
        first = await room.line.claim(42, 1)
        await room.pass_time(10)
        second = await room.line.claim(42, 1)
        assert first.pass_until_ms is not None
        assert second.pass_until_ms == first.pass_until_ms - 10_000

    async def test_of_many_is_one_script_and_each_fan_has_the_own_answer(self, room: Room) -> None:
        inside, no_show, waits, stranger = 8, 3, 4, 99
        await room.fill(inside, no_show, 1, 2, waits, capacity=4)
        await room.tick()
        before = await room.line.claim(42, inside)
        await room.client.zadd(room.keys["called"], {no_show: 1})
        claiming = [no_show, 1, waits, 2, 1, inside, stranger]
        await room.client.config_resetstat()
        async with room.news() as news:
            told = await asyncio.gather(*[room.line.claim(42, fan) for fan in claiming], return_exceptions=True)
        scripts = await room.client.info("commandstats")
        assert scripts["cmdstat_evalsha"]["calls"] == 1
        assert [one.state for one in told if isinstance(one, NotCalled)] == ["waiting", "waiting", "none"]
        passes = {fan: one for fan, one in zip(claiming, told, strict=True) if isinstance(one, Standing)}
        assert passes.keys() == {1, 2, inside}
        assert (passes[1].epoch, passes[1].number, passes[2].number) == (before.epoch, 3, 4)
        assert passes[inside].pass_until_ms == before.pass_until_ms
        for fan in (1, 2):
            told_later = await room.line.standing(42, fan, touch=False)
            assert structs.replace(told_later, now_ms=passes[fan].now_ms, waiting=passes[fan].waiting) == passes[fan]
            assert passes[fan].pass_until_ms == passes[fan].now_ms + 900_000
        assert sorted(fan for message in news for fan, _ in message.admitted) == [1, 2]
        assert await room.states(no_show, waits) == ["waiting", "waiting"]
        counts = await room.line.counts(42)
        assert (counts.called, counts.admitted, counts.waiting) == (0, 3, 2)

    async def test_of_more_than_a_script_takes_is_several(self, room: Room) -> None:
        fans = range(1, 2 * CLAIMS + 2)
        await room.fill(*fans)
        await room.tick()
        told = await asyncio.gather(*[room.line.claim(42, fan) for fan in fans])
        assert [one.number for one in told] == [*fans]
        assert {one.state for one in told} == {"admitted"}

    async def test_of_many_in_a_room_that_redis_lost_is_refused_to_each(self, room: Room) -> None:
        await room.fill(1, 2)
        await room.lose()
        told = await asyncio.gather(*[room.line.claim(42, fan) for fan in (1, 2)], return_exceptions=True)
        assert [type(one) for one in told] == [RoomUnknown, RoomUnknown]

    async def test_needs_the_call(self, room: Room) -> None:
        await room.fill(1, capacity=0)
        for fan, state in ((1, "waiting"), (2, "none")):
            with pytest.raises(NotCalled) as refused:
                await room.line.claim(42, fan)
            assert refused.value.state == state

    async def test_missed_once_is_a_turn_lost_not_the_place(self, room: Room) -> None:
        await room.fill(1, 2, 3, capacity=1)
        await room.called(1)
        await room.open(state="paused")
        await room.pass_time(room.config.claim_window_seconds + 1)
        async with room.news() as news:
            await room.tick()
        assert [message.waiting for message in news] == [[1]]
        standing = await room.line.standing(42, 1)
        assert (standing.state, standing.ahead, standing.number) == ("waiting", 0, 1)
        with pytest.raises(NotCalled):
            await room.line.claim(42, 1)
        await room.open(state="open")
        await room.called(1)
        assert (await room.line.claim(42, 1)).state == "admitted"

    async def test_missed_twice_ends_the_place(self, room: Room) -> None:
        await room.fill(1, 2, capacity=1)
        for _ in range(2):
            await room.heard_from(1, 2)
            await room.called(1)
            await room.pass_time(room.config.claim_window_seconds + 1)
        await room.heard_from(2)
        await room.tick()
        assert await room.states(1, 2) == ["expired", "called"]
        assert (await room.line.counts(42)).pace.no_show_rate == 1.0

    async def test_a_late_one_misses_though_no_tick_came(self, room: Room) -> None:
        await room.fill(1, capacity=1)
        await room.called(1)
        await room.pass_time(room.config.claim_window_seconds + 1)
        with pytest.raises(NotCalled) as refused:
            await room.line.claim(42, 1)
        assert refused.value.state == "waiting"


class TestPass:
    async def test_ends_on_its_own(self, room: Room) -> None:
        await room.admitted(1)
        await room.pass_time(room.config.pass_seconds - 10)
        assert await room.line.admitted_until(42, 1) is not None
        await room.pass_time(11)
        assert await room.line.admitted_until(42, 1) is None
        assert await room.state(1) == "expired"

    async def test_nobody_else_has_one(self, room: Room) -> None:
        await room.fill(1, 2, capacity=1)
        await room.tick()
        assert [await room.line.admitted_until(42, fan) for fan in (1, 2, 3)] == [None] * 3

    async def test_a_hold_extends_and_never_shortens_it(self, room: Room, slots: Slots) -> None:
        await room.admitted(1, 2, 3)
        end, other_end = [await room.line.admitted_until(42, fan) for fan in (1, 2)]
        assert end is not None
        assert other_end is not None
        assert slots.extend(42, {1: end + 5000, 2: other_end - 5000}) == 1
        assert await room.line.admitted_until(42, 1) == end + 5000
        assert await room.line.admitted_until(42, 2) == other_end
        assert await room.line.extend(42, {1: end + 5000}) == 0, "again changes nothing"

    async def test_extending_brings_none_back(self, room: Room, slots: Slots) -> None:
        await room.admitted(1)
        await room.fill(2)
        await room.line.leave(42, 1)
        far = 2**43
        assert slots.extend(42, {1: far, 2: far, 3: far}) == 0
        assert [await room.line.admitted_until(42, fan) for fan in (1, 2, 3)] == [None] * 3
        await room.lose()
        await room.open()
        await room.admitted(4)
        await room.pass_time(room.config.pass_seconds + 1)
        assert slots.extend(42, {4: far}) == 0

    async def test_more_fans_than_a_chunk(self, room: Room, slots: Slots) -> None:
        fans = list(range(1, 1202))
        await room.open(capacity=2000, rate_per_minute=1_000_000)
        for fan in fans:
            await room.line.join(42, fan)
        assert slots.extend(42, dict.fromkeys(fans, 2**43)) == 1201
        assert slots.finish(42, fans) == 1201
        assert (await room.line.counts(42)).admitted == 0


class TestLeave:
    @pytest.mark.parametrize("state", ["waiting", "called", "admitted", "away"])
    async def test_gives_up_whatever_was_held(self, room: Room, state: str) -> None:
        await room.fill(1, capacity=0 if state == "waiting" else 5)
        if state == "away":
            await room.pass_time(30)
        await room.tick()
        if state == "admitted":
            await room.line.claim(42, 1)
        async with room.news() as news:
            assert await room.line.leave(42, 1)
            assert not await room.line.leave(42, 1), "idempotent"
        assert [message.ended for message in news] == [[(1, "left")]]
        assert await room.state(1) == "left"
        counts = await room.line.counts(42)
        assert (counts.waiting, counts.away, counts.called, counts.admitted) == (0, 0, 0, 0)
        for name in ("places", "seen", "missed", "shown"):
            assert not await room.client.exists(room.keys[name]), f"{name} still knows the fan"

    async def test_of_nobody_is_nothing(self, room: Room) -> None:
        assert not await room.line.leave(42, 1)
        assert await room.state(1) == "none"


class TestFinish:
    async def test_frees_the_slot_and_tells(self, room: Room, slots: Slots) -> None:
        await room.admitted(1, 2)
        async with room.news() as news:
            assert slots.finish(42, [1]) == 1
            assert slots.finish(42, [1]) == 0, "idempotent"
        assert [message.ended for message in news] == [[(1, "done")]]
        assert await room.states(1, 2) == ["done", "admitted"]
        assert await room.line.admitted_until(42, 1) is None
        assert (await room.line.counts(42)).admitted == 1

    async def test_of_one_fan_named_twice_is_one_slot(self, room: Room, slots: Slots) -> None:
        await room.admitted(1)
        assert slots.finish(42, [1, 1]) == 1

    async def test_of_one_whose_pass_ran_out_before_the_hold(self, room: Room, slots: Slots) -> None:
        await room.admitted(1)
        await room.pass_time(room.config.pass_seconds + 1)
        await room.tick()
        assert slots.finish(42, [1]) == 0
        assert await room.state(1) == "done"

    async def test_leaves_those_in_line_where_they_are(self, room: Room, slots: Slots) -> None:
        await room.fill(1, 2, capacity=1)
        await room.tick()
        assert slots.finish(42, [1, 2, 3]) == 0
        assert await room.states(1, 2, 3) == ["called", "waiting", "none"]


class TestAdmittedPage:
    async def test_pages_hold_everybody_admitted_and_when(self, room: Room, slots: Slots) -> None:
        fans = list(range(1, 1301))
        await room.open(capacity=2000, rate_per_minute=1_000_000)
        standings = {fan: await room.line.join(42, fan) for fan in fans}
        found = {}
        cursor, pages = 0, 0
        while True:
            page = slots.admitted_page(42, cursor)
            found.update({admitted.fan: admitted for admitted in page.fans})
            cursor, pages = page.cursor, pages + 1
            if cursor == 0:
                break
        assert sorted(found) == fans
        assert pages > 1
        assert found[7].admitted_at_ms == standings[7].now_ms
        assert found[7].pass_until_ms == standings[7].pass_until_ms

    async def test_has_no_lapsed_pass(self, room: Room) -> None:
        await room.admitted(1)
        await room.pass_time(room.config.pass_seconds + 1)
        assert (await room.line.admitted_page(42)).fans == []


class TestSettle:
    async def test_each_room_follows_even_where_redis_knows_no_script(self, room: Room, slots: Slots) -> None:
        await room.admitted(1, 2)
        before = await room.line.standing(42, 2)
        assert before.pass_until_ms is not None
        await room.client.script_flush()
        until_ms = before.pass_until_ms + 60_000
        settled = list(slots.settle({42: [1, 1]}, {42: {2: until_ms}}, {42: Stock(5, 1, 3), 43: Stock(7, 0, 1)}))
        assert settled == [(42, None), (42, None), (42, None), (43, None)]
        assert await room.state(1) == "done"
        assert (await room.line.standing(42, 2)).pass_until_ms == until_ms
        assert (slots.counts(42).stock, slots.stock_version(43)) == (Stock(5, 1, 3), 1)

    async def test_a_rooms_error_is_its_own(self, room: Room, slots: Slots) -> None:
        await room.client.set(room_key(41, "stock"), "no hash")
        settled = dict(slots.settle({}, {}, {41: Stock(5, 1, 3), 42: Stock(7, 0, 1)}))
        assert isinstance(settled[41], ResponseError)
        assert settled[42] is None
        assert slots.stock_version(42) == 1
