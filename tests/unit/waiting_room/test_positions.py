from __future__ import annotations

from tests.unit.waiting_room.room import PACE_BUCKET_SECONDS, Room


async def test_ranks_come_in_the_order_asked(room: Room) -> None:
    await room.fill(*range(1, 11), capacity=1)
    await room.tick()
    positions = await room.line.positions(42, [10, 1, 2, 99])
    assert positions.ranks == [8, -1, 0, -1]
    assert positions.waiting == 9


async def test_more_fans_than_a_chunk(room: Room) -> None:
    fans = list(range(1, 1202))
    await room.fill(*fans, rate_per_minute=0)
    positions = await room.line.positions(42, fans)
    assert positions.ranks == list(range(1201))
    assert await room.line.heartbeat(42, dict.fromkeys([*fans, 5000], 0)) == [5000]


async def test_of_nobody_is_nothing(room: Room) -> None:
    assert (await room.line.positions(42, [])).ranks == []
    assert await room.line.heartbeat(42, {}) == []


async def test_what_is_shown_never_rises(room: Room) -> None:
    """The one in front was away while the next was told to be first; then the first comes back."""
    await room.fill(1, 2, 3, rate_per_minute=1, capacity=1)
    await room.pass_time(30)
    await room.heard_from(3)
    await room.tick()
    assert await room.states(1, 2, 3) == ["waiting", "waiting", "called"]
    await room.fill(4, capacity=1)
    assert (await room.line.standing(42, 4)).shown == 1
    for fan in (1, 2):
        await room.line.standing(42, fan)
    behind = await room.line.standing(42, 4)
    assert (behind.shown, behind.position, behind.ahead) == (1, 3, 2)
    assert (await room.line.join(42, 4)).shown == 1


async def test_what_a_stream_showed_counts(room: Room) -> None:
    await room.fill(1, 2, 3, rate_per_minute=0)
    await room.line.heartbeat(42, {3: 2})
    assert (await room.line.standing(42, 3)).shown == 2
    await room.line.heartbeat(42, {3: 3})
    assert (await room.line.standing(42, 3)).shown == 2, "another tab, slower, raises nothing"
    await room.line.heartbeat(42, {3: 0})
    assert (await room.line.standing(42, 3)).shown == 2


async def test_a_heartbeat_gives_nobody_a_place(room: Room) -> None:
    assert await room.line.heartbeat(42, {1: 1, 2: 0}) == [1, 2]
    assert await room.client.hlen(room.keys["seen"]) == 0
    assert await room.client.hlen(room.keys["shown"]) == 0


async def test_counts(room: Room) -> None:
    await room.fill(1, 2, 3, 4, 5, capacity=2)
    await room.tick()
    await room.line.claim(42, 1)
    counts = await room.line.counts(42)
    assert (counts.waiting, counts.away, counts.called, counts.admitted) == (3, 0, 1, 1)
    assert counts.stock is None


async def test_pace_is_measured(room: Room) -> None:
    looked_in: set[int] = set()
    pace = None
    while len(looked_in) != 1:
        # Where ten seconds end between the last tick and the look, that tick counts too, and all is asked again.
        await room.lose()
        await room.fill(*range(1, 21), capacity=6, connected_seconds=3600)
        await room.pass_time(10)
        await room.tick()
        for fan in (1, 2, 3):
            await room.line.claim(42, fan)
        await room.pass_time(70)
        before = await room.line.counts(42)
        await room.tick()
        counts = await room.line.counts(42)
        looked_in = {one.now_ms // (1000 * PACE_BUCKET_SECONDS) for one in (before, counts)}
        pace = counts.pace
    assert pace is not None
    assert pace.no_show_rate == 0.5, "three claimed, three missed"
    assert pace.admitted_per_minute == 0, "none in the last minute"
    assert pace.line_per_minute == 36, "six calls in the ten seconds that had a line"


async def test_pace_forgets_the_last_hour(room: Room) -> None:
    await room.admitted(1, 2, 3)
    await room.pass_time(620)
    pace = (await room.line.counts(42)).pace
    assert (pace.no_show_rate, pace.admitted_per_minute, pace.line_per_minute) == (0.0, None, None)
    await room.line.leave(42, 1)
    await room.fill(4)
    await room.tick()
    assert await room.client.hlen(room.keys["pace"]) <= 60


async def test_the_lines_speed_starts_afresh_with_a_new_rate(room: Room) -> None:
    await room.fill(*range(1, 21), capacity=6, connected_seconds=3600)
    await room.pass_time(10)
    await room.tick()
    await room.pass_time(30)
    assert (await room.line.counts(42)).pace.line_per_minute == 36
    await room.open(rate_per_minute=6)
    assert (await room.line.counts(42)).pace.line_per_minute is None
