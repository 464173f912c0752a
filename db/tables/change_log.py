"""The table of changes."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class ChangeLog(Base):
    """One changed field of a subject (`db.change_log.changes.Subject`): its operator, its time, and both values.

    A reference table: a line stays after its subject is gone, and holds no secret. ``revision`` is the one
    that the change made, 0 where none was noted.
    """

    __tablename__ = "change_log"
    __table_args__ = (Index("ix_change_log_subject", "subject", "subject_id", "log_id"),)

    log_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    subject: Mapped[str]
    subject_id: Mapped[int]
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    operator: Mapped[str]
    field: Mapped[str]
    before: Mapped[str] = mapped_column(server_default="")
    after: Mapped[str] = mapped_column(server_default="")
    why: Mapped[str] = mapped_column(server_default="")
    revision: Mapped[int] = mapped_column(server_default="0")
