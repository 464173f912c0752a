"""The states of an alarm, of what is told of it, and what it is that is told."""

from __future__ import annotations

from enum import StrEnum


class AlarmState(StrEnum):
    """Where an alarm stands: the figure has just reached the threshold; operators are told; it is over."""

    PENDING = "pending"
    FIRING = "firing"
    ENDED = "ended"


class NoticeState(StrEnum):
    """Where a notice stands; the words are those of messages to fans (`db.messages.kinds.MessageState`)."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    DEAD = "dead"
    SKIPPED = "skipped"


class Notice(StrEnum):
    """What is told."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    TEST = "test"
