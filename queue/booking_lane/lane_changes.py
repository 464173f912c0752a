"""Changes of the map of lanes by operators: an event gets a lane of its own, or the number of lanes changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, LiteralString

import psycopg
import redis

from booking_lane.alive import alive_workers
from booking_lane.lane import queue_name
from booking_lane.lane_map import (
    HAND_OVERS_MAX,
    HandOversPendingError,
    LaneMap,
    Lanes,
    follow,
    map_of,
    read_map,
)
from db.lanes.maps import LANES_MAX, PINS_MAX, add_map, last_maps, lock_maps

_EVENT: Final[LiteralString] = "SELECT FROM event WHERE event_id = %(event_id)s"

Connection = psycopg.Connection[tuple[Any, ...]]


class LaneRefusedError(ValueError):
    """The change makes no sense, or would leave bookings without a worker; the text says why."""


def move_event(
    connection: Connection, jobs: redis.Redis, count: int, event_id: int, lane: int | None, by: str
) -> LaneMap:
    """Give an event this lane, or with None the one that its number gives it; return the map in force.

    Args:
        jobs: the jobs' Redis, bytes in and out.
        count: the setting's number of lanes, which holds while nobody set any.
        by: who asks for it.

    Raises:
        LookupError: there is no such event.
        LaneRefusedError: no such lane, no worker on it, or too many events have lanes of their own.
        HandOversPendingError: lanes have yet to hand over from too many earlier changes.
        redis.RedisError: Redis does not answer. If Postgres took the change, housekeeping puts it in force.
        psycopg.Error: Postgres does not answer.
    """
    if connection.execute(_EVENT, {"event_id": event_id}).fetchone() is None:
        raise LookupError("there is no such event")

    def moved(lanes: Lanes) -> Lanes:
        pins = {event: pinned for event, pinned in lanes.pins.items() if event != event_id}
        if lane is not None:
            pins[event_id] = lane
        if len(pins) > PINS_MAX:
            raise LaneRefusedError(f"{PINS_MAX} events at most have lanes of their own")
        changed = Lanes(lanes.count, pins)
        _require_worker(jobs, changed.of(event_id))
        return changed

    return _change(connection, jobs, count, by, moved)


def set_count(connection: Connection, jobs: redis.Redis, count: int, new: int, by: str) -> LaneMap:
    """Have so many lanes share the events that have none of their own; see `move_event`."""

    def counted(lanes: Lanes) -> Lanes:
        if not 1 <= new <= LANES_MAX:
            raise LaneRefusedError(f"there are 1 to {LANES_MAX} lanes")
        for lane in range(new):
            _require_worker(jobs, lane)
        return Lanes(new, lanes.pins)

    return _change(connection, jobs, count, by, counted)


def _require_worker(jobs: redis.Redis, lane: int) -> None:
    if not 0 <= lane < LANES_MAX:
        raise LaneRefusedError(f"lanes are numbered 0 to {LANES_MAX - 1}")
    if not alive_workers(jobs, queue_name(lane)):
        raise LaneRefusedError(
            f"lane {lane} has no worker: start one first (`admitone worker --part lanes --lane {lane}`)"
        )


def _change(
    connection: Connection, jobs: redis.Redis, count: int, by: str, change: Callable[[Lanes], Lanes]
) -> LaneMap:
    with connection.transaction():
        lock_maps(connection)
        before = map_of(last_maps(connection, 1), count)
        lanes = change(before.lanes)
        pending = read_map(jobs)
        if pending is not None and len(pending.leaving) >= HAND_OVERS_MAX:
            raise HandOversPendingError(HandOversPendingError.__doc__)
        if lanes != before.lanes:
            add_map(connection, before.revision + 1, lanes.count, lanes.pins, by)
    return follow(jobs, last_maps(connection, 2), count)
