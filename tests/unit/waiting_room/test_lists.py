"""Fans who are known to be connected because the gateway that has their streams says so for all of them at once."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.line.lists import NEAR, FanList
from tests.unit.waiting_room.room import Room
from waiting_room.model import ListChanges
from waiting_room.operations import CHUNK

ROUND_BEATS = 1000.0
SHUT = 10.0
"""A beat is due this often here, in seconds: less than the 15 that a sign of life counts."""


def fan_list(room: Room, beats_a_round: float = ROUND_BEATS) -> FanList:
    return FanList(room.line, room.event, beats_a_round)


async def beat(
    one: FanList, *fans: int, shown: Mapping[int, int] | None = None, changing: tuple[int, ...] = ()
) -> list[int]:
    return await one.beat(lambda: shown or dict.fromkeys(fans, 0), lambda: changing)


async def wait(room: Room, seconds: float, *lists: tuple[FanList, tuple[int, ...]]) -> None:
    """Let time pass, with beats of the lists and ticks of the door."""
    while seconds > 0:
        step = min(SHUT, seconds)
        await room.pass_time(step)
        for one, fans in lists:
            await beat(one, *fans)
        await room.tick()
        seconds -= step


async def test_fans_on_a_list_are_called_though_each_is_silent(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    mine = fan_list(room)
    assert await beat(mine, 1) == []
    await wait(room, 40, (mine, (1,)))
    await room.open(rate_per_minute=60_000)
    await room.tick()
    assert await room.states(1, 2) == ["called", "waiting"], "the second gave no sign of life"


async def test_nothing_is_said_of_each_fan_while_nobody_comes_or_goes(room: Room) -> None:
    await room.fill(1, 2, 3, rate_per_minute=0)
    mine = fan_list(room)
    await beat(mine, 1, 2, 3)
    before = await room.client.info("commandstats")
    await beat(mine, 1, 2, 3)
    after = await room.client.info("commandstats")
    assert after["cmdstat_hmget"] == before["cmdstat_hmget"], "no fan is read"
    assert after["cmdstat_evalsha"]["calls"] == before["cmdstat_evalsha"]["calls"] + 1


async def test_the_fans_of_a_dead_gateway_have_the_same_grace_as_any_and_no_more(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    dead, other = fan_list(room), fan_list(room)
    await beat(dead, 1, 2)
    await wait(room, 60, (dead, (1, 2)))
    await room.pass_time(12)
    assert await beat(other, 2) == [], "the second fan connects elsewhere, while the dead gateway's list stands"
    await room.open(rate_per_minute=60_000, capacity=1)
    await room.tick()
    assert await room.states(1, 2) == ["called", "waiting"], "the grace is not over yet"
    await room.line.leave(42, 1)
    await wait(room, 20, (other, (2,)))
    assert await room.states(2) == ["called"], "the list that lapsed has no word against the one that stands"


async def test_a_fan_whose_list_lapsed_is_passed_over(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    dead, other = fan_list(room), fan_list(room)
    await beat(dead, 1)
    await beat(other, 2)
    await wait(room, 20, (other, (2,)))
    await room.open(rate_per_minute=60_000)
    await room.tick()
    assert await room.states(1, 2) == ["waiting", "called"]
    assert await room.client.zscore(room.keys["away"], "1") is not None


async def test_a_gateway_that_was_away_for_too_long_brings_its_fans_back(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    late, other = fan_list(room), fan_list(room)
    await beat(late, 1)
    await beat(other, 2)
    await wait(room, 20, (other, (2,)))
    await room.open(rate_per_minute=60_000, capacity=1)
    await room.tick()
    assert await room.states(1, 2) == ["waiting", "called"]
    assert await beat(late, 1) == []
    assert await room.client.zcard(room.keys["away"]) == 0
    await room.line.leave(42, 2)
    await room.tick()
    assert await room.states(1) == ["called"], "at the old place, in front"


async def test_a_fan_with_streams_at_two_gateways_stays_while_one_of_them_has_one(room: Room) -> None:
    await room.fill(1, rate_per_minute=0)
    one, other = fan_list(room), fan_list(room)
    await beat(one, 1)
    await beat(other, 1)
    other.came(1)
    await other.left(1, 0, is_here=False)
    await wait(room, 40, (one, (1,)), (other, ()))
    await room.open(rate_per_minute=60_000)
    await room.tick()
    assert await room.states(1) == ["called"]


async def test_who_leaves_counts_as_heard_from_then_and_the_silent_do_not(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    mine = fan_list(room)
    await beat(mine, 1, 2)
    await room.pass_time(10)
    await mine.left(1, 7, is_here=False)
    await beat(mine)
    assert await room.client.hlen(room.keys["listed"]) == 0
    assert await room.client.hget(room.keys["shown"], "1") is not None
    seen = {int(fan): int(at) for fan, at in (await room.client.hgetall(room.keys["seen"])).items()}
    assert 9_000 < seen[1] - seen[2] < 60_000, "the second was heard from at the beat before"


async def test_a_list_that_redis_lost_is_told_again(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    mine = fan_list(room)
    await beat(mine, 1, 2)
    await room.client.delete(room.keys["listed"], room.keys["leases"])
    assert await beat(mine, 1, 2) == []
    assert await room.client.hlen(room.keys["listed"]) == 2


async def test_a_list_of_which_redis_lost_the_end_is_told_again_and_nobody_stays_on_it_by_mistake(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    mine = fan_list(room)
    await beat(mine, 1, 2)
    old = {name: await room.client.dump(room.keys[name]) for name in ("listed", "leases")}
    await mine.left(2, 0, is_here=False)
    for name, value in old.items():
        # As a server that comes back without its last second.
        await room.client.restore(room.keys[name], 0, value, replace=True)
    await beat(mine, 1)
    await wait(room, 20, (mine, (1,)))
    await room.open(rate_per_minute=60_000)
    await room.tick()
    assert await room.states(1, 2) == ["called", "waiting"], "the second has gone, and is not called"


async def test_the_whole_of_redis_may_be_lost_and_the_gateway_hears_who_has_no_place(room: Room) -> None:
    await room.fill(1, 2, rate_per_minute=0)
    mine = fan_list(room)
    await beat(mine, 1, 2)
    await room.lose()
    assert sorted(await beat(mine, 1, 2)) == [1, 2]
    await room.open()
    await room.line.join(42, 1)
    assert await beat(mine, 1, 2) == [2], "who has no place is told again and again"


async def test_a_place_that_ended_and_a_new_one_of_the_same_fan(room: Room) -> None:
    await room.fill(1, rate_per_minute=0)
    mine = fan_list(room)
    await beat(mine, 1)
    await room.line.leave(42, 1)
    assert await room.client.hlen(room.keys["listed"]) == 0, "what was said of a fan ends with the place"
    await room.line.join(42, 1)
    mine.came(1)
    await beat(mine, 1)
    assert await room.client.hlen(room.keys["listed"]) == 1


async def test_each_fan_is_told_again_within_a_round(room: Room) -> None:
    fans = range(1, 9)
    await room.fill(*fans, rate_per_minute=0)
    mine = fan_list(room, beats_a_round=4)
    await beat(mine, *fans)
    await room.client.delete(room.keys["listed"])
    for _ in range(4):
        await beat(mine, *fans)
    assert await room.client.hlen(room.keys["listed"]) == len(fans)


async def test_fans_at_work_are_told_with_each_beat(room: Room) -> None:
    await room.admitted(1)
    mine = fan_list(room)
    assert await beat(mine, 1, changing=(1,)) == []
    await room.line.finish(42, [1])
    assert await beat(mine, 1, changing=(1,)) == [1]


async def test_positions_near_the_front_are_told_at_each_change(room: Room) -> None:
    await room.fill(1, 2, 3, rate_per_minute=0)
    mine = fan_list(room)
    await room.line.standing(42, 3)
    await beat(mine, shown={3: 3})
    await beat(mine, shown={3: 2})
    assert await room.client.hget(room.keys["shown"], "3") == b"2"
    await beat(mine, shown={3: NEAR + 1})
    assert await room.client.hget(room.keys["shown"], "3") == b"2", "and never a higher one"


async def test_a_long_list_is_told_in_parts(room: Room) -> None:
    fans = range(1, 2 * CHUNK + 2)
    await room.open(state="paused")
    for fan in fans:
        await room.line.join(42, fan)
    mine = fan_list(room)
    assert await beat(mine, *fans) == []
    assert await room.client.hlen(room.keys["listed"]) == len(fans)
    assert await beat(mine, *fans[:1]) == []
    assert await room.client.hkeys(room.keys["listed"]) == [b"1"]


async def test_a_list_is_begun_under_a_name_of_its_own(room: Room) -> None:
    await room.fill(1)
    assert await room.line.tell_list(42, "a", 0, ListChanges(here=[(1, 0)], renews=True)) == []
    assert await room.line.tell_list(42, "a", 0, ListChanges(here=[(1, 0)], renews=True)) is None
    assert await room.line.tell_list(42, "a", 1, ListChanges(here=[(1, 0)], renews=True)) == []
    assert not await room.line.renew_lease(42, "a", 1)
    assert await room.line.renew_lease(42, "a", 2)
