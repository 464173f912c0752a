"""The lanes as operators see them: whether each has a worker, how much it has to do, and whose events it books."""

from __future__ import annotations

from typing import NamedTuple

import redis

from booking_lane.alive import alive_workers
from booking_lane.lane import queue_name, rq_queue
from booking_lane.lane_map import LaneMap


class LaneState(NamedTuple):
    """One lane.

    Attributes:
        batches: how many stand in its queue.
        shares: it is one of the lanes that share the events by their numbers.
        moved_here: ids of the events that have it for their own.
        hands_over: it has yet to apply what it was given for events that left it.
    """

    lane: int
    has_worker: bool
    batches: int
    shares: bool
    moved_here: tuple[int, ...]
    hands_over: bool


def lane_states(jobs: redis.Redis, lane_map: LaneMap) -> list[LaneState]:
    """The lanes that need a worker, in the order of their numbers.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    lanes = lane_map.lanes
    return [
        LaneState(
            lane=lane,
            has_worker=bool(alive_workers(jobs, queue_name(lane))),
            batches=rq_queue(jobs, queue_name(lane)).count,
            shares=lane < lanes.count,
            moved_here=tuple(sorted(event_id for event_id, pinned in lanes.pins.items() if pinned == lane)),
            hands_over=any(lane in one.left for one in lane_map.leaving),
        )
        for lane in lane_map.numbers
    ]
