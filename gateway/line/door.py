"""The door: at each tick of a room, calls, passes and places that lapsed are ended, and the next fans are called.

There is no leader. Every gateway ticks every open room, and the script lets in no more fans than the rate allows.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from db.patience import Turns
from db.rooms.rooms import RoomRow
from gateway.line.draws import Draws
from gateway.line.registry import RoomRegistry
from waiting_room.errors import RoomUnknown
from waiting_room.line import Line

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.25
EMPTY_TICK_SECONDS: Final = 1.0
"""An empty room is ticked this rarely, so that a venue's many other events do not cost as much as a sale."""
TICKS_AT_ONCE_MAX: Final = 20


class Door:
    """The ticks of all rooms; a tick that finds a lobby due to be drawn begins its draw."""

    def __init__(self, line: Line, rooms: RoomRegistry, draws: Draws) -> None:
        self._line = line
        self._rooms = rooms
        self._draws = draws
        self._empty_until: dict[int, float] = {}
        rooms.on_stale(self._wake)

    def _wake(self, event_id: int) -> None:
        """Have the room's next tick done at once, because fans may have come to it while it was empty."""
        self._empty_until.pop(event_id, None)

    async def keep_admitting(self) -> None:
        """Tick every room for as long as the process runs."""
        while True:
            await asyncio.sleep(TICK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - spreads gateways
            turns = Turns("the tick", (RedisError, SQLAlchemyError, OSError))
            for event_id, row in list(self._rooms.rows.items()):
                if row.state == "off" or self._empty_until.get(event_id, 0) > time.monotonic():
                    continue
                with turns.of(f"event {event_id}"):
                    await self._tick(event_id, row)
            turns.end()

    async def _tick(self, event_id: int, row: RoomRow) -> None:
        for _ in range(TICKS_AT_ONCE_MAX):
            try:
                tick = await self._line.admit(event_id)
            except RoomUnknown:
                logger.warning("event %d: Redis knows no such room, configuring it anew", event_id)
                await self._rooms.configure(row)
                return
            if tick.draw_due:
                self._draws.begin(event_id)
            if tick.is_empty:
                self._empty_until[event_id] = time.monotonic() + EMPTY_TICK_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - spreads gateways
            if not tick.more:
                return
