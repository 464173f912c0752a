"""The rooms this gateway keeps the door of: their configuration from Postgres, the ticks, and what fans are told.

Leaderless: every gateway ticks every open room; the script lets no more through than the rate allows.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
import time
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.rooms import RoomRow, UnknownRoomError, room, rooms
from gateway.contract import ID_MAX, Place
from waiting_room.errors import RoomUnknown
from waiting_room.eta import eta_in
from waiting_room.line import Line
from waiting_room.model import RoomConfig, RoomCounts, Standing
from waiting_room.tokens import AdmissionPass, PlaceToken, Tokens

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.25
TICKS_AT_ONCE_MAX: Final = 20
CONFIG_SECONDS: Final = 5.0
COUNTS_SECONDS: Final = 1.0
ROOMLESS_MAX: Final = 10_000
ROOMLESS_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Counted:
    counts: RoomCounts
    at: float


def room_state(counts: RoomCounts) -> str:
    """The room's state as fans are told it: with every seat sold and none held, ``sold_out``."""
    state = counts.config.state
    stock = counts.stock
    if state in ("open", "paused") and stock is not None and stock.free <= 0 and stock.held <= 0:
        return "sold_out"
    return state


class Rooms:
    """Configuration, ticks and counts of all rooms.

    Args:
        absence_seconds, connected_seconds: the same for every room (settings).
    """

    def __init__(
        self,
        engine: AsyncEngine,
        line: Line,
        tokens: Tokens,
        *,
        absence_seconds: int,
        connected_seconds: int,
    ) -> None:
        self._engine = engine
        self.line = line
        self.tokens = tokens
        self._absence_seconds = absence_seconds
        self.connected_seconds = connected_seconds
        self.rows: dict[int, RoomRow] = {}
        self._roomless: dict[int, float] = {}
        self._counted: dict[int, _Counted] = {}
        self._counting: dict[int, asyncio.Task[RoomCounts]] = {}

    # -- configuration

    async def refresh(self) -> None:
        """Read every room from Postgres and hand what is new to Redis.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError
        """
        async with self._engine.connect() as connection:
            found = await rooms(connection)
        for row in found:
            known = self.rows.get(row.event_id)
            self.rows[row.event_id] = row
            if known is None or known.revision != row.revision:
                await self.configure(row)
        for event_id in self.rows.keys() - {row.event_id for row in found}:
            del self.rows[event_id]

    async def configure(self, row: RoomRow) -> None:
        """Let Redis, and by it every gateway, know a room's configuration."""
        self.rows[row.event_id] = row
        await self.line.configure(row.event_id, self._config(row))
        self._counted.pop(row.event_id, None)

    def _config(self, row: RoomRow) -> RoomConfig:
        return RoomConfig(
            state=row.state,  # type: ignore[arg-type]
            rate_per_minute=row.rate_per_minute,
            capacity=row.capacity,
            line_cap=row.line_cap,
            claim_window_seconds=row.claim_window_seconds,
            pass_seconds=row.pass_seconds,
            absence_seconds=self._absence_seconds,
            connected_seconds=self.connected_seconds,
            revision=row.revision,
        )

    async def row(self, event_id: int, *, revision_min: int = 0) -> RoomRow | None:
        """A room's configuration, read anew where this process knows it not or only before ``revision_min``.

        None for an event without a room. An event younger than the last refresh has one all the same: taking
        it for roomless would let fans past its door.
        """
        known = self.rows.get(event_id)
        if known is not None and known.revision >= revision_min:
            return known
        if not 1 <= event_id <= ID_MAX or self._roomless.get(event_id, 0) > time.monotonic():
            return None
        async with self._engine.connect() as connection:
            try:
                found = await room(connection, event_id)
            except UnknownRoomError:
                if len(self._roomless) >= ROOMLESS_MAX:
                    self._roomless.clear()
                self._roomless[event_id] = time.monotonic() + ROOMLESS_SECONDS
                return None
        await self.configure(found)
        return found

    async def keep_refreshed(self) -> None:
        """Refresh for as long as the process runs."""
        while True:
            await asyncio.sleep(CONFIG_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - spreads gateways
            try:
                await self.refresh()
            except (SQLAlchemyError, RedisError, OSError) as error:
                logger.warning("rooms not refreshed: %s", error)

    # -- the door

    async def keep_admitting(self) -> None:
        """Tick every room for as long as the process runs."""
        while True:
            await asyncio.sleep(TICK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - spreads gateways
            for event_id, row in list(self.rows.items()):
                if row.state == "off":
                    continue
                try:
                    await self._tick(event_id, row)
                except (RedisError, OSError) as error:
                    logger.warning("event %d: no tick: %s", event_id, error)
                    break

    async def _tick(self, event_id: int, row: RoomRow) -> None:
        for _ in range(TICKS_AT_ONCE_MAX):
            try:
                tick = await self.line.admit(event_id)
            except RoomUnknown:
                logger.warning("event %d: Redis knows no such room, configuring it anew", event_id)
                await self.configure(row)
                return
            if not tick.more:
                return

    # -- counts

    async def counts(self, event_id: int) -> RoomCounts | None:
        """The room in numbers, a second old at most; None for an event without a room."""
        known = self._counted.get(event_id)
        if known is not None and time.monotonic() - known.at < COUNTS_SECONDS:
            return known.counts
        row = await self.row(event_id)
        if row is None:
            return None
        task = self._counting.get(event_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._count(event_id))
            self._counting[event_id] = task
            task.add_done_callback(lambda _: self._counting.pop(event_id, None))
        try:
            return await asyncio.shield(task)
        except RoomUnknown:
            await self.configure(row)
            return await self._count(event_id)

    async def _count(self, event_id: int) -> RoomCounts:
        counts = await self.line.counts(event_id)
        self._counted[event_id] = _Counted(counts, time.monotonic())
        return counts

    def forget_counts(self, event_id: int) -> None:
        """The next `counts` reads anew: something was just changed."""
        self._counted.pop(event_id, None)

    # -- what a fan is told

    def place(self, event_id: int, standing: Standing, counts: RoomCounts, fan: int, session: str) -> Place:
        """A standing as the API tells it, with its tokens signed."""
        state = room_state(counts)
        told = state if state in ("closed", "sold_out") and standing.state in ("waiting", "none") else standing.state
        waits = told == "waiting"
        ahead = max(standing.shown - 1, 0) if waits else None
        estimate = eta_in(counts, ahead) if ahead is not None else None
        token = None
        if standing.number and standing.joined_at_ms is not None:
            token = self.tokens.sign_place(
                PlaceToken(
                    event=event_id,
                    fan=fan,
                    epoch=standing.epoch,
                    number=standing.number,
                    joined_at_ms=standing.joined_at_ms,
                    session=session,
                )
            )
        admission = None
        if standing.pass_until_ms is not None:
            admission = self.sign_pass(event_id, fan, standing.pass_until_ms)
        return Place(
            state=told,
            room_state=state,
            token=token,
            ticket_number=standing.number or None,
            position=None if ahead is None else ahead + 1,
            ahead=ahead,
            waiting=standing.waiting,
            eta_seconds=None if estimate is None else estimate.eta_seconds,
            eta_range=None if estimate is None else estimate.eta_range,
            claim_by_seconds=standing.claim_by_seconds,
            admission_pass=admission,
            expires_at=None if standing.pass_until_ms is None else from_ms(standing.pass_until_ms),
            href=f"/api/queue/{event_id}",
            stream_href=f"/api/queue/{event_id}/stream",
        )

    def sign_pass(self, event_id: int, fan: int, until_ms: int) -> str:
        return self.tokens.sign_pass(AdmissionPass(event=event_id, fan=fan, until_ms=until_ms))


def from_ms(moment_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment_ms / 1000, dt.UTC)
