"""Housekeeping: it keeps Redis in step with Postgres, and Postgres from growing. It decides no booking."""

from __future__ import annotations

import logging

from booking_lane.lane import queue_name
from db.booking import housekeeping_sql as sql
from db.outbox.deliveries import FORGET as FORGET_NEWS
from waiting_room.errors import RoomUnknown
from waiting_room.line import Slots
from waiting_room.model import Admitted, Slot
from waiting_room.tokens import HOLD_MARGIN_SECONDS
from workers.engine.engine import Engine
from workers.setbacks import Setbacks
from workers.settings import WorkerSettings

logger = logging.getLogger(__name__)

FORGOTTEN_ROWS_MAX = 5_000
FORGET_ROUNDS_MAX = 20
DEPARTURE_CHUNKS_MAX = 100
HOLDS_MAX = 10_000
PLACE_KEEP_HOURS = 7 * 24
"""Departed places are kept for as long as their tokens are valid."""


class Housekeeping:
    """The housekeeping worker's jobs. They use the engine's connection and never apply a batch."""

    def __init__(self, engine: Engine, slots: Slots, setbacks: Setbacks, settings: WorkerSettings) -> None:
        self._engine = engine
        self._slots = slots
        self._setbacks = setbacks
        self._settings = settings

    def retry_failed(self) -> None:
        """Put failed batches back to work once Postgres answers. Commands that are past their deadline by then are
        recorded and published as ``timed_out``.

        Raises:
            psycopg.OperationalError: Postgres does not answer.
        """
        self._engine.connection().execute("SELECT 1")
        for lane in range(self._settings.lane.count):
            self._setbacks.retry_failed(queue_name(lane))

    def reconcile(self) -> None:
        """Free the slots of fans that have bought, extend passes to the ends of their holds, and set the rooms' stock.

        A lane's worker does all this as it books; this job finds what a crash left undone.
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

    def remember(self) -> None:
        """Record what must outlive a loss of Redis: each room's epoch, and the places that ended. Where Redis has lost
        a room, fans with live holds get their slots back.
        """
        for event_id, epoch in self._engine.connection().execute(sql.ROOMS_OPEN).fetchall():
            try:
                counts = self._slots.counts(event_id)
            except RoomUnknown:
                continue
            if counts.epoch > epoch:
                self._engine.connection().execute(sql.RECORD_EPOCH, {"event_id": event_id, "epoch": counts.epoch})
            self._record_departures(event_id)
            if counts.now_ms - counts.rebuilt_at_ms < self._settings.hold.seconds * 1000:
                self._retake(event_id)

    def _record_departures(self, event_id: int) -> None:
        for _ in range(DEPARTURE_CHUNKS_MAX):
            gone = self._slots.departing(event_id)
            if not gone:
                return
            self._engine.connection().execute(
                sql.RECORD_DEPARTURES,
                {
                    "event_id": event_id,
                    "user_ids": [one.fan for one in gone],
                    "states": [one.state for one in gone],
                    "epochs": [one.epoch for one in gone],
                    "numbers": [one.number for one in gone],
                    "at_ms": [one.at_ms for one in gone],
                },
            )
            self._slots.recorded(event_id, gone)

    def _retake(self, event_id: int) -> None:
        margin_ms = HOLD_MARGIN_SECONDS * 1000
        rows = self._engine.connection().execute(sql.FANS_WITH_HOLDS, {"event_id": event_id, "rows_max": HOLDS_MAX})
        holders = [sql.HolderRow._make(row) for row in rows]
        slots = [Slot(one.user_id, one.ends_ms + margin_ms, one.began_ms) for one in holders]
        retaken = self._slots.retake(event_id, slots)
        if retaken:
            logger.warning("event %d: Redis had lost %d slots of fans with live holds", event_id, retaken)

    def _settle(self, event_id: int, fans: list[Admitted]) -> None:
        if not fans:
            return
        margin_ms = HOLD_MARGIN_SECONDS * 1000
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
        for fan in map(sql.BookingsRow._make, rows):
            if fan.hold_end_ms is not None:
                ends[fan.user_id] = fan.hold_end_ms + margin_ms
            elif fan.has_bought:
                done.append(fan.user_id)
        if done:
            freed = self._slots.finish(event_id, done)
            if freed:
                logger.warning("event %d: %d slots of fans who had bought freed late", event_id, freed)
        if ends:
            self._slots.extend(event_id, ends)

    def forget(self) -> None:
        """Delete outcomes, departures and delivered news that are older than promised, a bounded number in each run."""
        for old, keep_hours in (
            (sql.FORGET_OUTCOMES, self._settings.lane.command_keep_hours),
            (sql.FORGET_DEPARTURES, PLACE_KEEP_HOURS),
            (FORGET_NEWS, self._settings.webhook.keep_hours),
        ):
            for _ in range(FORGET_ROUNDS_MAX):
                deleted = self._engine.connection().execute(
                    old, {"keep_hours": keep_hours, "rows_max": FORGOTTEN_ROWS_MAX}
                )
                if deleted.rowcount < FORGOTTEN_ROWS_MAX:
                    break
