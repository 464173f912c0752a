"""The priority class: its own order, its share of the calls, and nobody of the other class put back in line for it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from redis import asyncio as aioredis

from tests.unit.waiting_room.room import Room
from tests.unit.waiting_room.test_lobby import draw, hours_to_sale
from tests.unit.waiting_room.test_rebuild import end_window, rebuild
from tests.unit.waiting_room.test_restore import token_of
from waiting_room.errors import LineFull
from waiting_room.eta import eta_in
from waiting_room.model import Pace, RoomConfig, RoomCounts

ORDINARY = range(1, 41)
PRIORITY = range(101, 141)


async def fill(room: Room, ordinary: Iterable[int], priority: Iterable[int], **changes: object) -> None:
    """The ordinary come first; then all those with a code; the door is shut meanwhile."""
    await room.open(state="paused")
    for fan in ordinary:
        await room.line.join(42, fan)
    for fan in priority:
        await room.line.join(42, fan, redeemed=True)
    await room.open(state="open", **changes)


async def called_in_order(room: Room, times: int) -> list[int]:
    """Who is called, one a tick."""
    order: list[int] = []
    for _ in range(times):
        assert (await room.line.admit(42)).called == 1
        (fan,) = [int(fan) for fan in await room.client.zrange(room.keys["called"], 0, -1)]
        await room.line.leave(42, fan)
        order.append(fan)
    return order


@pytest.mark.parametrize("share", [1, 30, 50, 67, 100])
async def test_while_both_wait_the_class_has_its_share_of_any_number_of_calls(room: Room, share: int) -> None:
    await fill(room, ORDINARY, PRIORITY, priority_share=share, capacity=1)
    order = await called_in_order(room, 30)
    for calls in range(1, len(order) + 1):
        preferred = sum(fan in PRIORITY for fan in order[:calls])
        assert abs(preferred - calls * share / 100) < 1, (calls, order)
    for those in (ORDINARY, PRIORITY):
        called = [fan for fan in order if fan in those]
        assert called == list(those)[: len(called)], "within a class in the order of joining"


async def test_the_share_is_held_within_one_tick_too(room: Room) -> None:
    await fill(room, ORDINARY, PRIORITY, priority_share=25, capacity=20)
    await room.line.admit(42)
    assert [await room.state(fan) for fan in (*ORDINARY[:15], *PRIORITY[:5])] == ["called"] * 20


@pytest.mark.parametrize(("ordinary", "priority"), [(range(1, 4), ()), ((), range(101, 104))])
async def test_what_a_class_leaves_is_the_other_s(room: Room, ordinary: Iterable[int], priority: Iterable[int]) -> None:
    await fill(room, ordinary, priority, priority_share=50)
    assert (await room.line.admit(42)).called == 3
    await fill(room, [*ordinary, 20, 21, 22], [*priority, 120], priority_share=50)
    assert (await room.line.admit(42)).called == 4, "no call is saved up for whom nobody waits"


async def test_without_a_share_there_is_one_order_for_all(room: Room) -> None:
    await room.open(state="paused")
    for fan in range(1, 9):
        await room.line.join(42, fan, redeemed=fan % 3 == 0)
    await room.open(state="open", priority_share=0, capacity=1)
    assert await called_in_order(room, 8) == list(range(1, 9))


async def test_a_whole_class_of_ghosts_does_not_stop_the_other(room: Room) -> None:
    await fill(room, ORDINARY[:3], PRIORITY, priority_share=100, capacity=3)
    await room.pass_time(30)
    await room.heard_from(*ORDINARY[:3])
    await room.tick()
    assert await room.states(*ORDINARY[:3]) == ["called"] * 3
    assert (await room.line.counts(42)).away == len(PRIORITY)


async def test_nobody_s_position_rises_for_a_code(room: Room) -> None:
    await fill(room, ORDINARY, (), rate_per_minute=0)
    before = [await room.line.standing(42, fan) for fan in ORDINARY]
    await fill(room, (), PRIORITY, rate_per_minute=0)
    await room.line.join(42, 20, redeemed=True)
    after = {fan: await room.line.standing(42, fan) for fan in ORDINARY}
    assert all(after[fan].shown <= earlier.shown for fan, earlier in zip(ORDINARY, before, strict=True))
    assert [after[fan].ahead for fan in (19, 21, 40)] == [18, 19, 38]
    assert after[1].waiting == len(ORDINARY) + len(PRIORITY)


async def test_a_code_moves_a_fan_who_waits_to_where_the_ticket_number_says(room: Room) -> None:
    await fill(room, [1, 2, 3], [101, 102], rate_per_minute=0)
    assert (await room.line.standing(42, 3)).shown == 3
    async with room.news() as heard:
        moved = await room.line.join(42, 3, redeemed=True)
    assert (moved.joined, moved.number, moved.priority, moved.ahead, moved.shown) == ("known", 3, True, 0, 1)
    assert [news.waiting for news in heard] == [[3]]
    again = await room.line.join(42, 3, redeemed=True)
    assert (again.number, again.ahead) == (3, 0)
    found = await room.line.positions(42, [1, 2, 3, 101, 102, 9])
    assert (found.ranks, found.priority, found.waiting) == ([0, 1, 0, 1, 2, -1], frozenset({2, 3, 4}), 5)
    noted = (await room.line.history(42, 3)).noted
    assert [one.what for one in noted] == ["joined", "preferred"]


async def test_a_code_changes_nothing_for_who_is_called_or_inside(room: Room) -> None:
    await room.fill(1, 2, capacity=2)
    await room.tick()
    await room.line.claim(42, 2)
    for fan, state in ((1, "called"), (2, "admitted")):
        standing = await room.line.join(42, fan, redeemed=True)
        assert (standing.state, standing.priority) == (state, False)


async def test_who_comes_back_comes_back_in_the_class(room: Room) -> None:
    await fill(room, [1, 2], [101, 102, 103], priority_share=100, capacity=1)
    await room.called(101)
    await room.pass_time(room.config.claim_window_seconds + 1)
    await room.heard_from(1, 2, 101, 103)
    await room.tick()
    # 101 missed the claim, stands before 102, who was not there, and is called again.
    assert await room.states(101, 102, 103) == ["called", "waiting", "waiting"]
    await room.line.leave(42, 101)
    await room.tick()
    assert (await room.line.counts(42)).away == 1
    back = await room.line.standing(42, 102)
    assert (back.priority, back.ahead) == (True, 0)
    assert await room.line.leave(42, 103)
    assert await room.line.leave(42, 102)
    assert (await room.line.counts(42)).priority == 0


async def test_a_new_place_needs_the_code_again(room: Room) -> None:
    await fill(room, [1], [101], rate_per_minute=0)
    token = token_of(101, await room.line.standing(42, 101))
    await room.line.leave(42, 101)
    assert not (await room.line.join(42, 101, token)).priority
    await room.line.leave(42, 101)
    assert (await room.line.join(42, 101, redeemed=True)).priority


async def test_the_cap_counts_both_classes(room: Room) -> None:
    await fill(room, [1, 2], [101, 102], rate_per_minute=0, line_cap=4)
    for redeemed in (False, True):
        with pytest.raises(LineFull):
            await room.line.join(42, 9, redeemed=redeemed)
    assert (await room.line.join(42, 1, redeemed=True)).priority, "who has a place may change the class"


async def test_tokens_bring_each_back_into_the_class(room: Room) -> None:
    await fill(room, [1, 2, 3], [101, 102], rate_per_minute=0)
    old = token_of(3, await room.line.standing(42, 3))
    await room.line.join(42, 3, redeemed=True)
    tokens = {}
    for fan in (1, 2, 3, 101, 102):
        standing = await room.line.standing(42, fan)
        tokens[fan] = token_of(fan, standing)
        assert tokens[fan].priority == standing.priority
    await rebuild(room)
    for fan in (102, 2, 101, 1):
        standing = await room.line.join(42, fan, tokens[fan])
        assert (standing.joined, standing.priority) == ("restored", fan > 100)
    assert (await room.line.join(42, 3, old, redeemed=True)).priority, "a token from before the code, and the code"
    await end_window(room)
    found = await room.line.positions(42, [1, 2, 3, 101, 102])
    assert (found.ranks, found.priority) == ([0, 1, 0, 1, 2], frozenset({2, 3, 4}))


async def test_the_lobby_is_drawn_as_one_and_codes_keep_their_class(client: aioredis.Redis) -> None:
    lobby = Room(client)
    await lobby.open(rate_per_minute=0)
    await hours_to_sale(lobby, 1)
    for fan in range(1, 10):
        await lobby.line.join(42, fan, redeemed=fan in (2, 5))
    await lobby.line.join(42, 7, redeemed=True)
    assert (await lobby.line.standing(42, 7)).priority
    await hours_to_sale(lobby, 0)
    order = await draw(lobby)
    preferred = [fan for fan in order if fan in (2, 5, 7)]
    ordinary = [fan for fan in order if fan not in preferred]
    found = await lobby.line.positions(42, [*ordinary, *preferred])
    assert found.ranks == [*range(6), *range(3)]
    assert found.priority == {6, 7, 8}
    numbers = [(await lobby.line.standing(42, fan)).number for fan in order]
    assert numbers == list(range(1, 10)), "one draw, that anybody can recheck"


async def test_each_class_is_told_how_long_it_waits(room: Room) -> None:
    await fill(room, ORDINARY, PRIORITY[:10], rate_per_minute=60, priority_share=25)
    counts = await room.line.counts(42)
    assert (counts.waiting, counts.priority) == (50, 10)
    ordinary, preferred = eta_in(counts, 29), eta_in(counts, 4, priority=True)
    assert ordinary is not None
    assert preferred is not None
    assert (ordinary.eta_seconds, preferred.eta_seconds) == (40, 20), "30 of four in three calls, 5 of each fourth"
    for fan in PRIORITY[:10]:
        await room.line.leave(42, fan)
    alone = eta_in(await room.line.counts(42), 29)
    assert alone is not None
    assert alone.eta_seconds == 30


@pytest.mark.parametrize(
    ("share", "waiting", "priority", "ordinary_before", "priority_before"),
    [(50, 100, 0, 9, 19), (50, 100, 1, 10, 19), (50, 100, 50, 19, 19), (100, 100, 30, 39, 9), (90, 100, 95, 99, 10)],
)
def test_who_is_called_before_whom(
    share: int, waiting: int, priority: int, ordinary_before: int, priority_before: int
) -> None:
    """With nine of the own class before them."""
    counts = RoomCounts(
        waiting=waiting,
        away=0,
        called=0,
        admitted=0,
        pace=Pace(0.0, None, None),
        config=RoomConfig(priority_share=share),
        epoch=1,
        stock=None,
        slots=500,
        slots_free=500,
        is_stock_bound=False,
        now_ms=0,
        priority=priority,
    )
    assert counts.ahead_in_both(9, priority=False) == ordinary_before
    assert counts.ahead_in_both(9, priority=True) == priority_before
