"""Looks at every figure that has an alarm, decides what begins and ends, and writes what receivers are told of it.

A job of housekeeping, which cron enqueues every few seconds. All of a look is one transaction of Postgres under a lock,
and by Postgres' clock. So at any time one process decides, and a process that dies on the way has told nothing.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psycopg
import redis
from redis.exceptions import RedisError
from rq.registry import StartedJobRegistry

from booking_lane.figures import figures_key
from booking_lane.lane import queue_name
from booking_lane.lane_map import map_in_force
from db.alarms import notices
from db.alarms import standing as sql
from db.alarms.kinds import KINDS, AlarmKind, AlarmScope
from db.alarms.receivers import READ_RECEIVERS, RECEIVERS_MAX, ReceiverRow, receiver_row
from db.alarms.rules import READ_RULES, SITE, Rules
from db.alarms.standing import AlarmRow, WatchedEvent, alarm_row
from db.alarms.states import AlarmState, Notice
from db.payments.overview import WATCHED, WatchedMoney
from messages.settings import AlarmSettings
from waiting_room.errors import RoomError
from waiting_room.line import Slots
from waiting_room.model import RoomCounts
from workers.alarms.deciding import Decision, Look, decide
from workers.alarms.sight import LaneReading, Memory, Reading, decode_memory, encode_memory, looks_of, money_looks

logger = logging.getLogger(__name__)

EVENTS_MAX: Final = 500
"""Sales that are watched: the ones that began last."""
MEMORY_KEY: Final = "alarms:memory"
MEMORY_SECONDS: Final = 3600
MINUTE_SECONDS: Final = 60

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(slots=True)
class _Told:
    """What is to be told after a look."""

    rows: list[dict[str, Any]]
    over: list[AlarmRow]


class Watch:
    """Looks at the alarms.

    Args:
        jobs: the Redis of the jobs, which has the lanes' figures.
        slots: the line.
        lanes: the setting's number of lanes.
    """

    def __init__(self, jobs: redis.Redis, slots: Slots, lanes: int, settings: AlarmSettings) -> None:
        self._jobs = jobs
        self._slots = slots
        self._lanes = lanes
        self._settings = settings

    def look(self, connection: Connection) -> int:
        """Look once, and return how many notices are new.

        Raises:
            psycopg.Error, redis.RedisError: Postgres or the Redis of the jobs does not answer.
        """
        with connection.transaction():
            is_ours, now = connection.execute(sql.BEGIN, {"lock": sql.LOCK}).fetchone() or (False, None)
            if not is_ours:
                return 0
            rules = Rules(connection.execute(READ_RULES).fetchall())
            found = connection.execute(sql.EVENTS_TO_WATCH, {"events_max": EVENTS_MAX})
            looks = self._looks([WatchedEvent._make(row) for row in found], now)
            money = connection.execute(WATCHED, {"events_max": EVENTS_MAX})
            looks += money_looks([WatchedMoney._make(row) for row in money])
            standing = [alarm_row(row) for row in connection.execute(sql.READ_STANDING)]
            decisions = decisions_of(standing, looks, rules, now)
            self._write(connection, decisions)
            return self._tell(connection, decisions, now)

    # -- measuring

    def _looks(self, events: Sequence[WatchedEvent], now: dt.datetime) -> list[Look]:
        kept = self._jobs.get(MEMORY_KEY)
        try:
            memory = decode_memory(kept) if isinstance(kept, bytes) else Memory()
        except msgspec.MsgspecError:
            # Another release wrote it.
            memory = Memory()
        counts = {one.event_id: self._counts(one.event_id) for one in events if one.has_line}
        looks = list(looks_of(memory, self._reading(now), events, counts))
        with self._jobs.pipeline(transaction=False) as pipe:
            pipe.set(MEMORY_KEY, encode_memory(memory), ex=MEMORY_SECONDS)
            pipe.set(sql.LOOKED_KEY, int(now.timestamp() * 1000))
            pipe.execute()
        return looks

    def _reading(self, now: dt.datetime) -> Reading:
        lane_map = map_in_force(self._jobs, self._lanes)
        lanes_max = max(lane_map.numbers) + 1
        with self._jobs.pipeline(transaction=False) as pipe:
            for lane in range(lanes_max):
                pipe.hgetall(figures_key(lane))
                pipe.llen(f"rq:queue:{queue_name(lane)}")
                pipe.zcard(StartedJobRegistry.key_template.format(queue_name(lane)))
            found = pipe.execute()
        lanes = [
            LaneReading({name.decode(): int(value) for name, value in counters.items()}, queued + under_way)
            for counters, queued, under_way in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]
        return Reading(now.timestamp(), lanes, lane_map.lanes)

    def _counts(self, event_id: int) -> RoomCounts | None:
        try:
            return self._slots.counts(event_id)
        except (RoomError, RedisError) as error:
            logger.info("event %d: its line is not known to the alarms now: %s", event_id, error)
            return None

    # -- writing

    @staticmethod
    def _write(connection: Connection, decisions: Sequence[Decision]) -> None:
        dropped = [one.alarm.alarm_id for one in decisions if one.drops]
        if dropped:
            connection.execute(sql.DROP, {"alarm_ids": dropped})
        rows = [one.alarm._asdict() for one in decisions if not one.drops]
        if rows:
            connection.execute(sql.WRITE, {"rows": msgspec.json.encode(rows).decode()})

    def _tell(self, connection: Connection, decisions: Sequence[Decision], now: dt.datetime) -> int:
        firing = [one.alarm for one in decisions if one.alarm.state is AlarmState.FIRING]
        over = [one.alarm for one in decisions if not one.drops and one.alarm.state is AlarmState.ENDED]
        if not firing and not over:
            return 0
        if over:
            connection.execute(notices.SKIP_UNSENT, {"alarm_ids": [one.alarm_id for one in over]})
        told: dict[Any, dict[int, dt.datetime]] = {}
        which = {"alarm_ids": [one.alarm_id for one in (*firing, *over)]}
        for alarm_id, receiver_id, told_at in connection.execute(notices.TOLD, which):
            told.setdefault(alarm_id, {})[receiver_id] = told_at
        everybody = {"receiver_id": None, "receivers_max": RECEIVERS_MAX}
        receivers = [receiver_row(row) for row in connection.execute(READ_RECEIVERS, everybody)]
        rows = [
            row
            for decision in decisions
            if not decision.drops
            for receiver in receivers
            if (row := self._notice(decision, receiver, told.get(decision.alarm.alarm_id, {}), now)) is not None
        ]
        if not rows:
            return 0
        written = connection.execute(
            notices.WRITE,
            {"rows": msgspec.json.encode(rows).decode(), "group_seconds": self._settings.group_seconds},
        )
        return written.rowcount

    def _notice(
        self, decision: Decision, receiver: ReceiverRow, told: Mapping[int, dt.datetime], now: dt.datetime
    ) -> dict[str, Any] | None:
        """What a receiver is to be told of an alarm now; None for nothing."""
        alarm = decision.alarm
        kind = KINDS.get(alarm.kind)
        if kind is None or alarm.state is AlarmState.PENDING or not receiver.wants(kind, now):
            return None
        told_at = told.get(receiver.receiver_id)
        if alarm.state is AlarmState.FIRING:
            what = f"{Notice.FIRING}"
            number = self._reminders(alarm, kind, told_at, now)
            if number:
                what = f"{Notice.REMINDER}"
        else:
            if told_at is None or not (decision.is_calm or kind.is_trouble):
                return None
            what, number = f"{Notice.RESOLVED}", 0
        return {
            "receiver_id": receiver.receiver_id,
            "alarm_id": alarm.alarm_id,
            "what": what,
            "dedup_key": f"{kind}:{alarm.scope}-{alarm.subject_id}:{alarm.since.isoformat()}:{what}:{number}",
            "payload": payload_of(decision),
        }

    def _reminders(self, alarm: AlarmRow, kind: AlarmKind, told_at: dt.datetime | None, now: dt.datetime) -> int:
        """How many reminders of the alarm are due by now to one who was told then; 0 for none."""
        seconds = self._settings.remind_minutes * MINUTE_SECONDS
        if told_at is None or alarm.fired_at is None or not kind.is_trouble or not seconds:
            return 0
        number = int((now - alarm.fired_at).total_seconds() // seconds)
        is_due = number > 0 and told_at <= alarm.fired_at + dt.timedelta(seconds=seconds * number)
        return number if is_due else 0


def payload_of(decision: Decision) -> dict[str, Any]:
    """What a notice says, as it was when it was decided."""
    alarm = decision.alarm
    return {
        "kind": alarm.kind,
        "figure": alarm.figure,
        "threshold": alarm.threshold,
        "since": alarm.since.astimezone(dt.UTC).isoformat(),
        "until": None if alarm.ended_at is None else alarm.ended_at.astimezone(dt.UTC).isoformat(),
        "isCalm": decision.is_calm,
        **alarm.about,
    }


def decisions_of(standing: Sequence[AlarmRow], looks: Sequence[Look], rules: Rules, now: dt.datetime) -> list[Decision]:
    """What becomes of every alarm, of the ones that stand and of new ones."""
    before = {(one.kind, one.subject_id): one for one in standing}
    decisions = []
    for look in looks:
        alarm = before.pop((look.kind, look.subject_id), None)
        decision = decide(alarm, look, rules.of(look.kind, _event_of(look.kind, look.subject_id)), now)
        if decision is not None:
            decisions.append(decision)
    for alarm in before.values():
        # Nobody watches these any more. Another release may have had the kind.
        kind = KINDS.get(alarm.kind)
        ended = decide(alarm, None, rules.of(kind or AlarmKind.LINE_LONG), now)
        assert ended is not None
        decisions.append(ended if kind is not None else Decision(ended.alarm, drops=True))
    return decisions


def _event_of(kind: AlarmKind, subject_id: int) -> int:
    """The event whose rule holds, or `SITE`."""
    return subject_id if kind.scope is AlarmScope.EVENT else SITE
