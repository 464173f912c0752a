"""The tables of lobbies' draws."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class Draw(Base):
    """The draw of an event's lobby. ``seed`` is secret until ``drawn_at``, committed to by ``seed_hash`` from the
    first; ``fan_key`` is always secret. ``epoch`` is that of the places drawn.
    """

    __tablename__ = "draw"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint("(drawn_at IS NULL) = (participants IS NULL)", name="drawn"),
        CheckConstraint("(drawn_at IS NULL) = (epoch IS NULL)", name="epoch"),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    seed: Mapped[bytes] = mapped_column(LargeBinary)
    seed_hash: Mapped[bytes] = mapped_column(LargeBinary)
    fan_key: Mapped[bytes] = mapped_column(LargeBinary)
    committed_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    drawn_at: Mapped[dt.datetime | None]
    participants: Mapped[int | None] = mapped_column(Integer)
    epoch: Mapped[int | None]


class DrawEntry(Base):
    """A fan of the lobby, and the number drawn."""

    __tablename__ = "draw_entry"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["draw.event_id"], ondelete="CASCADE"),
        PrimaryKeyConstraint("user_id", "event_id"),
        UniqueConstraint("event_id", "number"),
    )

    event_id: Mapped[int]
    user_id: Mapped[int]
    number: Mapped[int] = mapped_column(Integer)
    fan_hash: Mapped[bytes] = mapped_column(LargeBinary)
