"""The map of lanes: which lane each event belongs to, and how an event is handed over when that changes.

The jobs' Redis holds the map in force, and Postgres what operators set (`db.lanes.maps`). A change is one MULTI: it
writes the map with its new revision, and puts a hand-over job at the end of each lane that events leave. So every
batch that Redis took before the change stands before that job. An event whose former lane has yet to hand over waits
in the gateways; once the job has run, everything that the lane was given for it is applied, and its new lane may begin.

A gateway that did not know of a change yet sends to the former lane. Redis tells it the revision together with the
batch, and it acknowledges such a batch only when its outcome is there. Thus no command that was acknowledged is
overtaken by one that came later, and none is refused: it is applied wherever it went, under its event's lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

import msgspec
import redis
from redis.client import Pipeline

from booking_lane.lane import REVISION_KEY, hand_over_data, lane_of, queue_name, rq_queue
from db.lanes.maps import MapRow

MAP_KEY: Final = "lanes:map"
HAND_OVERS_MAX: Final = 16
"""No further change is made while so many have yet to be handed over."""


class HandOversPendingError(RuntimeError):
    """Lanes have yet to hand over from earlier changes: see that they have workers, and try again."""


class Lanes(msgspec.Struct, frozen=True, array_like=True):
    """``count`` lanes share the events by their ids, but for those with a lane of their own in ``pins``."""

    count: int
    pins: dict[int, int] = {}

    def of(self, event_id: int) -> int:
        """The event's lane."""
        return self.pins.get(event_id, lane_of(event_id, self.count))

    @property
    def numbers(self) -> list[int]:
        """The lanes that some event may belong to."""
        return sorted({*range(self.count), *self.pins.values()})

    def of_lane(self, lane: int) -> dict[str, Any]:
        """The parameters of `db.lanes.maps.OF_LANE`."""
        here = [event_id for event_id, pinned in self.pins.items() if pinned == lane]
        # A lane beyond the count has pinned events alone.
        number = lane if lane < self.count else -1
        return {"lanes": self.count, "lane": number, "pinned": list(self.pins), "pinned_here": here}

    def left_for(self, new: Lanes) -> list[int]:
        """The lanes that some event leaves when these lanes become ``new``."""
        if self.count != new.count:
            return self.numbers
        moved = [event_id for event_id in {*self.pins, *new.pins} if self.of(event_id) != new.of(event_id)]
        return sorted({self.of(event_id) for event_id in moved})


class Leaving(msgspec.Struct, frozen=True, array_like=True):
    """The lanes as they were before ``revision``, and those of them that have yet to hand over."""

    revision: int
    before: Lanes
    left: tuple[int, ...]


class LaneMap(msgspec.Struct, frozen=True, array_like=True):
    """The map in force. ``revision`` is 0 while nobody has set any."""

    revision: int
    lanes: Lanes
    leaving: tuple[Leaving, ...] = ()

    def waits(self, event_id: int) -> bool:
        """Whether a former lane of the event has yet to hand over."""
        if not self.leaving:
            return False
        lane = self.lanes.of(event_id)
        formers = ((one.before.of(event_id), one.left) for one in self.leaving)
        return any(former != lane and former in left for former, left in formers)

    @property
    def numbers(self) -> list[int]:
        """The lanes that need a worker: those that have events, and those that have yet to hand over."""
        return sorted({*self.lanes.numbers, *(lane for one in self.leaving for lane in one.left)})


encode_map: Final = msgspec.msgpack.Encoder().encode
decode_map: Final = msgspec.msgpack.Decoder(LaneMap).decode


def map_by_setting(count: int) -> LaneMap:
    """The map while nobody has set any: ``count`` is the setting's."""
    return LaneMap(0, Lanes(count))


def map_of(maps: list[MapRow], count: int) -> LaneMap:
    """The map that Postgres' last rows give, with nothing to hand over; ``count`` is the setting's."""
    if not maps:
        return map_by_setting(count)
    return LaneMap(maps[0].revision, Lanes(maps[0].lane_count, maps[0].pins))


def read_map(client: redis.Redis) -> LaneMap | None:
    """The map in force; None if nobody has set any, or Redis lost it.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    found = cast(bytes | None, client.get(MAP_KEY))
    return None if found is None else decode_map(found)


def map_in_force(client: redis.Redis, count: int) -> LaneMap:
    """The map in Redis, or the one by the setting's ``count`` where there is none.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    return read_map(client) or map_by_setting(count)


def follow(client: redis.Redis, maps: list[MapRow], count: int) -> LaneMap:
    """Put the newest of Postgres' rows in force, unless it is, and return the map in force.

    Args:
        maps: the last two, the newest first.
        count: the setting's number of lanes, which held before the first row.

    Raises:
        HandOversPendingError: too many changes have yet to be handed over.
        redis.RedisError: Redis does not answer.
    """
    wanted = map_of(maps, count)
    if not wanted.revision:
        return wanted

    def change(pipe: Pipeline) -> LaneMap:
        found = cast(bytes | None, pipe.get(MAP_KEY))
        # Where Redis lost the map, gateways may still send by the row before.
        current = map_of(maps[1:], count) if found is None else decode_map(found)
        pipe.multi()
        if current.revision >= wanted.revision:
            return current
        left = current.lanes.left_for(wanted.lanes)
        leaving = current.leaving
        if left:
            leaving = (*leaving, Leaving(wanted.revision, current.lanes, tuple(left)))
        if len(leaving) > HAND_OVERS_MAX:
            raise HandOversPendingError(HandOversPendingError.__doc__)
        new = LaneMap(wanted.revision, wanted.lanes, leaving)
        pipe.set(MAP_KEY, encode_map(new))
        pipe.set(REVISION_KEY, new.revision)
        ask_to_hand_over(client, pipe, left, new.revision)
        return new

    # redis-py's types know nothing of a function that gives a value.
    found: Any = client.transaction(cast(Any, change), MAP_KEY, value_from_callable=True)
    return cast(LaneMap, found)


def ask_to_hand_over(client: redis.Redis, pipe: Pipeline, lanes: Iterable[int], revision: int) -> None:
    """Put a hand-over job at the end of each of the lanes. More than one does no harm."""
    for lane in lanes:
        rq_queue(client, queue_name(lane)).enqueue_many([hand_over_data(lane, revision)], pipeline=pipe)


def settle(client: redis.Redis, lane: int, revision: int) -> None:
    """Note that a lane has handed over: it has applied everything that it was given before ``revision``.

    Raises:
        redis.RedisError: Redis does not answer.
    """

    def change(pipe: Pipeline) -> None:
        found = cast(bytes | None, pipe.get(MAP_KEY))
        pipe.multi()
        if found is None:
            return
        current = decode_map(found)
        still = [
            msgspec.structs.replace(one, left=tuple(number for number in one.left if number != lane))
            if one.revision <= revision
            else one
            for one in current.leaving
        ]
        leaving = tuple(one for one in still if one.left)
        if leaving != current.leaving:
            pipe.set(MAP_KEY, encode_map(msgspec.structs.replace(current, leaving=leaving)))

    client.transaction(change, MAP_KEY)
