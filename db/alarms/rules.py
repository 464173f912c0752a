"""The thresholds of alarms: the kinds' own, what an operator set for the site, and what was set for one event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from sqlalchemy.ext.asyncio import AsyncConnection

from db.alarms.kinds import KINDS, AlarmKind, AlarmScope
from db.change_log.changes import Change, Subject, as_text, insert_changes

SITE: Final = 0
"""In the place of an event's id: the rule of the whole site."""
EXCEPTIONS_MAX: Final = 200

_LOCK: Final = 0xA1A_0023

READ_RULES: Final[LiteralString] = """
SELECT kind, event_id, enabled, threshold, for_seconds FROM alarm_rule ORDER BY event_id, kind
"""

_SET: Final[LiteralString] = """
INSERT INTO alarm_rule (kind, event_id, enabled, threshold, for_seconds)
SELECT %(kind)s, %(event_id)s, %(enabled)s, %(threshold)s, %(for_seconds)s
 WHERE %(event_id)s = 0 OR EXISTS (SELECT 1 FROM event e WHERE e.event_id = %(event_id)s AND e.rehearsal_of IS NULL)
    ON CONFLICT (kind, event_id) DO UPDATE
   SET enabled = excluded.enabled, threshold = excluded.threshold, for_seconds = excluded.for_seconds
"""

_REMOVE: Final[LiteralString] = """
DELETE FROM alarm_rule
 WHERE kind = %(kind)s AND event_id = %(event_id)s
RETURNING enabled, threshold, for_seconds
"""

FORGET_EXCEPTIONS: Final[LiteralString] = """
WITH living AS MATERIALIZED (
    SELECT event_id
      FROM event
     WHERE date > now() - make_interval(hours => %(keep_hours)s)
       AND EXISTS (SELECT 1 FROM alarm_rule WHERE event_id <> 0)
)
DELETE FROM alarm_rule r
 WHERE r.event_id <> 0
   AND NOT EXISTS (SELECT 1 FROM living WHERE living.event_id = r.event_id)
   AND %(rows_max)s > 0
"""
"""Forgets what was set for events that are long over."""


class TooManyExceptionsError(Exception):
    """Events have `EXCEPTIONS_MAX` thresholds of their own already."""


class RuleRefusedError(ValueError):
    """The kind cannot be set so; the message says why, and ``field`` where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alarm of a kind begins."""

    kind: AlarmKind
    enabled: bool
    threshold: int
    for_seconds: int

    def __post_init__(self) -> None:
        """Raises:
        RuleRefusedError: the threshold is out of the kind's bounds.
        """
        kind = self.kind
        if not kind.threshold_min <= self.threshold <= kind.threshold_max:
            raise RuleRefusedError(
                "threshold",
                f"the threshold of this kind is from {kind.threshold_min} to {kind.threshold_max}"
                if kind.has_threshold
                else "this kind has no threshold to set",
            )

    @property
    def calm_below(self) -> float:
        """Below this figure an alarm that was told is on its way to its end."""
        return self.threshold * self.kind.calm_share


def default_rule(kind: AlarmKind) -> Rule:
    return Rule(kind, True, kind.threshold, kind.for_seconds)


class Rules:
    """The rules in force: what was set, and the defaults of the rest."""

    def __init__(self, rows: Iterable[tuple[Any, ...]] = ()) -> None:
        self._set: dict[tuple[str, int], Rule] = {}
        for word, event_id, enabled, threshold, for_seconds in rows:
            # A release may take a kind away, or narrow its bounds; then what was set of it counts no more.
            kind = KINDS.get(word)
            if kind is not None:
                bounded = min(max(threshold, kind.threshold_min), kind.threshold_max)
                self._set[word, event_id] = Rule(kind, enabled, bounded, for_seconds)

    def of(self, kind: AlarmKind, event_id: int = SITE) -> Rule:
        """The rule of a kind for an event: its own one, else the site's."""
        return self._set.get((kind, event_id)) or self._set.get((kind, SITE)) or default_rule(kind)

    def exceptions(self) -> Mapping[tuple[str, int], Rule]:
        """What was set for single events, by kind and event."""
        return {key: rule for key, rule in self._set.items() if key[1] != SITE}


async def read_rules(connection: AsyncConnection) -> Rules:
    return Rules(tuple(row) for row in await connection.exec_driver_sql(READ_RULES))


async def set_rule(connection: AsyncConnection, rule: Rule, event_id: int, operator: str) -> None:
    """Set a rule, for the site or for one event, and log what changed.

    Raises:
        RuleRefusedError: the kind is about no event.
        TooManyExceptionsError: `EXCEPTIONS_MAX` are set for events already.
        LookupError: there is no such event.
    """
    if event_id != SITE and rule.kind.scope is not AlarmScope.EVENT:
        raise RuleRefusedError("eventId", "this kind is about all bookings, not about one event")
    await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": _LOCK})
    rules = await read_rules(connection)
    before = rules.of(rule.kind, event_id)
    exceptions = rules.exceptions()
    if event_id != SITE and (rule.kind, event_id) not in exceptions and len(exceptions) >= EXCEPTIONS_MAX:
        raise TooManyExceptionsError
    which = {
        "kind": rule.kind,
        "event_id": event_id,
        "enabled": rule.enabled,
        "threshold": rule.threshold,
        "for_seconds": rule.for_seconds,
    }
    done = await connection.exec_driver_sql(_SET, which)
    if not done.rowcount:
        raise LookupError("there is no such event")
    lines = [
        Change(f"{rule.kind}.{field}", as_text(getattr(before, field)), as_text(getattr(rule, field)))
        for field in ("enabled", "threshold", "for_seconds")
        if getattr(before, field) != getattr(rule, field)
    ]
    if lines:
        await connection.exec_driver_sql(*insert_changes(Subject.ALARM_RULE, event_id, lines, operator))


async def remove_rule(connection: AsyncConnection, kind: AlarmKind, event_id: int, operator: str) -> bool:
    """Let the site's rule hold for an event again, or the defaults for the site; False where nothing was set."""
    row = (await connection.exec_driver_sql(_REMOVE, {"kind": kind, "event_id": event_id})).first()
    if row is None:
        return False
    line = Change(f"{kind}.threshold", as_text(row.threshold), "")
    await connection.exec_driver_sql(*insert_changes(Subject.ALARM_RULE, event_id, [line], operator))
    return True
