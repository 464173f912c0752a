"""The tables of orders: what fans told of themselves before they bought, and the terms that they agreed to."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import ARRAY, ForeignKeyConstraint, Index, Integer, LargeBinary, PrimaryKeyConstraint, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class OrderAnswers(Base):
    """What a fan answered to what an event asks, kept by the hold that is then bought (`db.orders.answers`).

    ``address`` and ``content`` are sealed; ``words`` are keyed hashes of the names' words, by which they are found.
    ``terms_version`` is of the terms that the fan agreed to, 0 where the event had none.
    """

    __tablename__ = "order_answers"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        PrimaryKeyConstraint("reservation_id", "event_id"),
        Index("ix_order_answers_user", "user_id", "event_id"),
        Index("ix_order_answers_address", "address_hash"),
        Index("ix_order_answers_words", "words", postgresql_using="gin"),
        Index("ix_order_answers_made_at", "made_at"),
    )

    event_id: Mapped[int]
    reservation_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    user_id: Mapped[int]
    address: Mapped[str]
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    content: Mapped[str]
    words: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    terms_version: Mapped[int] = mapped_column(Integer, server_default="0")
    language: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())


class OrderTerms(Base):
    """A version of the terms that an event's fans agree to. Old versions stay: orders name them."""

    __tablename__ = "order_terms"
    __table_args__ = (ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),)

    event_id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    terms: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
