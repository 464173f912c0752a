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
from db.shops.model import Shop
from gateway.booking.desk import Desk
from gateway.line.registry import RoomRegistry
from waiting_room.autopilot import STEP_SECONDS, WINDOW_SECONDS, Sight, start, steer
from waiting_room.errors import RoomUnknown
from waiting_room.line import Line
from waiting_room.model import RoomCounts
from waiting_room.shop_figures import Figures, ShopFigures

TROUBLES: Final = frozenset({"timed_out", "internal_error"})
STEP_SHARE_MIN: Final = 0.9
"""This share of a step must have passed since any gateway steered last."""


SHOP_REACTION_SECONDS: Final = 60.0
"""A fan stays in a shop for minutes, so a cut shows later than in our own sale."""
STOPPED_AT_TIMES: Final = 4.0
"""A shop whose p95 is this many times its target lets nobody in; below, the door is slowed in proportion."""
EMPTY_SLOWED_SHARE: Final = 0.5
"""With nobody inside, a shop that answers is slow for reasons of its own, and the door is slowed no further than so."""


def sight_of_shop(counts: RoomCounts, shop: Shop, figures: Figures | None) -> Sight:
    """A shop's room as the autopilot sees it, for the lanes book for others.

    A shop of which no figures ever came is one of which nothing is known: the rate goes up to the operators' own in
    small steps. Where figures came, or are to come, and there are none now, the rate stays.
    """
    found = figures if figures is not None and figures.is_fresh else None
    p95_ms = 0.0 if found is None else found.p95_ms
    is_down = found is not None and found.is_down
    last = counts.steering
    excess_share = 1.0 if is_down else max(0.0, (p95_ms / shop.target_ms - 1) / (STOPPED_AT_TIMES - 1))
    if not is_down and counts.admitted == 0:
        excess_share = min(excess_share, EMPTY_SLOWED_SHARE)
    # Nobody says how busy the shop is. Once it was overloaded, the rate rises slowly beyond what it bore then.
    was_overloaded = last is not None and last.borne_per_minute > 0
    return Sight(
        at_seconds=counts.now_ms / 1000,
        waiting=counts.waiting,
        slots_free=counts.slots_free,
        stock_bound=False,
        p95_ms=None if found is None else p95_ms,
        backlog=0,
        ended_per_second=0.0 if found is None else found.per_second,
        admitted_per_second=(counts.pace.admitted_per_minute or 0.0) / 60,
        busy_share=1.0 if was_overloaded else 0.0,
        troubles=0 if found is None else found.troubles,
        no_show_rate=counts.pace.no_show_rate,
        requests="requests",
        excess_share=excess_share,
        is_blind=found is None and (figures is not None or bool(shop.probe_url)),
        reaction_seconds=SHOP_REACTION_SECONDS,
    )


class Autopilot:
    """Steers the rooms.

    Args:
        target_ms: the 95th percentile of bookings should stay below this; a shop has a target of its own.
    """

    def __init__(
        self, line: Line, rooms: RoomRegistry, desk: Desk, shop_figures: ShopFigures, target_ms: float
    ) -> None:
        self._line = line
        self._rooms = rooms
        self._desk = desk
        self._shop_figures = shop_figures
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
            if row.shop is None:
                sight, target_ms = await self._sight(event_id, counts), self._target_ms
            else:
                figures = await self._shop_figures.of(event_id, counts.now_ms / 1000)
                sight, target_ms = sight_of_shop(counts, row.shop, figures), row.shop.target_ms
            await self._line.steer(event_id, counts, steer(last, sight, ceiling_per_minute, target_ms))

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
