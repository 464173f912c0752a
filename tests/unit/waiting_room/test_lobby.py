"""The lobby before a sale, and how its fans go to the places they drew."""

from __future__ import annotations

import pytest
from redis import asyncio as aioredis

from tests.unit.waiting_room.room import Room
from tests.unit.waiting_room.test_rebuild import end_window, rebuild
from waiting_room.draw import drawn_order, fan_hash
from waiting_room.errors import LineFull, Rebuilding, RoomClosed
from waiting_room.model import Standing
from waiting_room.tokens import PlaceToken

SEED, FAN_KEY = b"seed of these tests".ljust(32), b"their key".ljust(32)
HOUR_MS = 3_600_000


@pytest.fixture
async def lobby(client: aioredis.Redis) -> Room:
    """A room in its lobby, an hour before the sale."""
    room = Room(client)
    await room.open()
    await hours_to_sale(room, 1)
    return room


async def hours_to_sale(room: Room, hours: float, *, lobby_hours: float = 2) -> None:
    now_ms = (await room.line.counts(42)).now_ms
    draw_at_ms = now_ms + round(hours * HOUR_MS)
    await room.open(draw_at_ms=draw_at_ms, lobby_at_ms=draw_at_ms - round(lobby_hours * HOUR_MS))


def order_of(*fans: int) -> list[int]:
    hashes = {fan_hash(FAN_KEY, fan): fan for fan in fans}
    return [hashes[one] for one in drawn_order(SEED, hashes)]


async def listed(room: Room, size: int = 3) -> list[int]:
    """Everybody in the lobby as the gateway reads them, which closes the list."""
    fans: list[int] = []
    after = 0
    while True:
        page = await room.line.lobby_page(42, after, size)
        assert page is not None
        fans += [int(fan) for fan in page.fans]
        if page.last:
            return fans
        after = page.after


async def epoch(room: Room) -> int:
    return (await room.line.counts(42)).config.draw_at_ms // 1000


async def draw(room: Room) -> list[int]:
    """The whole draw; who drew what."""
    order = order_of(*await listed(room))
    told = await room.line.place_drawn(42, await epoch(room), 1, order, last=True)
    assert told is not None
    assert told.done
    return order


async def numbers(room: Room, *fans: int) -> list[int]:
    return [(await room.line.standing(42, fan, touch=False)).number for fan in fans]


def token_of(fan: int, standing: Standing) -> PlaceToken:
    assert standing.joined_at_ms is not None
    return PlaceToken(
        event=42,
        fan=fan,
        epoch=standing.epoch,
        number=standing.number,
        joined_at_ms=standing.joined_at_ms,
        session="",
        lobby=standing.state == "lobby",
    )


async def test_before_the_lobby_the_room_is_closed(lobby: Room) -> None:
    await hours_to_sale(lobby, 3)
    assert (await lobby.line.counts(42)).state == "closed"
    with pytest.raises(RoomClosed):
        await lobby.line.join(42, 1)


async def test_in_the_lobby_there_are_no_ranks_and_nobody_is_called(lobby: Room) -> None:
    for fan in (1, 2, 3):
        joined = await lobby.line.join(42, fan)
        assert (joined.state, joined.room_state, joined.joined) == ("lobby", "lobby", "new")
        assert (joined.position, joined.shown, joined.waiting) == (0, 0, fan)
    await lobby.tick()
    assert await lobby.states(1, 2, 3) == ["lobby"] * 3
    counts = await lobby.line.counts(42)
    assert (counts.state, counts.waiting, counts.lobby, counts.draw) == ("lobby", 0, 3, "pending")
    assert await lobby.line.lobby_page(42, 0, 10) is None, "not before the on-sale"
    assert await lobby.line.place_drawn(42, 1, 1, [1], last=True) is None
    assert await lobby.line.heartbeat(42, {1: 0, 4: 0}) == [4]


async def test_the_cap_counts_the_lobby(lobby: Room) -> None:
    await lobby.open(line_cap=2)
    await lobby.line.join(42, 1)
    await lobby.line.join(42, 2)
    with pytest.raises(LineFull):
        await lobby.line.join(42, 3)


