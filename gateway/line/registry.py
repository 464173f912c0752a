"""The registry of rooms: it reads the configuration of each room from Postgres and hands it to Redis.

Every gateway has a registry. A change made at another gateway arrives as a message, or else with the next refresh.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.booking.live_holds import holders
from db.draws.draws import draw_row
from db.events.sale import EventState
from db.patience import Turns, repeat
from db.rooms.dials import dials_of
from db.rooms.rooms import RoomRow, UnknownRoomError, room, rooms
from db.rooms.states import RoomState
from db.shards import is_cluster
from gateway.contract.values import ID_MAX
from gateway.health.presence import ROOM_REVISION_FIRST
from gateway.line.moments import to_ms
from gateway.wire.problems import ProblemError
from waiting_room.line import Line
from waiting_room.model import News, RoomConfig, Slot
from waiting_room.settings import LineSettings
from waiting_room.tokens import HOLD_MARGIN_SECONDS

logger = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 5.0
ROOMLESS_EVENTS_MAX: Final = 10_000
ROOMLESS_SECONDS: Final = 2.0
NO_ROOM: Final = "This event has no waiting room."


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a draw was committed to before it.

    ``seed_hash`` is the SHA-256 of the seed in hexadecimal, which is public. ``fan_key`` is the key of the fans'
    hashes, which stays secret.
    """

    seed_hash: str
    fan_key: bytes


