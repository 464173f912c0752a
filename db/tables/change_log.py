"""The tables that say who changed what."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKeyConstraint, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class RoomLog(Base):
    """Who changed what of a room, when, from what to what; ``revision`` is the one that the change made, 0 where an
    older release did not note it.
    """

    __tablename__ = "room_log"
    __table_args__ = (ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),)

    event_id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    operator: Mapped[str]
    field: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    why: Mapped[str] = mapped_column(server_default="")
    revision: Mapped[int] = mapped_column(server_default="0")


class EventLog(Base):
    """Who changed what of an event's definition, when, from what to what; ``revision`` is the one it made."""

    __tablename__ = "event_log"
    __table_args__ = (ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),)

    event_id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    operator: Mapped[str]
    field: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    why: Mapped[str] = mapped_column(server_default="")
    revision: Mapped[int]


class WebhookLog(Base):
    """Who changed what of a webhook endpoint, when; it outlives the endpoint and never holds a secret."""

    __tablename__ = "webhook_log"
    __table_args__ = (Index("ix_webhook_log_endpoint", "endpoint_id", "log_id"),)

    log_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    operator: Mapped[str]
    endpoint_id: Mapped[int]
    field: Mapped[str]
    before: Mapped[str] = mapped_column(server_default="")
    after: Mapped[str] = mapped_column(server_default="")