async def test_the_draw_alone_decides(lobby: Room) -> None:
    """Not who came first, nor who came twice, nor who left and came back."""
    fans = list(range(1, 21))
    for fan in fans:
        await lobby.line.join(42, fan)
    for fan in fans[:5]:
        assert (await lobby.line.join(42, fan)).joined == "known", "a second tab has the same place"
    for fan in (6, 7):
        await lobby.line.leave(42, fan)
        assert (await lobby.line.join(42, fan)).state == "lobby"
    await lobby.line.leave(42, 8)
    fans.remove(8)
    await lobby.open(rate_per_minute=0)
    await hours_to_sale(lobby, 0)
    assert (await lobby.line.admit(42)).draw_due
    order = await draw(lobby)
    assert order == order_of(*fans)
    assert await numbers(lobby, *order) == list(range(1, 20)), "ticket numbers are the drawn places"
    assert (await lobby.line.positions(42, order)).ranks == list(range(19))
    counts = await lobby.line.counts(42)
    assert (counts.state, counts.draw, counts.drawn, counts.lobby) == ("open", "done", 19, 0)
    assert not (await lobby.line.admit(42)).draw_due
    await lobby.open(rate_per_minute=60_000, capacity=3)
    await lobby.heard_from(*order)
    await lobby.tick()
    assert [fan for fan in fans if await lobby.state(fan) == "called"] == sorted(order[:3])


async def test_who_joins_during_the_draw_or_after_is_behind_in_order(lobby: Room) -> None:
    for fan in (1, 2, 3):
        await lobby.line.join(42, fan)
    await lobby.open(rate_per_minute=0)
    await hours_to_sale(lobby, 0)
    first = await lobby.line.join(42, 11)
    assert (first.state, first.shown, first.room_state) == ("waiting", 0, "lobby"), "no position before all are placed"
    order = order_of(*await listed(lobby))
    await lobby.line.join(42, 12)
    await lobby.line.place_drawn(42, await epoch(lobby), 1, order[:2], last=False)
    await lobby.line.join(42, 13)
    assert await lobby.state(order[2]) == "lobby"
    told = await lobby.line.place_drawn(42, await epoch(lobby), 3, order[2:], last=True)
    assert told is not None
    assert told.done
    await lobby.line.join(42, 14)
    assert (await lobby.line.positions(42, [*order, 11, 12, 13, 14])).ranks == list(range(7))
    assert await numbers(lobby, 11, 12, 13, 14) == [4, 5, 6, 7]
    assert (await lobby.line.standing(42, 13)).shown == 6


async def test_the_door_waits_for_the_last(lobby: Room) -> None:
    for fan in (1, 2, 3):
        await lobby.line.join(42, fan)
    await hours_to_sale(lobby, 0)
    order = order_of(*await listed(lobby))
    await lobby.line.place_drawn(42, await epoch(lobby), 1, order[:2], last=False)
    await lobby.tick()
    assert await lobby.states(*order) == ["waiting", "waiting", "lobby"]
    await lobby.line.place_drawn(42, await epoch(lobby), 3, order[2:], last=True)
    await lobby.tick()
    assert await lobby.states(*order) == ["called"] * 3


async def test_several_gateways_draw_as_one(lobby: Room) -> None:
    """A chunk that is not next changes nothing, whoever sends it; another goes on where one ended."""
    for fan in range(1, 8):
        await lobby.line.join(42, fan)
    await lobby.open(rate_per_minute=0)
    await hours_to_sale(lobby, 0)
    order = order_of(*await listed(lobby))
    assert sorted(await listed(lobby)) == sorted(order), "a second gateway lists the same"
    at = await epoch(lobby)
    for first, fans, following in ((1, order[:3], 4), (1, order[:3], 4), (6, order[5:], 4), (4, order[3:5], 6)):
        told = await lobby.line.place_drawn(42, at, first, fans, last=False)
        assert told is not None
        assert (told.next_number, told.done) == (following, False)
    told = await lobby.line.place_drawn(42, at, 6, order[5:], last=True)
    assert told is not None
    assert told.done
    assert await lobby.line.place_drawn(42, at, 1, order, last=True) is None
    assert await numbers(lobby, *order) == list(range(1, 8))


async def test_who_leaves_during_the_draw_leaves_a_gap(lobby: Room) -> None:
    for fan in (1, 2, 3):
        await lobby.line.join(42, fan)
    await lobby.open(rate_per_minute=0)
    await hours_to_sale(lobby, 0)
    order = order_of(*await listed(lobby))
    assert await lobby.line.leave(42, order[1])
    await lobby.line.place_drawn(42, await epoch(lobby), 1, order, last=True)
    assert await numbers(lobby, order[0], order[2]) == [1, 3]
    again = await lobby.line.join(42, order[1])
    assert (again.state, again.ahead) == ("waiting", 2)


