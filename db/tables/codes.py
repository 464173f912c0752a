"""The tables of access codes."""

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
    Uuid,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class CodeIssue(Base):
    """Access codes that an operator issued in one go, for one window of time; each is good ``uses_max`` times."""

    __tablename__ = "code_issue"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint("codes > 0 AND uses_max > 0", name="counts"),
        CheckConstraint("starts_at < ends_at", name="window"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name="revoked"),
        PrimaryKeyConstraint("issue_id", "event_id"),
        Index("ix_code_issue_event_id", "event_id"),
    )

    event_id: Mapped[int]
    issue_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    label: Mapped[str]
    codes: Mapped[int] = mapped_column(Integer)
    uses_max: Mapped[int] = mapped_column(Integer)
    starts_at: Mapped[dt.datetime | None]
    ends_at: Mapped[dt.datetime | None]
    issued_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    issued_by: Mapped[str]
    revoked_at: Mapped[dt.datetime | None]
    revoked_by: Mapped[str | None]


class AccessCode(Base):
    """A code that lets its fan wait in the priority class, known by its keyed hash only."""

    __tablename__ = "access_code"
    __table_args__ = (
        ForeignKeyConstraint(
            ["issue_id", "event_id"], ["code_issue.issue_id", "code_issue.event_id"], ondelete="CASCADE"
        ),
        CheckConstraint("uses >= 0", name="uses"),
        PrimaryKeyConstraint("code_hash", "event_id"),
        Index("ix_access_code_issue_id", "issue_id"),
    )

    event_id: Mapped[int]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    issue_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    uses: Mapped[int] = mapped_column(Integer, server_default="0")


class CodeRedemption(Base):
    """A code that a fan redeemed: the fan's again and again, and one use of it."""

    __tablename__ = "code_redemption"
    __table_args__ = (
        ForeignKeyConstraint(
            ["code_hash", "event_id"], ["access_code.code_hash", "access_code.event_id"], ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("user_id", "event_id", "code_hash"),
        Index("ix_code_redemption_code_hash", "code_hash"),
    )

    event_id: Mapped[int]
    user_id: Mapped[int]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    redeemed_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
