"""Housekeeping: it keeps Redis in step with Postgres, and Postgres from growing. It decides no booking."""

from __future__ import annotations

import logging
import time
import uuid

import redis

from booking_lane.lane import queue_name
from booking_lane.lane_map import follow
from db.alarms.notices import FORGET_NOTICES
from db.alarms.rules import FORGET_EXCEPTIONS
from db.alarms.standing import FORGET_ALARMS
from db.booking import housekeeping_sql as sql
from db.ids import first_id_of
from db.invoices.keeping import FORGET_PAYERS
from db.lanes.maps import LANES_MAX, last_maps
from db.messages.queue import FORGET as FORGET_MESSAGES
from db.messages.queue import FORGET_CONTACTS, FORGET_UNCONFIRMED
from db.orders.answers import FORGET_PAST, FORGET_UNBOUGHT
from db.outbox.deliveries import FORGET as FORGET_NEWS
from db.patience import Turns
from db.push.subscriptions import FORGET_SUBSCRIPTIONS
from db.sealing.rows import seal_plain
from db.search.writing import EVENTS_AT_ONCE_MAX, index_behind
from waiting_room.errors import RoomUnknown
from waiting_room.line import Slots
from waiting_room.model import Admitted, Slot
from waiting_room.tokens import HOLD_MARGIN_SECONDS
from workers.alarms.watch import Watch
from workers.engine.engine import Engine
from workers.lane_keeping import TakingOver, ask_again
from workers.merging import look_after
from workers.recovery import Recovery
from workers.setbacks import Setbacks
from workers.settings import WorkerSettings

logger = logging.getLogger(__name__)

FORGOTTEN_ROWS_MAX = 5_000
FORGET_ROUNDS_MAX = 20
DEPARTURE_CHUNKS_MAX = 100
HOLDS_MAX = 10_000
HOURS_OF_DAY = 24
DAYS_OF_YEAR_MAX = 366
SEALED_ROWS_MAX = 1_000
SEAL_STEPS_MAX = 40
INDEX_ROUNDS_MAX = 20


