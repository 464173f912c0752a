"""Runs the autopilot of every room that has it on: it measures the sale, steers and says why
(`waiting_room.autopilot`).

There is no leader. Every gateway steers, and Redis takes only the first steering that follows the last one.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis.exceptions import RedisError

from db.patience import Turns
from db.rooms.rooms import RoomRow
from db.rooms.steering import autopilot_steers
from gateway.booking.desk import Desk
from gateway.line.registry import RoomRegistry
from waiting_room.autopilot import STEP_SECONDS, WINDOW_SECONDS, Sight, start, steer
from waiting_room.errors import RoomUnknown
from waiting_room.line import Line
from waiting_room.model import RoomCounts

TROUBLES: Final = frozenset({"timed_out", "internal_error"})
STEP_SHARE_MIN: Final = 0.9
"""This share of a step must have passed since any gateway steered last."""


def sight_of_shop(counts: RoomCounts) -> Sight:
    """A shop's room as the autopilot sees it. Nothing is known of how the shop bears its fans, and the lanes book for
    others: the rate goes up to the operators' own in small steps.
    """
    return Sight(
        at_seconds=counts.now_ms / 1000,
        waiting=counts.waiting,
        slots_free=counts.slots_free,
        stock_bound=False,
        p95_ms=None,
        backlog=0,
        ended_per_second=0.0,
        admitted_per_second=(counts.pace.admitted_per_minute or 0.0) / 60,
        busy_share=0.0,
        troubles=0,
        no_show_rate=counts.pace.no_show_rate,
    )


class Autopilot:
    """Steers the rooms.

    Args:
        target_ms: the 95th percentile of bookings should stay below this.
    """

    def __init__(self, line: Line, rooms: RoomRegistry, desk: Desk, target_ms: float) -> None:
        self._line = line
        self._rooms = rooms
        self._desk = desk
        self._target_ms = target_ms

    async def keep_steering(self) -> None:
        """Steer for as long as the process runs."""
        while True:
            await asyncio.sleep(STEP_SECONDS / 2)
            turns = Turns("the autopilot's step", (RedisError, RoomUnknown, OSError))
            for event_id, row in list(self._rooms.rows.items()):
                if autopilot_steers(row):
                    with turns.of(f"event {event_id}"):
                        await self._steer(row)
            turns.end()

    async def _steer(self, row: RoomRow) -> None:
        event_id, ceiling_per_minute = row.event_id, row.rate_per_minute
        counts = await self._line.counts(event_id)
        last = counts.steering
        if last is None:
            await self._line.steer(event_id, counts, start(ceiling_per_minute, counts.now_ms / 1000))
        elif counts.now_ms - counts.steered_at_ms >= STEP_SECONDS * 1000 * STEP_SHARE_MIN:
            if counts.now_ms - counts.steered_at_ms > WINDOW_SECONDS * 1000:
                # The autopilot was off, or no gateway ran. What it learnt before may be out of date, so it starts anew.
                last = start(ceiling_per_minute, counts.now_ms / 1000)
            sight = await self._sight(event_id, counts) if row.shop is None else sight_of_shop(counts)
            await self._line.steer(event_id, counts, steer(last, sight, ceiling_per_minute, self._target_ms))

    async def _sight(self, event_id: int, counts: RoomCounts) -> Sight:
        lane = self._desk.site_lanes.of(event_id)
        figures = self._desk.recent(lane, WINDOW_SECONDS)
        ended = sum(figures.waits)
        return Sight(
            at_seconds=counts.now_ms / 1000,
            waiting=counts.waiting,
            slots_free=counts.slots_free,
            stock_bound=counts.is_stock_bound,
            p95_ms=figures.wait_ms(0.95),
            backlog=await self._desk.backlog_of(lane, ended / figures.batches if figures.batches else 1.0),
            ended_per_second=ended / WINDOW_SECONDS,
            admitted_per_second=(counts.pace.admitted_per_minute or 0.0) / 60,
            busy_share=min(1.0, figures.busy_ms / 1000 / WINDOW_SECONDS),
            troubles=sum(number for (_, how), number in figures.commands.items() if how in TROUBLES),
            no_show_rate=counts.pace.no_show_rate,
        )
