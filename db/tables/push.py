"""The table of the browsers that are told of a fan's turn by web push."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class PushSubscription(Base):
    """A browser of a fan who asked to be alerted at an event, as its push service gave it (RFC 8030, RFC 8291).

    ``endpoint`` is the secret address of that browser at its push service, sealed and found by its hash as addresses
    are (`db.messages.addresses`), and its keys are sealed; ``language`` is the page's.
    """

    __tablename__ = "push_subscription"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        UniqueConstraint("event_id", "user_id", "address_hash"),
        Index("ix_push_subscription_plain", "event_id", "user_id", postgresql_where=text("address_hash IS NULL")),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    endpoint: Mapped[str] = mapped_column(primary_key=True)
    p256dh: Mapped[str]
    auth: Mapped[str]
    language: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
