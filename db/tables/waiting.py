"""The table of the waiting lists."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base, one_of
from db.waiting.states import QUANTITY_MAX, EntryState


class WaitingEntry(Base):
    """A fan's entry in the waiting list of an event. Numbers count up from one in the order of entering.

    An offer is a hold (``reservation_id``), and what became of it is the hold's state: it stands nowhere else. ``link``
    chains the entries (`db.waiting.chain`). ``network`` and ``proven`` are as in a hold.
    """

    __tablename__ = "waiting_entry"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("state", tuple(EntryState)), name="state"),
        CheckConstraint(f"quantity BETWEEN 1 AND {QUANTITY_MAX}", name="quantity"),
        CheckConstraint("(state = 'offered') = (reservation_id IS NOT NULL)", name="offer"),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended"),
        PrimaryKeyConstraint("event_id", "number"),
        Index("ix_waiting_entry_fan", "user_id", "event_id"),
        Index("ix_waiting_entry_type", "event_id", "ticket_type_id", "number"),
        Index(
            "ix_waiting_entry_turn",
            "event_id",
            "ticket_type_id",
            "quantity",
            "number",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_waiting_entry_network", "event_id", "network", postgresql_where=text("state = 'waiting'")),
        Index("ix_waiting_entry_entered", "entered_at", postgresql_where=text("network <> ''")),
        Index(
            "uq_waiting_entry_waiting", "event_id", "user_id", unique=True, postgresql_where=text("state = 'waiting'")
        ),
        Index(
            "uq_waiting_entry_hold",
            "event_id",
            "reservation_id",
            unique=True,
            postgresql_where=text("reservation_id IS NOT NULL"),
        ),
    )

    event_id: Mapped[int]
    number: Mapped[int] = mapped_column(Integer)
    user_id: Mapped[int]
    ticket_type_id: Mapped[int] = mapped_column(Integer)
    quantity: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(server_default=EntryState.WAITING)
    network: Mapped[str] = mapped_column(server_default="")
    proven: Mapped[bool] = mapped_column(server_default="false")
    entered_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    reservation_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    link: Mapped[bytes] = mapped_column(LargeBinary)