async def test_an_empty_lobby_opens_the_door(lobby: Room) -> None:
    await hours_to_sale(lobby, 0)
    assert await draw(lobby) == []
    assert (await lobby.line.join(42, 1)).state == "admitted"


async def test_a_paused_room_is_drawn_and_stays_paused(lobby: Room) -> None:
    await lobby.line.join(42, 1)
    await lobby.open(state="paused")
    assert (await lobby.line.counts(42)).state == "lobby"
    await hours_to_sale(lobby, 0)
    await draw(lobby)
    assert (await lobby.line.counts(42)).state == "paused"


async def test_a_lobby_that_redis_lost_comes_back_with_its_tokens(lobby: Room) -> None:
    tokens = {fan: token_of(fan, await lobby.line.join(42, fan)) for fan in (1, 2, 3)}
    await rebuild(lobby)
    with pytest.raises(Rebuilding):
        await lobby.line.join(42, 4)
    for fan in (2, 1):
        back = await lobby.line.join(42, fan, tokens[fan])
        assert (back.state, back.joined, back.joined_at_ms) == ("lobby", "restored", tokens[fan].joined_at_ms)
    await end_window(lobby)
    assert (await lobby.line.join(42, 3, tokens[3])).state == "lobby", "after the window too"
    await lobby.open(rate_per_minute=0)
    await hours_to_sale(lobby, 0)
    assert await draw(lobby) == order_of(1, 2, 3)


async def test_a_draw_that_redis_lost_is_done_again_and_comes_to_the_same(lobby: Room) -> None:
    tokens = {fan: token_of(fan, await lobby.line.join(42, fan)) for fan in range(1, 7)}
    await lobby.open(rate_per_minute=0)
    await hours_to_sale(lobby, 0)
    order = order_of(*await listed(lobby))
    await lobby.line.place_drawn(42, await epoch(lobby), 1, order[:3], last=False)
    late = token_of(9, await lobby.line.join(42, 9))
    await rebuild(lobby)
    for fan in (*order[1:], 9):
        await lobby.line.join(42, fan, tokens.get(fan, late))
    assert await lobby.line.lobby_page(42, 0, 9) is None, "not while it is being rebuilt"
    await end_window(lobby)
    assert sorted(await listed(lobby)) == sorted(order[1:])
    # Postgres has the first draw: its list and its numbers stand.
    await lobby.line.place_drawn(42, await epoch(lobby), 1, order, last=True)
    assert await numbers(lobby, *order[1:]) == [2, 3, 4, 5, 6]
    missed = await lobby.line.join(42, order[0], tokens[order[0]])
    assert (missed.state, missed.number) == ("waiting", 7), "who comes after the draw is behind all drawn"
    assert (await lobby.line.positions(42, [*order[1:], order[0], 9])).ranks == [0, 1, 2, 3, 4, 5, 6]


async def test_a_token_of_the_lobby_brings_nothing_to_who_left(lobby: Room) -> None:
    tokens = {fan: token_of(fan, await lobby.line.join(42, fan)) for fan in (1, 2)}
    await lobby.line.leave(42, 1)
    await lobby.open(rate_per_minute=0)
    await hours_to_sale(lobby, 0)
    await draw(lobby)
    await lobby.line.join(42, 3)
    back = await lobby.line.join(42, 1, tokens[1])
    assert (back.joined, back.ahead) == ("new", 2)


async def test_who_came_back_after_the_list_was_made_is_placed_behind_it(lobby: Room) -> None:
    tokens = {fan: token_of(fan, await lobby.line.join(42, fan)) for fan in (1, 2, 3)}
    await hours_to_sale(lobby, 0)
    await lobby.open(rate_per_minute=0)
    await rebuild(lobby, seconds=0)
    await lobby.line.join(42, 1, tokens[1])
    fans = await listed(lobby)
    await lobby.line.join(42, 2, tokens[2])
    told = await lobby.line.place_drawn(42, await epoch(lobby), 1, fans, last=True)
    assert told is not None
    assert told.done
    assert (await lobby.line.positions(42, [1, 2])).ranks == [0, 1]


async def test_the_lobby_ends_with_a_word_to_the_gateways(lobby: Room) -> None:
    await lobby.line.join(42, 1)
    await hours_to_sale(lobby, 0)
    async with lobby.news() as heard:
        await draw(lobby)
    assert [news.config for news in heard if news.config] == [lobby.config.revision]
