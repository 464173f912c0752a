"""Sets the scheduled steps of rooms when they are due.

There is no leader. Every gateway looks, and the lock of the room's row lets one of them set a step (`db.rooms.steps`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import uuid
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connections.small_reads import SmallReads
from db.rooms.rooms import UnknownRoomError
from db.rooms.steering import Ask
from db.rooms.steps import DUE_ROOMS, StepRow, schedule, set_due, steps, take_back
from gateway.line.registry import RoomRegistry

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
"""A step is set within a second of its moment, so each gateway looks twice as often."""


class Steps:
    """Schedules steps, takes them back, and sets those that are due."""

    def __init__(self, engine: AsyncEngine, rooms: RoomRegistry) -> None:
        self._engine = engine
        self._rooms = rooms

    async def keep_setting(self, reads: SmallReads) -> None:
        """Set what is due for as long as the process runs."""
        while True:
            for (event_id,) in await reads.rows(DUE_ROOMS):
                try:
                    await self._set(event_id)
                except (SQLAlchemyError, RedisError, UnknownRoomError, OSError) as error:
                    logger.warning("event %d: its scheduled steps were not set: %s", event_id, error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _set(self, event_id: int) -> None:
        async with self._engine.begin() as connection:
            changed = await set_due(connection, event_id)
        if changed is not None:
            await self._rooms.configure(changed)

    async def of(self, event_id: int) -> list[StepRow]:
        """The room's steps to come, the first to come first."""
        async with self._engine.connect() as connection:
            return await steps(connection, event_id)

    async def schedule(
        self, event_id: int, at: dt.datetime, ask: Ask, operator: str, why: str, *, revision: int | None
    ) -> StepRow:
        """Schedule a step.

        Raises:
            UnknownRoomError, RoomChangedError, SteeringRefusedError, StepRefusedError, TooManyStepsError:
                see `db.rooms.steps.schedule`.
        """
        async with self._engine.begin() as connection:
            step, changed = await schedule(connection, event_id, at, ask, operator, why, revision=revision)
        await self._rooms.configure(changed)
        return step

    async def take_back(self, event_id: int, step_id: uuid.UUID, operator: str) -> None:
        """Take a step back.

        Raises:
            UnknownRoomError: the event has no room.
            UnknownStepError: the room has no such step.
        """
        async with self._engine.begin() as connection:
            changed = await take_back(connection, event_id, step_id, operator)
        await self._rooms.configure(changed)
