"""Sends what came of payments to the lanes of their events."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Final

import redis

from booking_lane.commands import Batch, Command, command_id_new
from booking_lane.lane import Lane, queue_name, rq_queue
from booking_lane.lane_map import map_in_force
from booking_lane.settings import LaneSettings

ORIGIN: Final = "cashier"
WAIT_SECONDS_MAX: Final = 0.25


class Sending:
    """The commands that wait for the end of a turn, so that those of many payments travel in one batch.

    Args:
        client: the jobs' Redis, synchronous as RQ needs it.
    """

    def __init__(self, client: redis.Redis, lane: LaneSettings) -> None:
        self._client = client
        self._lane = lane
        self._waiting: list[Command] = []
        self._since = 0.0

    def add(self, command: Command) -> None:
        """Have the command leave at the end of the turn, or of one soon after it."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(command)

    async def leave(self, *, at_once: bool = False) -> int:
        """Send what waits; how many commands left. What is for a lane whose worker has batches to begin waits on for
        `WAIT_SECONDS_MAX`, unless ``at_once``: another batch would only be smaller.

        Raises:
            redis.RedisError: Redis did not take a batch. Its commands are made again, since their payments stay due.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return 0
        since = self._since
        may_wait = not at_once and time.monotonic() - since < WAIT_SECONDS_MAX
        stay = await asyncio.to_thread(self._leave, waiting, may_wait)
        if stay:
            self._waiting, self._since = [*stay, *self._waiting], since
        return len(waiting) - len(stay)

    def _leave(self, waiting: list[Command], may_wait: bool) -> list[Command]:
        """Send these; the commands that stay."""
        # No fan was told that these are taken, so an event's hand-over is not waited for.
        lanes = map_in_force(self._client, self._lane.count).lanes
        of_lanes: dict[int, list[Command]] = defaultdict(list)
        for command in waiting:
            of_lanes[lanes.of(command.event_id)].append(command)
        stay: list[Command] = []
        for number, commands in of_lanes.items():
            if may_wait and self._client.llen(rq_queue(self._client, queue_name(number)).key):
                stay += commands
                continue
            for start in range(0, len(commands), self._lane.batch_max):
                part = tuple(commands[start : start + self._lane.batch_max])
                lane = Lane(self._client, number, self._lane.result_ttl_seconds)
                lane.enqueue(Batch(command_id_new(), ORIGIN, number, part))
        return stay
