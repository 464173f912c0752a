"""A lane hands over when everything before is applied; what a lane without workers left behind goes to another one."""

from __future__ import annotations

import pytest
import redis
from rq.job import JobStatus

from booking_lane.alive import alive_key, workers_key
from booking_lane.lane import BOOK, HAND_OVER, Lane, hand_over_data, queue_name, rq_queue
from booking_lane.lane_map import follow, map_in_force
from booking_lane.listed_jobs import fetch_jobs
from tests.unit.booking_lane.asks import batch, reserve
from tests.unit.booking_lane.test_lane_map import EVENT, row
from workers import lane_keeping
from workers.lane_keeping import TakingOver, ask_again, hand_over
from workers.recovery import Recovery
from workers.setbacks import Setbacks


def named(jobs: redis.Redis, lane: int) -> list[str | None]:
    queue = rq_queue(jobs, queue_name(lane))
    return [job.func_name for job in fetch_jobs(jobs, queue.get_job_ids()) if job is not None]


def live(jobs: redis.Redis, lane: int) -> None:
    """Let a worker of the lane give a sign of life."""
    jobs.sadd(workers_key(queue_name(lane)), f"rq:worker:w{lane}")
    jobs.set(alive_key(queue_name(lane), f"w{lane}"), "here", ex=30)


def test_a_lane_hands_over_once_no_other_batch_is_under_way(jobs: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_keeping, "OTHERS_SECONDS_MAX", 0.0)
    follow(jobs, [row(1, e4=1)], 2)
    queue = rq_queue(jobs, queue_name(0))
    (asked,) = queue.get_job_ids()
    other = batch(reserve(EVENT, 1, (1, 1, 1)))
    Lane(jobs, 0, 60).enqueue(other)
    # As if another worker of the lane had just taken it.
    jobs.rpush(queue.intermediate_queue_key, str(other.batch_id))
    jobs.lrem(queue.key, 1, str(other.batch_id))
    hand_over(jobs, queue, asked, 0, 1)
    assert map_in_force(jobs, 2).leaving, "the other batch came before"
    assert named(jobs, 0) == [HAND_OVER, HAND_OVER], "and it is tried again at the end"

    fetch_jobs(jobs, [str(other.batch_id)])[0].set_status(JobStatus.FINISHED)  # type: ignore[union-attr]
    hand_over(jobs, queue, asked, 0, 1)
    assert not map_in_force(jobs, 2).leaving


def test_a_lost_hand_over_is_asked_for_again(jobs: redis.Redis) -> None:
    follow(jobs, [row(1, e4=1)], 2)
    jobs.delete(rq_queue(jobs, queue_name(0)).key)
    ask_again(jobs, map_in_force(jobs, 2))
    assert named(jobs, 0) == [HAND_OVER]


def test_what_a_lane_without_workers_left_goes_to_one_lane_in_its_order(jobs: redis.Redis) -> None:
    sent = [batch(reserve(EVENT, fan, (1, 1, fan))) for fan in (1, 2)]
    for one in sent:
        Lane(jobs, 5, 60).enqueue(one)
    rq_queue(jobs, queue_name(5)).enqueue_many([hand_over_data(5, 1)])
    keeping = TakingOver(jobs, Recovery(jobs, Setbacks(jobs, 3)), 2)
    assert keeping.take_over() == 0, "no lane has a worker"
    live(jobs, 1)
    live(jobs, 5)
    assert keeping.take_over() == 0, "the lane has a worker still"
    jobs.delete(alive_key(queue_name(5), "w5"))
    assert keeping.take_over() == 3
    assert named(jobs, 5) == []
    assert named(jobs, 1) == [BOOK, BOOK, HAND_OVER]
    queue = rq_queue(jobs, queue_name(1))
    moved = fetch_jobs(jobs, queue.get_job_ids())
    assert [job.args for job in moved if job is not None][2] == [5, 1]
    assert keeping.take_over() == 0
