"""The door: at each tick of a room, calls, passes and places that lapsed are ended, and the next fans are called.

There is no leader. Each room has a gateway that ticks it and another one that looks whether it is ticked
(`waiting_room.tickers`), and any gateway may tick any room: the script lets in no more fans than the rate allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from db.patience import Apart, Turns, repeat
from db.rooms.rooms import RoomRow
from gateway.line.draws import Draws
from gateway.line.registry import REFRESH_SECONDS, RoomRegistry
from waiting_room.errors import RoomUnknown
from waiting_room.line import Line
from waiting_room.tickers import DEPUTY, RENEW_SECONDS, TICKER, Tickers

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.25
EMPTY_TICK_SECONDS: Final = 1.0
"""An empty room is ticked this rarely, so that a venue's many other events do not cost as much as a sale."""
UNTICKED_SECONDS: Final = 0.6
"""A room that nobody ticked for so long is ticked by its deputy: it has fans, and its door must not stand still."""
EMPTY_UNTICKED_SECONDS: Final = 1.6
NEW_SECONDS: Final = 2 * REFRESH_SECONDS
"""A gateway is the deputy of every room that it has known for a shorter time: others may not know of it yet."""
TICKS_AT_ONCE_MAX: Final = 20
AWAY_SECONDS_MAX: Final = 0.25
"""The rooms at one server of a cluster keep those at others waiting for so long at most."""


class Door:
    """The ticks of rooms; a tick that finds a lobby due to be drawn begins its draw.

    Args:
        now: a clock in seconds that only goes on.
    """

    def __init__(
        self,
        line: Line,
        rooms: RoomRegistry,
        draws: Draws,
        tickers: Tickers,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._rooms = rooms
        self._draws = draws
        self._tickers = tickers
        self._now = now
        self._rests_until: dict[int, float] = {}
        self._is_empty: set[int] = set()
        self._known_since: dict[int, float] = {}
        self._apart = Apart(AWAY_SECONDS_MAX)
        rooms.on_stale(self._wake)

    def _wake(self, event_id: int, _by_fans: bool) -> None:
        """Have an empty room's next tick done at once, because fans may have come to it."""
        if event_id in self._is_empty:
            self._is_empty.discard(event_id)
            self._rests_until.pop(event_id, None)

    async def keep_lease(self) -> None:
        """Renew this process' lease for as long as it runs."""
        away = (RedisError, OSError)
        await repeat(self._tickers.renew, every_seconds=RENEW_SECONDS, on=away, what="no lease", level=logging.DEBUG)

    async def close(self) -> None:
        """Leave the rooms to others."""
        with contextlib.suppress(RedisError, OSError):
            await self._tickers.give_up()

    async def keep_admitting(self) -> None:
        """Tick this process' rooms for as long as it runs."""
        while True:
            await asyncio.sleep(TICK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - spreads gateways
            rows = dict(self._rooms.rows)
            self._meet(rows)
            by_server: dict[str, dict[int, RoomRow]] = {}
            for event_id, row in rows.items():
                by_server.setdefault(self._line.shard_of(event_id), {})[event_id] = row
            await self._apart.turn({name: partial(self._tick_all, at_it) for name, at_it in by_server.items()})

    async def _tick_all(self, rows: Mapping[int, RoomRow]) -> None:
        """Tick those of the rooms that are due and this process'."""
        turns = Turns("the tick", (RedisError, SQLAlchemyError, OSError))
        for event_id, row in rows.items():
            now = self._now()
            if row.state == "off" or self._rests_until.get(event_id, 0) > now:
                continue
            rank = self._tickers.rank(event_id)
            if rank in (TICKER, DEPUTY) or now < self._known_since.get(event_id, now) + NEW_SECONDS:
                with turns.of(f"event {event_id}"):
                    await self._tick(event_id, row, 0 if rank == TICKER else self._unticked_ms(event_id))
        turns.end()

    def _meet(self, rows: Mapping[int, RoomRow]) -> None:
        """Note since when each room is known, and forget those that are gone."""
        now = self._now()
        for event_id in rows.keys() - self._known_since.keys():
            self._known_since[event_id] = now
        for event_id in self._known_since.keys() - rows.keys():
            del self._known_since[event_id]
            self._rests_until.pop(event_id, None)
            self._is_empty.discard(event_id)

    def _unticked_ms(self, event_id: int) -> int:
        return round(1000 * (EMPTY_UNTICKED_SECONDS if event_id in self._is_empty else UNTICKED_SECONDS))

    async def _tick(self, event_id: int, row: RoomRow, unless_within_ms: int) -> None:
        for _ in range(TICKS_AT_ONCE_MAX):
            try:
                tick = await self._line.admit(event_id, unless_within_ms=unless_within_ms)
            except RoomUnknown:
                logger.warning("event %d: Redis knows no such room, configuring it anew", event_id)
                await self._rooms.configure(row)
                return
            if tick.is_empty:
                self._is_empty.add(event_id)
            else:
                self._is_empty.discard(event_id)
            if tick.due_in_ms:
                self._rests_until[event_id] = self._now() + tick.due_in_ms / 1000
                return
            if tick.draw_due:
                self._draws.begin(event_id)
            if tick.is_empty:
                self._rests_until[event_id] = self._now() + EMPTY_TICK_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - spreads gateways
            if not tick.more:
                return
            unless_within_ms = 0
