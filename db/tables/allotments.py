"""The tables of allotments."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import ForeignKeyConstraint, Index, Integer, PrimaryKeyConstraint, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class Allotment(Base):
    """Seats that operators took out of the sale under a name: house seats, a sponsor's."""

    __tablename__ = "allotment"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        PrimaryKeyConstraint("allotment_id", "event_id"),
        Index("ix_allotment_event_id", "event_id"),
    )

    event_id: Mapped[int]
    allotment_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    name: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    made_by: Mapped[str]


class AllotmentSeat(Base):
    """A seat of an allotment."""

    __tablename__ = "allotment_seat"
    __table_args__ = (
        ForeignKeyConstraint(
            ["allotment_id", "event_id"], ["allotment.allotment_id", "allotment.event_id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["event_id", "ticket_type_id"], ["ticket.event_id", "ticket.ticket_type_id"], ondelete="CASCADE"
        ),
        Index("ix_allotment_seat_allotment_id", "allotment_id"),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    ticket_type_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    row_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    seat_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    allotment_id: Mapped[uuid.UUID] = mapped_column(Uuid)
