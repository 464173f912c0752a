"""The counts of rooms, read from Redis once for all requests, with the forecast that every gateway shows."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.booking.live_holds import last_hold_ends_at
from gateway.line.moments import to_ms
from gateway.line.registry import RoomRegistry
from waiting_room.errors import RoomUnknown
from waiting_room.eta import forecast
from waiting_room.line import Line
from waiting_room.model import RoomCounts, Stock

logger = logging.getLogger(__name__)

COUNTS_SECONDS: Final = 1.0
NO_HOLDS_END: Final = (-1, 0)


AskedCounts = RoomCounts | asyncio.Task[RoomCounts] | None
"""Counts that are remembered, or the reading of them; None where the room is not known yet."""


@dataclass(slots=True)
class _Remembered:
    """Counts that were read at ``read_at`` (monotonic clock). ``holds_end`` is the stock's version, and the end of the
    last hold at that version in ms. ``renewed_at``: when news of fans last had them read before their time.
    """

    counts: RoomCounts
    read_at: float
    holds_end: tuple[int, int]
    renewed_at: float = -math.inf


class Counts:
    """The counts of all rooms, each remembered for `COUNTS_SECONDS` or until news of its room arrives. Of a room whose
    fans are told something all the time, news ends that once in `COUNTS_SECONDS`: a hundred gateways that read the
    counts at each tick of such a room would take a fifth of a core of Redis.

    Args:
        grace_seconds: how long past its end a hold keeps its seats.
        now: a clock in seconds that only goes on.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        line: Line,
        rooms: RoomRegistry,
        grace_seconds: int,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._grace_seconds = grace_seconds
        self._engine = engine
        self._line = line
        self._rooms = rooms
        self._remembered: dict[int, _Remembered] = {}
        self._readings: dict[int, asyncio.Task[RoomCounts]] = {}
        rooms.on_stale(self._forget)

    def begin(self, event_id: int) -> AskedCounts:
        """Begin to read the counts of the event's room, unless they are remembered; `of` takes what comes of it.
        Meanwhile other questions may leave for Redis together with it.
        """
        remembered = self._remembered.get(event_id)
        if remembered is not None and self._now() - remembered.read_at < COUNTS_SECONDS:
            return remembered.counts
        return self._reading(event_id) if event_id in self._rooms.rows else None

    def _reading(self, event_id: int) -> asyncio.Task[RoomCounts]:
        task = self._readings.get(event_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._read(event_id))
            self._readings[event_id] = task
            task.add_done_callback(partial(self._on_read, event_id))
        return task

    def _on_read(self, event_id: int, task: asyncio.Task[RoomCounts]) -> None:
        self._readings.pop(event_id, None)
        if not task.cancelled():
            # Who began it may have been refused meanwhile, and takes nothing.
            task.exception()

    async def of(self, event_id: int, begun: AskedCounts = None) -> RoomCounts | None:
        """The counts of the event's room, at most `COUNTS_SECONDS` old; None for an event without a room.

        Args:
            begun: what `begin` gave for this request, if it was called.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        if begun is None:
            begun = self.begin(event_id)
        if isinstance(begun, RoomCounts):
            return begun
        row = await self._rooms.row(event_id)
        if row is None:
            return None
        task = begun or self._reading(event_id)
        try:
            return task.result() if task.done() else await asyncio.shield(task)
        except RoomUnknown:
            await self._rooms.configure(row)
            return await self._read(event_id)

    async def _read(self, event_id: int) -> RoomCounts:
        counts = await self._with_forecast(event_id, await self._line.counts(event_id))
        holds_end = await self._holds_end(event_id, counts.stock)
        counts = dataclasses.replace(counts, holds_end_at_ms=holds_end[1])
        before = self._remembered.get(event_id)
        renewed_at = -math.inf if before is None else before.renewed_at
        self._remembered[event_id] = _Remembered(counts, self._now(), holds_end, renewed_at)
        return counts

    async def _with_forecast(self, event_id: int, counts: RoomCounts) -> RoomCounts:
        """The counts with the forecast in force. If it is time for a new forecast, that one is published first."""
        next_forecast = forecast(counts)
        if next_forecast is None or next_forecast == counts.forecast:
            return counts
        try:
            if await self._line.publish_forecast(event_id, counts, next_forecast):
                return dataclasses.replace(counts, forecast=next_forecast)
            return await self._line.counts(event_id)
        except RedisError as error:
            logger.warning("event %d: forecast not published: %s", event_id, error)
            return counts

    async def _holds_end(self, event_id: int, stock: Stock | None) -> tuple[int, int]:
        """The stock's version, and the end of the last hold in ms if all remaining seats are held; else 0."""
        if stock is None or stock.free > 0 or stock.held <= 0:
            return NO_HOLDS_END
        remembered = self._remembered.get(event_id)
        if remembered is not None and remembered.holds_end[0] == stock.version:
            return remembered.holds_end
        try:
            async with self._engine.connect() as connection:
                ends_at = await last_hold_ends_at(connection, event_id, self._grace_seconds)
        except (SQLAlchemyError, OSError) as error:
            logger.warning("event %d: the end of its holds was not read: %s", event_id, error)
            return NO_HOLDS_END
        return stock.version, 0 if ends_at is None else to_ms(ends_at)

    def _forget(self, event_id: int, by_fans: bool = False) -> None:
        remembered = self._remembered.get(event_id)
        if remembered is None:
            return
        if event_id not in self._rooms.rows:
            del self._remembered[event_id]
            return
        if by_fans:
            now = self._now()
            if now - remembered.renewed_at < COUNTS_SECONDS:
                return
            remembered.renewed_at = now
        remembered.read_at = -math.inf
