"""Which lane an event belongs to, and what becomes of the batches of the lane that it leaves."""

from __future__ import annotations

import datetime as dt
from typing import cast

import pytest
import redis

from booking_lane.lane import HAND_OVER, REVISION_KEY, Lane, queue_name, rq_queue
from booking_lane.lane_map import (
    HAND_OVERS_MAX,
    MAP_KEY,
    HandOversPendingError,
    LaneMap,
    Lanes,
    Leaving,
    follow,
    map_in_force,
    read_map,
    settle,
)
from booking_lane.listed_jobs import fetch_jobs
from db.lanes.maps import MapRow
from tests.unit.booking_lane.asks import batch, reserve

EVENT = 4
NOW = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)


def row(revision: int, count: int = 2, **pins: int) -> MapRow:
    return MapRow(revision, count, {int(name[1:]): lane for name, lane in pins.items()}, NOW, "a test")


def functions(jobs: redis.Redis, lane: int) -> list[str | None]:
    queue = rq_queue(jobs, queue_name(lane))
    return [job.func_name for job in fetch_jobs(jobs, queue.get_job_ids()) if job is not None]


def test_a_lane_is_the_events_own_or_that_of_its_number() -> None:
    lanes = Lanes(3, {4: 7, 5: 0})
    assert [lanes.of(event) for event in range(3, 8)] == [0, 7, 0, 0, 1]
    assert lanes.numbers == [0, 1, 2, 7]
    assert lanes.of_lane(0) == {"lanes": 3, "lane": 0, "pinned": [4, 5], "pinned_here": [5]}
    assert lanes.of_lane(7) == {"lanes": 3, "lane": -1, "pinned": [4, 5], "pinned_here": [4]}


def test_only_lanes_that_events_leave_hand_over() -> None:
    assert Lanes(2).left_for(Lanes(2, {EVENT: 1})) == [0]
    assert Lanes(2, {EVENT: 1}).left_for(Lanes(2, {EVENT: 0})) == [1]
    assert Lanes(2).left_for(Lanes(2, {EVENT: 0})) == [], "it is there already"
    assert Lanes(2, {EVENT: 7}).left_for(Lanes(3, {EVENT: 7})) == [0, 1, 7]


def test_an_event_waits_for_every_lane_that_it_left() -> None:
    there = LaneMap(2, Lanes(2, {EVENT: 1}), (Leaving(2, Lanes(2), (0,)),))
    assert there.waits(EVENT)
    assert not there.waits(EVENT + 2), "it did not move"
    back = LaneMap(3, Lanes(2), (*there.leaving, Leaving(3, Lanes(2, {EVENT: 1}), (1,))))
    assert back.waits(EVENT), "for the lane in between"
    assert not LaneMap(3, Lanes(2), there.leaving).waits(EVENT), "what its own lane has to do stands before it there"


def test_a_hand_over_stands_behind_what_was_sent_before(jobs: redis.Redis) -> None:
    lane = Lane(jobs, 0, 60)
    assert lane.enqueue(batch(reserve(EVENT, 1, (1, 1, 1)))).map_revision is None
    assert follow(jobs, [row(1, e4=1)], 2) == LaneMap(1, Lanes(2, {EVENT: 1}), (Leaving(1, Lanes(2), (0,)),)), (
        "the setting's lanes held before"
    )
    assert lane.enqueue(batch(reserve(EVENT, 2, (1, 1, 2)))).map_revision == 1, "the gateway learns of it at once"
    assert functions(jobs, 0)[1] == HAND_OVER
    assert functions(jobs, 1) == []
    follow(jobs, [row(1, e4=1)], 2)
    assert functions(jobs, 0).count(HAND_OVER) == 1, "it is in force already"
    settle(jobs, 0, 1)
    assert map_in_force(jobs, 2) == LaneMap(1, Lanes(2, {EVENT: 1}))


def test_a_hand_over_speaks_only_of_what_came_before_it(jobs: redis.Redis) -> None:
    follow(jobs, [row(1, e4=1)], 2)
    follow(jobs, [row(2), row(1, e4=1)], 2)
    follow(jobs, [row(3, e4=1), row(2)], 2)
    settle(jobs, 0, 1)
    found = read_map(jobs)
    assert found is not None
    assert [(one.revision, one.left) for one in found.leaving] == [(2, (1,)), (3, (0,))]
    settle(jobs, 0, 3)
    settle(jobs, 1, 3)
    assert not map_in_force(jobs, 2).leaving


def test_a_map_that_redis_lost_is_put_in_force_again(jobs: redis.Redis) -> None:
    follow(jobs, [row(1, e4=1)], 2)
    jobs.delete(MAP_KEY, REVISION_KEY)
    assert map_in_force(jobs, 2).lanes == Lanes(2)
    follow(jobs, [row(2, e4=7), row(1, e4=1)], 2)
    found = read_map(jobs)
    assert found is not None
    assert found.leaving == (Leaving(2, Lanes(2, {EVENT: 1}), (1,)),), "gateways still sent by the row before"
    assert jobs.get(REVISION_KEY) == b"2"


def test_changes_are_refused_while_too_many_are_pending(jobs: redis.Redis) -> None:
    rows = [row(number, e4=number % 2 + 1) for number in range(1, HAND_OVERS_MAX + 2)]
    for number in range(HAND_OVERS_MAX):
        follow(jobs, [rows[number], *rows[max(0, number - 1) : number]], 2)
    with pytest.raises(HandOversPendingError):
        follow(jobs, rows[-1:-3:-1], 2)
    assert cast(LaneMap, read_map(jobs)).revision == HAND_OVERS_MAX