class Housekeeping:
    """The housekeeping worker's jobs. They use the engine's connection and never apply a batch."""

    def __init__(
        self,
        engine: Engine,
        jobs: redis.Redis,
        slots: Slots,
        setbacks: Setbacks,
        alarms: Watch,
        settings: WorkerSettings,
    ) -> None:
        self._engine = engine
        self._jobs = jobs
        self._taking_over = TakingOver(jobs, Recovery(jobs, setbacks), settings.lane.count)
        self._slots = slots
        self._setbacks = setbacks
        self._alarms = alarms
        self._settings = settings
        self._networks_forgotten = uuid.UUID(int=0)

    def retry_failed(self) -> None:
        """Put failed batches back to work once Postgres answers. Commands that are past their deadline by then are
        recorded and published as ``timed_out``.

        Raises:
            psycopg.OperationalError: Postgres does not answer.
        """
        self._engine.connection().execute("SELECT 1")
        for name in self._setbacks.with_failed([queue_name(lane) for lane in range(LANES_MAX)]):
            self._setbacks.retry_failed(name)

    def keep_lanes(self) -> None:
        """Have the lanes follow the map that operators set, hand over, and leave no batch behind.

        Raises:
            psycopg.Error, redis.RedisError: Postgres or the Redis of the jobs does not answer.
        """
        maps = last_maps(self._engine.connection(), 2)
        lane_map = follow(self._jobs, maps, self._settings.lane.count)
        ask_again(self._jobs, lane_map)
        self._taking_over.take_over()

    def watch(self) -> None:
        """Look at the figures that have an alarm, and write what operators are told.

        Raises:
            psycopg.Error, redis.RedisError: Postgres or the Redis of the jobs does not answer.
        """
        self._alarms.look(self._engine.connection())

    def reconcile(self) -> None:
        """Free the slots of fans that have bought, extend passes to the ends of their holds, and set the rooms' stock.

        A lane's worker does all this as it books; this job finds what a crash left undone.

        Raises:
            redis.RedisError: Redis refused what was asked of a room, or a server of a cluster is away; all others were
                seen to.
        """
        rows = self._engine.connection().execute(sql.ROOMS_WITH_STOCK).fetchall()
        turns = Turns("the reconciliation", self._slots.room_errors, others=False)
        for event_id, version, free, held in rows:
            with turns.of(f"event {event_id}"):
                if not self._slots.set_stock(event_id, free=free, held=held, version=version):
                    self._replace_lost_stock(event_id)
                self._settle_all(event_id)
        turns.end()
        if turns.failed:
            raise turns.failed[0]

    def merge(self) -> None:
        """See `workers.merging.look_after`."""
        look_after(self._engine.connection(), self._slots)

    def _settle_all(self, event_id: int) -> None:
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

    def _replace_lost_stock(self, event_id: int) -> None:
        """Replace a stock of a version that Postgres has lost, for example with a failover to a standby. Usually its
        version is only newer than our reading, so Postgres is read again after it.
        """
        recorded = self._slots.stock_version(event_id)
        for row_event_id, version, free, held in self._engine.connection().execute(sql.ROOMS_WITH_STOCK).fetchall():
            if row_event_id == event_id and version < recorded:
                logger.warning("event %d: Postgres has gone back from version %d to %d", event_id, recorded, version)
                self._slots.set_stock(event_id, free=free, held=held, version=version, lost_version=recorded)

    def remember(self) -> None:
        """Record what must outlive a loss of Redis: each room's epoch, and the places that ended. Where Redis has lost
        a room, fans with live holds get their slots back.

        Raises:
            redis.RedisError: Redis refused what was asked of a room, or a server of a cluster is away; all others were
                seen to.
        """
        turns = Turns("the recording of rooms", self._slots.room_errors, others=False)
        for event_id, epoch in self._engine.connection().execute(sql.ROOMS_OPEN).fetchall():
            with turns.of(f"event {event_id}"):
                self._remember(event_id, epoch)
        turns.end()
        if turns.failed:
            raise turns.failed[0]

    def _remember(self, event_id: int, epoch: int) -> None:
        try:
            counts = self._slots.counts(event_id)
        except RoomUnknown:
            return
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
        """Delete outcomes, departures, delivered news, messages, addresses, answers of orders, subscriptions to alerts,
        and alarms that are older than promised, and take the networks from old holds and the payers from old invoices,
        a bounded number in each run.
        """
        keep = self._settings.keep
        for old, keep_hours in (
            (sql.FORGET_OUTCOMES, self._settings.lane.command_keep_hours),
            (sql.FORGET_DEPARTURES, keep.place_hours),
            (FORGET_NEWS, self._settings.webhook.keep_hours),
            (FORGET_SUBSCRIPTIONS, keep.subscription_hours),
            (FORGET_MESSAGES, self._settings.message.keep_hours),
            (FORGET_CONTACTS, self._settings.message.contact_keep_hours),
            (FORGET_UNCONFIRMED, keep.unconfirmed_hours),
            (FORGET_UNBOUGHT, keep.answers_hours),
            (FORGET_PAST, keep.order_days * HOURS_OF_DAY),
            (FORGET_PAYERS, keep.invoice_years * DAYS_OF_YEAR_MAX * HOURS_OF_DAY),
            (FORGET_NOTICES, self._settings.alarm.keep_hours),
            (FORGET_ALARMS, self._settings.alarm.keep_hours),
            (FORGET_EXCEPTIONS, self._settings.alarm.keep_hours),
            (sql.FORGET_CHANGES, keep.log_days * HOURS_OF_DAY),
            (sql.FORGET_WAITING_NETWORKS, keep.network_hours),
        ):
            if keep_hours == 0:
                continue
            for _ in range(FORGET_ROUNDS_MAX):
                deleted = self._engine.connection().execute(
                    old, {"keep_hours": keep_hours, "rows_max": FORGOTTEN_ROWS_MAX}
                )
                if deleted.rowcount < FORGOTTEN_ROWS_MAX:
                    break
        self._forget_networks()

    def _forget_networks(self) -> None:
        until = first_id_of(time.time() - self._settings.keep.network_hours * 3600)
        for _ in range(FORGET_ROUNDS_MAX):
            which = {"after": self._networks_forgotten, "until": until, "rows_max": FORGOTTEN_ROWS_MAX}
            row = self._engine.connection().execute(sql.FORGET_NETWORKS, which).fetchone()
            if row is None:
                return
            # The next run goes on from here; a process that starts anew looks at all once more.
            self._networks_forgotten = row[0]

    def index(self) -> None:
        """Write what the search finds of events that are behind, a bounded number in each run.

        Raises:
            psycopg.Error: Postgres does not answer.
        """
        for _ in range(INDEX_ROUNDS_MAX):
            if index_behind(self._engine.connection()) < EVENTS_AT_ONCE_MAX:
                break

    def seal(self) -> None:
        """Seal what an older release wrote plain, a bounded number in each run.

        Raises:
            psycopg.Error: Postgres does not answer.
        """
        done = seal_plain(self._engine.connection(), SEALED_ROWS_MAX, SEAL_STEPS_MAX, is_citus=self._engine.is_on_citus)
        for table, sealed in done.items():
            if sealed.rows or sealed.lost:
                logger.info("%s: %d rows sealed", table, sealed.rows)
            if sealed.lost:
                logger.warning("%s: no key of ADMITONE_DATA_KEYS opens %d rows", table, sealed.lost)
