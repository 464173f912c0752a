"""The table of hall plans that operators gave. An event without one has a plan that is made of its seats."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKeyConstraint, Integer, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class StoredPlan(Base):
    """An event's hall plan; ``document`` is JSON as `db.plans.storage` writes it.

    What the booking engine and a ticket need of it stands in columns: with each seat (`db.tables.events.Seat`), and
    here the point that the fans look at. ``picture_hash`` is of the picture behind the seats, if it has one.
    """

    __tablename__ = "event_plan"
    __table_args__ = (ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),)

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    focus_x: Mapped[int] = mapped_column(Integer)
    focus_y: Mapped[int] = mapped_column(Integer)
    written_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    picture_hash: Mapped[str | None]
