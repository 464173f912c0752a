"""Sends what came of payments to the lanes of their events."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final

import redis

from booking_lane.commands import Batch, Command, command_id_new
from booking_lane.lane import Lane
from booking_lane.lane_map import map_in_force
from booking_lane.settings import LaneSettings

ORIGIN: Final = "cashier"


class Sending:
    """The commands that wait for the end of a turn, so that those of many payments travel in one batch.

    Args:
        client: the jobs' Redis, synchronous as RQ needs it.
    """

    def __init__(self, client: redis.Redis, lane: LaneSettings) -> None:
        self._client = client
        self._lane = lane
        self._waiting: list[Command] = []

    def add(self, command: Command) -> None:
        """Have the command leave at the end of the turn."""
        self._waiting.append(command)

    async def leave(self) -> int:
        """Send what waits; how many commands left.

        Raises:
            redis.RedisError: Redis did not take a batch. Its commands are made again, since their payments stay due.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return 0
        # No fan was told that these are taken, so an event's hand-over is not waited for.
        lanes = (await asyncio.to_thread(map_in_force, self._client, self._lane.count)).lanes
        of_lanes: dict[int, list[Command]] = defaultdict(list)
        for command in waiting:
            of_lanes[lanes.of(command.event_id)].append(command)
        for number, commands in of_lanes.items():
            for start in range(0, len(commands), self._lane.batch_max):
                part = tuple(commands[start : start + self._lane.batch_max])
                lane = Lane(self._client, number, self._lane.result_ttl_seconds)
                await asyncio.to_thread(lane.enqueue, Batch(command_id_new(), ORIGIN, number, part))
        return len(waiting)
