"""Fans' news that follow each other closely are published together: with the door's tick, or once it is time."""

from __future__ import annotations

from tests.unit.waiting_room.room import Room

NEWS_MS = 60_000
"""So long that no time passes in a test but what the test lets pass."""


async def nothing_said_lately(room: Room) -> None:
    await room.client.hset(room.keys["config"], "news_at", 0)


async def test_the_first_news_go_at_once_and_the_next_go_together_with_the_tick(room: Room) -> None:
    await room.admitted(*range(1, 6))
    await room.open(news_ms=NEWS_MS)
    await nothing_said_lately(room)
    async with room.news() as news:
        for fan in (1, 2, 3):
            await room.line.leave(42, fan)
        await room.line.finish(42, [4])
        await room.line.admit(42)
        await room.line.leave(42, 5)
    assert [one.ended for one in news] == [[(1, "left")], [(2, "left"), (3, "left"), (4, "done")]]
    assert await room.client.get(room.keys["news"]) == b'e[5,"left"];', "the rest waits for the next tick"
    async with room.news() as news:
        await room.line.admit(42)
        await room.line.admit(42)
    assert [one.ended for one in news] == [[(5, "left")]]
    assert not await room.client.exists(room.keys["news"])


async def test_one_message_tells_all_that_happened_in_a_tick(room: Room) -> None:
    await room.fill(1, 2, 3, news_ms=NEWS_MS, capacity=2)
    await room.tick()
    async with room.news() as news:
        await room.line.claim(42, 1)
        await room.line.claim(42, 2)
        await room.line.leave(42, 1)
        await room.line.admit(42)
    assert len(news) == 1
    assert [fan for fan, _ in news[0].admitted] == [1, 2]
    assert news[0].ended == [(1, "left")]
    assert [fan for fan, _ in news[0].called] == [3]


async def test_news_wait_no_longer_than_they_may_where_nobody_ticks(room: Room) -> None:
    await room.admitted(1, 2, 3)
    await room.open(news_ms=NEWS_MS)
    await nothing_said_lately(room)
    async with room.news() as news:
        await room.line.leave(42, 1)
        await room.line.leave(42, 2)
        await nothing_said_lately(room)
        await room.line.heartbeat(42, {3: 0})
    assert [one.ended for one in news] == [[(1, "left")], [(2, "left")]], "any operation publishes what is due"


async def test_more_news_than_one_message_takes_are_several_messages(room: Room) -> None:
    fans = range(10**15, 10**15 + 1000)
    await room.fill(*fans, news_ms=NEWS_MS, capacity=0)
    async with room.news() as news:
        for fan in fans:
            await room.line.leave(42, fan)
        await room.line.admit(42)
    assert [fan for one in news for fan, _ in one.ended] == [*fans], "none is lost and none is told twice"
    assert 3 <= len(news) <= 6


async def test_a_room_that_is_off_tells_at_once_because_nobody_ticks_it(room: Room) -> None:
    await room.fill(1, 2, capacity=0)
    await room.open(state="off", news_ms=NEWS_MS)
    async with room.news() as news:
        await room.line.leave(42, 1)
        await room.line.leave(42, 2)
    assert [one.ended for one in news] == [[(1, "left")], [(2, "left")]]