class RoomRegistry:
    """The configuration of all rooms in this process' memory.

    ``rows`` and ``commitments`` are by event id. To change a room, change its row in Postgres and `configure` it.
    """

    def __init__(self, engine: AsyncEngine, line: Line, settings: LineSettings) -> None:
        self._engine = engine
        self._line = line
        self.settings = settings
        self.rows: dict[int, RoomRow] = {}
        self.commitments: dict[int, Commitment] = {}
        self._opened: set[int] = set()
        self._roomless_until: dict[int, float] = {}
        self._on_stale: list[Callable[[int, bool], None]] = []
        self._readings: set[asyncio.Task[None]] = set()

    @property
    def room_errors(self) -> type[RedisError]:
        """Errors that are of one room alone."""
        return self._line.room_errors

    # -- what other services remember of a room

    def on_stale(self, forget: Callable[[int, bool], None]) -> None:
        """Have ``forget`` called whenever something in a room changed, or the room is gone: with the event's id, and
        whether fans were told something and nothing else changed.
        """
        self._on_stale.append(forget)

    def mark_stale(self, event_id: int, *, by_fans: bool = False) -> None:
        """Have this process forget what it remembers of the room, because something in it has just changed."""
        for forget in self._on_stale:
            forget(event_id, by_fans)

    def on_news(self, news: News) -> None:
        """Take a message about a change in a room; if its configuration changed, read it from Postgres."""
        self.mark_stale(news.event, by_fans=news.config is None)
        if news.config is not None and news.event in self.rows:
            task = asyncio.get_running_loop().create_task(self._read_changed(news.event, news.config))
            self._readings.add(task)
            task.add_done_callback(self._readings.discard)

    async def _read_changed(self, event_id: int, revision: int) -> None:
        try:
            await self.row(event_id, revision_min=revision)
        except (SQLAlchemyError, RedisError, OSError) as error:
            logger.warning("event %d: its changed room was not read: %s", event_id, error)

    # -- configuration

    async def refresh(self) -> None:
        """Read every room from Postgres, and hand the new and changed ones to Redis.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis did not answer, at least for
                one room; the others are read. In a cluster: for all rooms.
        """
        async with self._engine.connect() as connection:
            rows = await rooms(connection, self.settings.rooms_max)
        turns = Turns("configuring a room", (SQLAlchemyError, RedisError, OSError))
        for row in rows:
            current = self.rows.get(row.event_id)
            if current is not None and current.revision == row.revision and row.event_id in self._opened:
                self.rows[row.event_id] = row
            else:
                with turns.of(f"event {row.event_id}"):
                    await self.configure(row)
        for event_id in self.rows.keys() - {row.event_id for row in rows}:
            del self.rows[event_id]
            self._opened.discard(event_id)
            self.mark_stale(event_id)
        if turns.failed and is_cluster(self._line.client) and len(turns.failed) < len(rows):
            # One server of a cluster is away. Its rooms have their turn again with the next refresh.
            turns.end()
        elif turns.failed:
            raise turns.failed[0]

    async def configure(self, row: RoomRow) -> None:
        """Hand a room's configuration to Redis, and so to every gateway. A row that is older than this process' row
        changes nothing.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        current = self.rows.get(row.event_id)
        if current is not None and current.revision > row.revision:
            return
        self.rows[row.event_id] = row
        if row.has_draw and row.event_id not in self.commitments:
            async with self._engine.connect() as connection:
                drawn = await draw_row(connection, row.event_id)
            if drawn is not None:
                self.commitments[row.event_id] = Commitment(drawn.seed_hash.hex(), drawn.fan_key)
        # The worker records the epoch within seconds. Until then only this process may know that the room was open.
        epoch = max(row.epoch, 1 if row.event_id in self._opened else 0)
        configured = await self._line.configure(
            row.event_id, self._config(row), after_epoch=epoch, rebuild_seconds=self.settings.rebuild_seconds
        )
        self._opened.add(row.event_id)
        self.mark_stale(row.event_id)
        if configured == "created" and epoch > 0 and row.state != "off":
            logger.warning("event %d: Redis had lost the room, it is being rebuilt", row.event_id)
            await self._retake_held(row.event_id)

    async def _retake_held(self, event_id: int) -> None:
        """Give the fans with live holds their slots back. If this fails, the worker's housekeeping does it."""
        try:
            async with self._engine.connect() as connection:
                holds = await holders(connection, event_id)
            await self._line.retake(
                event_id,
                [
                    Slot(hold.user_id, to_ms(hold.ends_at) + HOLD_MARGIN_SECONDS * 1000, to_ms(hold.began_at))
                    for hold in holds
                ],
            )
        except (SQLAlchemyError, RedisError, OSError) as error:
            logger.warning("event %d: the slots of live holds were not given back: %s", event_id, error)

    def _config(self, row: RoomRow) -> RoomConfig:
        withdrawn = row.event_state is not EventState.PUBLISHED and row.state is not RoomState.OFF
        # A shop's fan chooses nothing here, and is heard of only while the pass is used: its own end is the idle one.
        chooses = row.shop is None
        return RoomConfig(
            **dials_of(row),
            state=RoomState.CLOSED if withdrawn else row.state,
            absence_seconds=self.settings.absence_seconds,
            connected_seconds=self.settings.connected_seconds,
            stock_factor=self.settings.stock_factor,
            stock_spare=self.settings.stock_spare,
            work_seconds=self.settings.work_seconds,
            choose_seconds=self.settings.choose_seconds if chooses else 0,
            idle_seconds=self.settings.idle_seconds if chooses else 0,
            lobby_at_ms=to_ms(row.on_sale_at - dt.timedelta(minutes=row.lobby_minutes)) if row.has_draw else 0,
            draw_at_ms=to_ms(row.on_sale_at) if row.has_draw else 0,
            on_sale_at_ms=to_ms(row.on_sale_at),
            off_sale_at_ms=to_ms(row.off_sale_at),
            is_cancelled=row.event_state is EventState.CANCELLED,
            receipt_entries_max=self.settings.receipt_entries_max,
            receipt_fans_max=self.settings.receipt_fans_max,
            news_ms=self.settings.news_ms,
            revision=row.revision,
        )

    async def row(self, event_id: int, *, revision_min: int = 0) -> RoomRow | None:
        """A room's configuration; None for an event without a room.

        It is read from Postgres if this process does not have it, or has only a revision before ``revision_min``. An
        event may be newer than the last refresh; if it were taken to have no room, fans could pass its door.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        current = self.rows.get(event_id)
        if current is not None and current.revision >= revision_min:
            return current
        if not 1 <= event_id <= ID_MAX or self._roomless_until.get(event_id, 0) > time.monotonic():
            return None
        async with self._engine.connect() as connection:
            try:
                row = await room(connection, event_id)
            except UnknownRoomError:
                if len(self._roomless_until) >= ROOMLESS_EVENTS_MAX:
                    self._roomless_until.clear()
                self._roomless_until[event_id] = time.monotonic() + ROOMLESS_SECONDS
                return None
        await self.configure(row)
        return row

    async def required_row(self, event_id: int) -> RoomRow:
        """A room's configuration.

        Raises:
            ProblemError: ``unknown_event`` for an event without a room.
        """
        row = await self.row(event_id)
        if row is None:
            raise ProblemError("unknown_event", NO_ROOM)
        return row

    async def renew(self, event_id: int) -> None:
        """Read and configure a room that was just made or changed.

        Raises:
            UnknownRoomError: the event has no room.
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        self._roomless_until.pop(event_id, None)
        async with self._engine.connect() as connection:
            row = await room(connection, event_id)
        await self.configure(row)

    def revisions(self) -> dict[int, int]:
        """The revision that this process uses of each room that was ever changed, by event id."""
        return {event_id: row.revision for event_id, row in self.rows.items() if row.revision > ROOM_REVISION_FIRST}

    async def keep_refreshed(self) -> None:
        """Refresh for as long as the process runs."""
        away = (SQLAlchemyError, RedisError, OSError)
        await repeat(self.refresh, every_seconds=REFRESH_SECONDS, on=away, what="rooms not refreshed", spread=0.2)
