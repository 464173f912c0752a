"""The tables of news for the outside: what happened, and each delivery of it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import UPDATED_OFTEN, Base, one_of

DELIVERY_STATES = ("pending", "delivered", "dead")


class Outbox(Base):
    """One piece of news, written by the transaction that made it true (`db.outbox.writer`).

    ``sent_at`` is the moment at which it was handed to the channels: each recipient that wants it then has a delivery.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        Index("ix_outbox_unsent", "outbox_id", postgresql_where=text("sent_at IS NULL")),
        Index("ix_outbox_sent", "sent_at", postgresql_where=text("sent_at IS NOT NULL")),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    outbox_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]
    sent_at: Mapped[dt.datetime | None]


class Delivery(Base):
    """An outbox row on its way to one recipient by one channel (`db.outbox.channels`).

    A pending delivery is tried at ``due_at``; while an attempt is under way, that is when another dispatcher may take
    it for lost. Where the recipient is gone, its deliveries stay until their outbox row goes. ``status`` is what the
    recipient answered last, in the channel's own numbers.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "outbox_id"], ["outbox.event_id", "outbox.outbox_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("state", DELIVERY_STATES), name="state"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ended"),
        PrimaryKeyConstraint("outbox_id", "event_id", "channel", "recipient_id"),
        Index("ix_delivery_due", "channel", "recipient_id", "due_at", postgresql_where=text("state = 'pending'")),
        Index("ix_delivery_dead", "channel", "recipient_id", postgresql_where=text("state = 'dead'")),
        Index("ix_delivery_latest", "channel", "recipient_id", "created_at"),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int]
    outbox_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    recipient_id: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    due_at: Mapped[dt.datetime]
    created_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(server_default="")
    channel: Mapped[str]
