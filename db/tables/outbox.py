"""The table of news for the outside."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class Outbox(Base):
    """What is to be told to the outside, written by the transaction that made it true.

    ``sent_at``: when it was handed to the webhook endpoints that ask for its kind, each of which then has a delivery.
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
