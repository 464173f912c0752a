"""Works on a batch: applies it, publishes its results, and settles the rooms' slots."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import redis
from rq import get_current_job

from booking_lane import about, tracing
from booking_lane.commands import UNSTAMPED, Batch, Command, Merge, Sweep, command_id_new
from booking_lane.lane import rq_queue
from booking_lane.lane_map import map_in_force
from booking_lane.results import BatchNews, publish
from booking_lane.settings import HoldSettings, LaneSettings
from db.booking.holds import EVENTS_WITH_DUE_HOLDS
from db.booking.merging import EVENTS_OF_MERGING, MERGE_AFTER_SECONDS, MERGED_AT_ONCE_MAX, MERGING
from db.patience import Turns
from db.waiting.entries import EVENTS_WITH_OFFERS_DUE
from waiting_room.line import Slots
from waiting_room.model import Stock
from waiting_room.tokens import HOLD_MARGIN_SECONDS
from workers.engine.engine import NOTHING, Applied, Engine
from workers.lane_keeping import hand_over

logger = logging.getLogger(__name__)

EVENTS_SWEPT_MAX = 100
CLOCK_SECONDS = 5.0
PASS_MARGIN_MS = HOLD_MARGIN_SECONDS * 1000


class Booking:
    """The work of a lane's worker.

    Args:
        jobs: the jobs' Redis; outcomes are published there.
        slots: the rooms' slots, in the line's Redis.
        now_ms: the jobs' Redis' clock.
        probe: called at ``published`` (see `workers.engine.engine.Engine`).
    """

    def __init__(
        self,
        engine: Engine,
        jobs: redis.Redis,
        slots: Slots,
        lane: LaneSettings,
        hold: HoldSettings,
        *,
        now_ms: Callable[[], int],
        probe: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._jobs = jobs
        self._slots = slots
        self._lane = lane
        self._hold = hold
        self._now_ms = now_ms
        self._probe = probe

    def book(self, batch: Batch) -> None:
        """Apply the batch and publish its outcomes. A second run publishes the recorded outcomes again.

        Raises:
            OutageError: Postgres stayed away. RQ keeps the job among the failed; housekeeping puts it back.
            redis.RedisError: the batch is applied, but Redis did not take the results; a second run publishes them.
        """
        began = time.monotonic()
        about.begin(batch_id=batch.batch_id, lane=batch.lane)
        with tracing.tracer.booking(batch):
            applied = self._engine.apply(batch.commands)
            self._publish(batch, applied, began)
            self._probe("published")
            with tracing.tracer.part("settle"):
                self._settle(applied)

    def give_up(self, batch: Batch) -> None:
        """End commands that nothing else could end (`Engine.give_up`), and publish.

        Raises:
            OutageError: Postgres stayed away.
            redis.RedisError: Redis did not take the results.
        """
        began = time.monotonic()
        about.begin(batch_id=batch.batch_id, lane=batch.lane)
        self._publish(batch, self._engine.give_up(batch.commands), began)

    def _publish(self, batch: Batch, applied: Applied, began: float) -> None:
        with tracing.tracer.part("publish"):
            trace = tracing.tracer.here()
            publish(
                self._jobs,
                BatchNews(
                    batch.batch_id,
                    batch.origin,
                    batch.lane,
                    applied.outcomes,
                    applied.changes,
                    trace,
                    applied.awaiting,
                ),
                self._lane.result_ttl_seconds,
                commands=batch.commands,
                now_ms=self._now_ms(),
                busy_ms=round((time.monotonic() - began) * 1000),
            )

    def sweep(self, lane: int) -> None:
        """Apply one batch of sweeps, for the lane's events with lapsed holds, or free seats that somebody awaits; and
        move what accounts have that were joined to others.
        """
        about.begin(lane=lane)
        which = {
            **map_in_force(self._jobs, self._lane.count).lanes.of_lane(lane),
            "grace_seconds": self._hold.grace_seconds,
            "events_max": EVENTS_SWEPT_MAX,
        }
        connection = self._engine.connection()
        commands: list[Command] = [*self._merges(which)]
        event_ids: dict[int, None] = {}
        for statement in (EVENTS_WITH_DUE_HOLDS, EVENTS_WITH_OFFERS_DUE):
            event_ids |= dict.fromkeys(row[0] for row in connection.execute(statement, which, prepare=True))
        commands += [
            Sweep(command_id=command_id_new(), event_id=event_id, user_id=0, received_at_ms=0, deadline_ms=0)
            for event_id in event_ids
        ]
        if commands:
            self.book(Batch(command_id_new(), "sweep", lane, tuple(commands)))

    def _merges(self, which: dict[str, Any]) -> list[Merge]:
        """The commands that move what accounts have at the lane's events, where they were joined to others. They are
        made anew until nothing is left, so that no crash loses one.
        """
        asked = {"after_seconds": MERGE_AFTER_SECONDS, "accounts_max": MERGED_AT_ONCE_MAX}
        connection = self._engine.connection()
        into = {row[0]: row[1] for row in connection.execute(MERGING, asked, prepare=True)}
        if not into:
            return []
        rows = connection.execute(EVENTS_OF_MERGING, {**which, "user_ids": list(into)})
        return [
            Merge(
                **UNSTAMPED | {"command_id": command_id_new()},
                event_id=event_id,
                user_id=into[user_id],
                from_user_id=user_id,
            )
            for event_id, user_id in rows.fetchall()
        ]

    def hand_over(self, lane: int, revision: int) -> None:
        """See `workers.lane_keeping.hand_over`."""
        job = get_current_job(self._jobs)
        assert job is not None
        hand_over(self._jobs, rq_queue(self._jobs, job.origin), job.id, lane, revision)

    def _settle(self, applied: Applied) -> None:
        """Let the slots follow the bookings. What a crash leaves undone, reconciliation does within seconds."""
        if applied == NOTHING:
            return
        finished: dict[int, list[int]] = defaultdict(list)
        for event_id, user_id in applied.bought:
            finished[event_id].append(user_id)
        extended: dict[int, dict[int, int]] = defaultdict(dict)
        for event_id, user_id, end_ms in applied.holds_until_ms:
            extended[event_id][user_id] = end_ms + PASS_MARGIN_MS
        stocks = {
            change.event_id: Stock(
                sum([count.available_count for count in change.counts]),
                sum([count.held_count for count in change.counts]),
                change.version,
            )
            for change in applied.changes
        }
        turns = Turns("settling slots, which reconciliation makes up for,", self._slots.room_errors, others=False)
        try:
            for event_id, error in self._slots.settle(finished, extended, stocks):
                with turns.of(f"event {event_id}"):
                    if error is not None:
                        raise error
        except redis.RedisError as error:
            logger.warning("slots not settled (%s); reconciliation will", error)
        turns.end()


def jobs_clock(client: redis.Redis) -> Callable[[], int]:
    """The clock of the jobs' Redis in milliseconds. It is read every few seconds, and this machine's monotonic clock
    carries it on meanwhile and while Redis is away, so that no batch fails because of its clock.

    Raises:
        redis.RedisError: Redis does not answer the first time. The function that is returned never raises.
    """

    def read() -> tuple[float, float]:
        seconds, micros = client.time()
        mono = time.monotonic()
        return mono, int(seconds) * 1000 + int(micros) / 1000 - mono * 1000

    read_at, offset_ms = read()

    def now_ms() -> int:
        nonlocal read_at, offset_ms
        if time.monotonic() - read_at > CLOCK_SECONDS:
            try:
                read_at, offset_ms = read()
            except redis.RedisError as error:
                logger.warning("Redis' clock is carried on: %s", error)
                read_at = time.monotonic()
        return int(time.monotonic() * 1000 + offset_ms)

    return now_ms
