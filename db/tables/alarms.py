"""The tables of operators' alarms: thresholds, receivers, the alarms that stand or stood, and what was told of them."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.alarms.kinds import AlarmScope, ReceiverChannel
from db.alarms.states import AlarmState, NoticeState
from db.tables.base import UPDATED_OFTEN, Base, one_of


class AlarmRule(Base):
    """What an operator set for a kind of alarm (`db.alarms.kinds`); a reference table. ``event_id`` is 0 for the whole
    site. Where there is no row, the kind's own defaults hold.
    """

    __tablename__ = "alarm_rule"

    kind: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    enabled: Mapped[bool]
    threshold: Mapped[int]
    for_seconds: Mapped[int]


class AlarmReceiver(Base):
    """An address at which operators are told; a reference table. It hears of ``kinds``, of all where that is empty.

    ``gone_at``: the address turned out not to exist, and is told no more. ``failing_since``: the first failure since
    the last success, and ``error`` says why.
    """

    __tablename__ = "alarm_receiver"
    __table_args__ = (
        CheckConstraint(one_of("channel", tuple(ReceiverChannel)), name="channel"),
        UniqueConstraint("channel", "address"),
    )

    receiver_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    channel: Mapped[str]
    address: Mapped[str]
    p256dh: Mapped[str] = mapped_column(server_default="")
    auth: Mapped[str] = mapped_column(server_default="")
    name: Mapped[str] = mapped_column(server_default="")
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    quiet_until: Mapped[dt.datetime | None]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    delivered_at: Mapped[dt.datetime | None]
    failing_since: Mapped[dt.datetime | None]
    error: Mapped[str] = mapped_column(server_default="")
    gone_at: Mapped[dt.datetime | None]


class Alarm(Base):
    """An alarm about one event or one lane; a reference table. ``since`` is when the figure reached its threshold.

    While it is ``pending`` the figure has not stood there for long enough. ``calm_since``: a firing alarm's figure is
    well below the threshold since then. ``seen_at`` is the last look. ``about`` has the names for messages.
    """

    __tablename__ = "alarm"
    __table_args__ = (
        CheckConstraint(one_of("scope", tuple(AlarmScope)), name="scope"),
        CheckConstraint(one_of("state", tuple(AlarmState)), name="state"),
        CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended"),
        Index(
            "ix_alarm_standing",
            *("kind", "scope", "subject_id"),
            unique=True,
            postgresql_where=text("state <> 'ended'"),
        ),
        Index("ix_alarm_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        {"postgresql_with": UPDATED_OFTEN},
    )

    alarm_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str]
    scope: Mapped[str]
    subject_id: Mapped[int]
    state: Mapped[str]
    since: Mapped[dt.datetime]
    fired_at: Mapped[dt.datetime | None]
    calm_since: Mapped[dt.datetime | None]
    seen_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    figure: Mapped[float] = mapped_column(Double)
    threshold: Mapped[int]
    about: Mapped[dict[str, Any]]


class AlarmNotice(Base):
    """What one receiver is told of one alarm; a reference table. ``dedup_key`` is unique for each receiver, so the same
    is told once.

    Notices that are sent together have one ``message_id``, which they get at their first try and keep at all others.
    ``copy`` is the message as a person sees it; only a mailbox of a development site keeps one.
    """

    __tablename__ = "alarm_notice"
    __table_args__ = (
        ForeignKeyConstraint(["receiver_id"], ["alarm_receiver.receiver_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("state", tuple(NoticeState)), name="state"),
        CheckConstraint("(state = 'queued') = (ended_at IS NULL)", name="ended"),
        UniqueConstraint("dedup_key", "receiver_id"),
        Index("ix_alarm_notice_due", "due_at", postgresql_where=text("state = 'queued'")),
        Index("ix_alarm_notice_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_alarm_notice_receiver_id", "receiver_id"),
        {"postgresql_with": UPDATED_OFTEN},
    )

    notice_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    receiver_id: Mapped[int]
    alarm_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    what: Mapped[str]
    dedup_key: Mapped[str]
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default="queued")
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    due_at: Mapped[dt.datetime]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[dt.datetime | None]
    message_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    error: Mapped[str] = mapped_column(server_default="")
    copy: Mapped[str | None]
