"""Decides which alarms begin, stand and end. It is a pure function of what was seen, so that it can be tested by the
second.

An alarm is pending from the moment at which its figure reaches the threshold, and fires once it has been there for the
rule's seconds. It ends once the figure has been well below the threshold for as long, a minute at least. Between the
two bounds it goes on as it is: a figure that moves about its threshold is told once.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from db.alarms.kinds import AlarmKind
from db.alarms.rules import Rule
from db.alarms.standing import AlarmRow
from db.alarms.states import AlarmState
from db.ids import uuid7

CALM_SECONDS_MIN: Final = 60
"""An alarm never ends sooner after its figure was high."""
UNSEEN_SECONDS_MAX: Final = 30
"""After a longer time in which nobody looked, nothing is known of what was in between."""


@dataclass(frozen=True, slots=True)
class Look:
    """One figure as it is now; None: it cannot be known now, and what stands goes on."""

    kind: AlarmKind
    subject_id: int
    figure: float | None
    about: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an alarm. ``drops``: it never fired, and is forgotten. ``is_calm``: it ended because its figure
    did, and not because nobody watches it any more.
    """

    alarm: AlarmRow
    drops: bool = False
    is_calm: bool = False


def decide(before: AlarmRow | None, look: Look | None, rule: Rule, now: dt.datetime) -> Decision | None:
    """What becomes of an alarm; None where there is none.

    Args:
        look: None: there is nothing to watch any more, as when a sale is over.
    """
    if look is None or not rule.enabled:
        return None if before is None else _over(before, now, is_calm=False)
    is_high = look.figure is not None and look.figure >= rule.threshold
    if before is None:
        return _begin(look, rule, now) if is_high else None
    alarm = before._replace(seen_at=now, threshold=rule.threshold, about=look.about)
    if look.figure is None:
        # Not seen, so neither high nor calm for as long as it is meant.
        return Decision(alarm._replace(calm_since=None))
    alarm = alarm._replace(figure=look.figure)
    if before.state is AlarmState.PENDING:
        if not is_high:
            return _over(alarm, now, is_calm=True)
        if (now - before.seen_at).total_seconds() > UNSEEN_SECONDS_MAX:
            alarm = alarm._replace(since=now)
        return Decision(_fired(alarm, rule, now))
    if look.figure >= rule.calm_below:
        return Decision(alarm._replace(calm_since=None))
    calm_since = before.calm_since or now
    if (now - calm_since).total_seconds() >= max(rule.for_seconds, CALM_SECONDS_MIN):
        return _over(alarm, now, is_calm=True)
    return Decision(alarm._replace(calm_since=calm_since))


def _begin(look: Look, rule: Rule, now: dt.datetime) -> Decision:
    assert look.figure is not None
    alarm = AlarmRow(
        alarm_id=uuid7(),
        kind=look.kind,
        scope=look.kind.scope,
        subject_id=look.subject_id,
        state=AlarmState.PENDING,
        since=now,
        fired_at=None,
        calm_since=None,
        seen_at=now,
        ended_at=None,
        figure=look.figure,
        threshold=rule.threshold,
        about=look.about,
    )
    return Decision(_fired(alarm, rule, now))


def _fired(alarm: AlarmRow, rule: Rule, now: dt.datetime) -> AlarmRow:
    """The alarm, which fires if it was pending for long enough."""
    if (now - alarm.since).total_seconds() < rule.for_seconds:
        return alarm
    return alarm._replace(state=AlarmState.FIRING, fired_at=now)


def _over(alarm: AlarmRow, now: dt.datetime, *, is_calm: bool) -> Decision:
    ended = alarm._replace(state=AlarmState.ENDED, ended_at=now, seen_at=now)
    return Decision(ended, drops=alarm.state is AlarmState.PENDING, is_calm=is_calm)
