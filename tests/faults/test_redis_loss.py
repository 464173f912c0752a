"""Redis loses everything: the line comes back in its old order, and nobody gains by it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import combinations

import psycopg
import pytest

from db.events.seed import RoomSeed
from tests.acceptance.conftest import Site
from tests.client import Answer, Fan
from tests.faults.conftest import Valkey
from tests.faults.harness import Row, append_row
from tests.waiting import await_that
from waiting_room.keys import room_key

GATEWAYS = 2
REBUILD_SECONDS = 4
"""Long enough for a slow machine to have every fan heard in it, one after another."""
ENVIRON = {
    "ADMITONE_CONNECTED_SECONDS": "2",
    "ADMITONE_ABSENCE_SECONDS": "60",
    "ADMITONE_REBUILD_SECONDS": str(REBUILD_SECONDS),
}
CAPACITY = 2
FANS = 24
LISTENING = 12
"""So many of them have a stream open, every other; the rest poll."""
LOSSES = {"flush": "Valkey FLUSHALL, every fan watched", "kill": "Valkey SIGKILL without AOF, every fan watched"}


def kendall_tau(before: Sequence[int], after: Sequence[int]) -> float:
    """1.0 where every two stand in the same order, -1.0 where none do."""
    rank = {fan: at for at, fan in enumerate(after)}
    pairs = list(combinations(before, 2))
    return sum(1 if rank[first] < rank[second] else -1 for first, second in pairs) / len(pairs)


def in_line(site: Site, event_id: int) -> list[int]:
    with site.redis() as redis:
        return [int(fan) for fan in redis.zrange(room_key(event_id, "line"), 0, -1)]


def slots_taken(site: Site, event_id: int) -> int:
    with site.redis() as redis:
        return int(redis.zcard(room_key(event_id, "called"))) + int(redis.zcard(room_key(event_id, "admitted")))


def recorded(site: Site, event_id: int, left: Fan) -> bool:
    """Postgres knows that the room was open and that this fan left."""
    with psycopg.connect(site.database_url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM room JOIN departed_place USING (event_id)"
            " WHERE event_id = %s AND room.epoch > 0 AND user_id = %s AND departed_place.state = 'left'",
            (event_id, left.user_id),
        ).fetchone()
    return found == (1,)


def test_tau_tells_a_changed_order() -> None:
    assert kendall_tau([1, 2, 3], [1, 2, 3]) == 1.0
    assert kendall_tau([1, 2, 3], [2, 1, 3]) < 1.0
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1.0


@pytest.mark.parametrize("loss", LOSSES)
def test_the_line_outlives_the_loss_of_redis(site: Site, valkey: Valkey, loss: str) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=60_000, capacity=CAPACITY))
    holder, chooser = (site.admitted_fan(event_id) for _ in range(CAPACITY))
    holder.hold(event_id, [(1, 1, 1)])
    fans = [site.fan(number % GATEWAYS) for number in range(FANS)]
    tokens = {fan.user_id: fan.join(event_id).json["token"] for fan in fans}
    left = site.fan()
    tokens[left.user_id] = left.join(event_id).json["token"]
    left.leave(event_id)
    before = in_line(site, event_id)
    assert before == [fan.user_id for fan in fans]
    await_that(lambda: recorded(site, event_id, left))

    newcomer = site.fan()
    listening, polling = fans[::2][:LISTENING], fans[1::2]
    with ExitStack() as stack:
        streams = [stack.enter_context(fan.line(event_id, place_token=tokens[fan.user_id])) for fan in listening]
        for stream in streams:
            stream.data("place")
        getattr(valkey, loss)()
        lost_at = time.monotonic()

        def joined(fan: Fan) -> Answer:
            """Join as soon as it is taken, by a token that must not help."""
            while True:
                answer = fan.join(event_id, place_token=tokens.get(fan.user_id, ""))
                assert slots_taken(site, event_id) <= CAPACITY
                if answer.status != 503:
                    return answer
                assert answer.code == "rebuilding"
                assert time.monotonic() - lost_at < REBUILD_SECONDS + 20
                time.sleep(0.1)

        def heard(fan: Fan) -> bool:
            return fan.poll(event_id, place_token=tokens[fan.user_id]).status == 200

        await_that(lambda: newcomer.join(event_id).code == "rebuilding")
        await_that(lambda: left.join(event_id, place_token=tokens[left.user_id]).code == "rebuilding")
        # One who was choosing seats goes on; the pass takes its slot again.
        assert chooser.reserve(event_id, [(1, 2, 2)], wait=0).status == 202
        for fan in reversed(polling):
            await_that(lambda fan=fan: heard(fan))  # type: ignore[misc]
        await_that(lambda: set(before) <= set(in_line(site, event_id)))
        assert joined(newcomer).json["state"] == "waiting"
        open_at = time.monotonic()
        assert joined(left).json["state"] == "waiting"
        after = in_line(site, event_id)
        tau = kendall_tau(before, [fan for fan in after if fan in before])
        append_row(
            Row.of_no_sale(
                LOSSES[loss],
                recovery_seconds=[round(open_at - lost_at, 3)],
                note=f"Kendall tau {tau}; the room is rebuilt for {REBUILD_SECONDS} s",
                fans=FANS,
            )
        )
        assert tau == 1.0
        assert after == [*before, newcomer.user_id, left.user_id]

        # The holder did nothing at all.
        with site.redis() as redis:
            admitted = {int(fan) for fan in redis.zrange(room_key(event_id, "admitted"), 0, -1)}
        assert admitted == {holder.user_id, chooser.user_id}
        assert slots_taken(site, event_id) == CAPACITY

        # The door goes on by itself, with the first in line.
        chooser.leave(event_id)
        called = streams[0].data("called")
        assert called["claimBySeconds"] > 0
        assert all(heard(fan) for fan in polling)
        assert in_line(site, event_id)[:-2] == before[1:]
        assert slots_taken(site, event_id) <= CAPACITY
