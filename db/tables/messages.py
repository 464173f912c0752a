"""The tables of messages to fans: where they may be reached, what they do not want, and each message on its way.

Every ``address`` is sealed, and found and compared by its ``address_hash`` (`db.messages.addresses`). A row without a
hash is of an older release, whose addresses are plain until housekeeping seals them (`db.sealing.rows`).
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.messages.kinds import Followed, MessageChannel, MessageState, SuppressionReason
from db.tables.base import UPDATED_OFTEN, Base, one_of


class Contact(Base):
    """Where a fan is told about an event: one address for each channel. Browsers are in ``push_subscription``."""

    __tablename__ = "contact"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("channel", (MessageChannel.MAIL, MessageChannel.SMS)), name="channel"),
        PrimaryKeyConstraint("event_id", "user_id", "channel"),
        Index("ix_contact_address_hash", "address_hash"),
        Index("ix_contact_plain", "event_id", "user_id", postgresql_where=text("address_hash IS NULL")),
    )

    event_id: Mapped[int]
    user_id: Mapped[int]
    channel: Mapped[str]
    address: Mapped[str]
    language: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)


class Follower(Base):
    """An address that wants to hear of an artist's or a venue's events; a reference table. Nothing is sent to it before
    ``confirmed_at``: the person has said by a link in a mail that the address is theirs (double opt-in).
    """

    __tablename__ = "follower"
    __table_args__ = (
        CheckConstraint(one_of("what", tuple(Followed)), name="what"),
        UniqueConstraint("what", "name", "address"),
        UniqueConstraint("what", "name", "address_hash"),
        Index("ix_follower_address_hash", "address_hash"),
        Index("ix_follower_plain", "follower_id", postgresql_where=text("address_hash IS NULL")),
        Index("ix_follower_unconfirmed", "made_at", postgresql_where=text("confirmed_at IS NULL")),
    )

    follower_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    what: Mapped[str]
    name: Mapped[str]
    address: Mapped[str]
    language: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    confirmed_at: Mapped[dt.datetime | None]
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)


class Suppression(Base):
    """That an address is not written to; a reference table. ``kind`` is a kind's word, or empty for every kind."""

    __tablename__ = "suppression"
    __table_args__ = (
        CheckConstraint(one_of("reason", tuple(SuppressionReason)), name="reason"),
        PrimaryKeyConstraint("address", "channel", "kind"),
        UniqueConstraint("address_hash", "channel", "kind"),
        Index("ix_suppression_plain", "channel", postgresql_where=text("address_hash IS NULL")),
    )

    address: Mapped[str]
    channel: Mapped[str]
    kind: Mapped[str]
    reason: Mapped[str]
    detail: Mapped[str] = mapped_column(server_default="")
    at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)


class QuietHours(Base):
    """The hours of the day in which an address is only written to of what cannot wait; a reference table. They may go
    over midnight.
    """

    __tablename__ = "quiet_hours"
    __table_args__ = (
        CheckConstraint("from_hour BETWEEN 0 AND 23 AND until_hour BETWEEN 0 AND 23", name="hours"),
        PrimaryKeyConstraint("address", "channel"),
        UniqueConstraint("address_hash", "channel"),
        Index("ix_quiet_hours_plain", "channel", postgresql_where=text("address_hash IS NULL")),
    )

    address: Mapped[str]
    channel: Mapped[str]
    from_hour: Mapped[int] = mapped_column(SmallInteger)
    until_hour: Mapped[int] = mapped_column(SmallInteger)
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)


class Message(Base):
    """A message to one address by one channel. The dedup key names its cause and its address: the same is told once.

    A queued message is sent at ``due_at``; while a try is under way, that is when another process may take it for lost.
    ``copy`` is the message as a person sees it; only a mailbox of a development site keeps one. ``event_id`` is 0 for a
    message of an account, which is about no event.
    """

    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint(one_of("state", tuple(MessageState)), name="state"),
        CheckConstraint("(state = 'queued') = (ended_at IS NULL)", name="ended"),
        PrimaryKeyConstraint("message_id", "event_id"),
        UniqueConstraint("dedup_key", "event_id"),
        Index("ix_message_fan", "user_id", "event_id"),
        Index("ix_message_due", "channel", "urgency", "due_at", postgresql_where=text("state = 'queued'")),
        Index("ix_message_dead", "ended_at", postgresql_where=text("state = 'dead'")),
        Index("ix_message_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_message_plain", "message_id", postgresql_where=text("address_hash IS NULL")),
        Index(
            "ix_message_told",
            "event_id",
            "kind",
            "state",
            postgresql_where=text("kind IN ('event_moved', 'event_cancelled')"),
        ),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int]
    message_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    kind: Mapped[str]
    channel: Mapped[str]
    address: Mapped[str]
    user_id: Mapped[int]
    language: Mapped[str]
    dedup_key: Mapped[str]
    payload: Mapped[dict[str, Any]]
    urgency: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(server_default="queued")
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    due_at: Mapped[dt.datetime]
    useful_until: Mapped[dt.datetime]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[dt.datetime | None]
    provider: Mapped[str] = mapped_column(server_default="")
    provider_id: Mapped[str] = mapped_column(server_default="")
    error: Mapped[str] = mapped_column(server_default="")
    copy: Mapped[str | None]
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
