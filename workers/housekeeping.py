"""What keeps Redis in step with Postgres, and Postgres from growing: nothing here decides a booking."""

from __future__ import annotations

import logging

from db import housekeeping_sql as sql
from waiting_room.errors import RoomUnknown
from waiting_room.line import Slots
from waiting_room.model import Admitted
from workers.config import WorkerConfig
from workers.engine.engine import Engine

logger = logging.getLogger(__name__)

FORGOTTEN_ROWS_MAX = 5_000
FORGET_ROUNDS_MAX = 20


class Housekeeping:
    """The housekeeping worker's work: it uses the engine's connection, never its batches."""

    def __init__(self, engine: Engine, slots: Slots, config: WorkerConfig) -> None:
        self._engine = engine
        self._slots = slots
        self._config = config

    def reconcile(self) -> None:
        """Free the slots of fans who have bought, let passes last as long as their holds, set the stock.

        The worker does all this as it books; this finds what a crash in between left undone.
        """
        rows = self._engine.connection().execute(sql.ROOMS_WITH_STOCK).fetchall()
        for event_id, version, free, held in rows:
            self._slots.set_stock(event_id, free=free, held=held, version=version)
            cursor = 0
            while True:
                try:
                    page = self._slots.admitted_page(event_id, cursor)
                except RoomUnknown:
                    break
                self._settle(event_id, page.fans)
                cursor = page.cursor
                if cursor == 0:
                    break

    def _settle(self, event_id: int, fans: list[Admitted]) -> None:
        if not fans:
            return
        margin_ms = self._config.hold_pass_margin_seconds * 1000
        rows = self._engine.connection().execute(
            sql.BOOKINGS_OF_ADMITTED,
            {
                "event_id": event_id,
                "user_ids": [fan.fan for fan in fans],
                "admitted_at_ms": [fan.admitted_at_ms for fan in fans],
            },
        )
        done: list[int] = []
        ends: dict[int, int] = {}
        for user_id, hold_end_ms, has_bought in rows:
            if hold_end_ms is not None:
                ends[user_id] = int(hold_end_ms) + margin_ms
            elif has_bought:
                done.append(user_id)
        if done:
            freed = self._slots.finish(event_id, done)
            if freed:
                logger.warning("event %d: %d slots of fans who had bought freed late", event_id, freed)
        if ends:
            self._slots.extend(event_id, ends)

    def forget(self) -> None:
        """Delete outcomes older than promised, a bounded number a run."""
        for _ in range(FORGET_ROUNDS_MAX):
            deleted = self._engine.connection().execute(
                sql.FORGET_OUTCOMES,
                {"keep_hours": self._config.command_keep_hours, "rows_max": FORGOTTEN_ROWS_MAX},
            )
            if deleted.rowcount < FORGOTTEN_ROWS_MAX:
                break
