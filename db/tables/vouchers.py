"""The tables of vouchers."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import (
    ARRAY,
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


class VoucherIssue(Base):
    """Vouchers that an operator issued in one go. Each is good for ``uses_max`` purchases until ``ends_at``.

    A seat's price falls by ``basis_points`` of it (hundredths of a percent) or by ``amount``, down to 0.
    ``ticket_type_ids`` are the ticket types that it is good for; null: all of the event.
    """

    __tablename__ = "voucher_issue"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint("vouchers > 0 AND uses_max > 0", name="counts"),
        CheckConstraint("basis_points BETWEEN 0 AND 10000 AND amount >= 0", name="discount"),
        CheckConstraint("(basis_points > 0) <> (amount > 0)", name="one_discount"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name="revoked"),
        PrimaryKeyConstraint("issue_id", "event_id"),
        Index("ix_voucher_issue_event_id", "event_id"),
    )

    event_id: Mapped[int]
    issue_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    label: Mapped[str]
    vouchers: Mapped[int] = mapped_column(Integer)
    uses_max: Mapped[int] = mapped_column(Integer)
    basis_points: Mapped[int] = mapped_column(Integer)
    amount: Mapped[int]
    ticket_type_ids: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    ends_at: Mapped[dt.datetime | None]
    issued_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    issued_by: Mapped[str]
    revoked_at: Mapped[dt.datetime | None]
    revoked_by: Mapped[str | None]


class Voucher(Base):
    """A voucher, known by its keyed hash only. ``uses`` counts purchases; the check makes one use too many impossible
    in any code.
    """

    __tablename__ = "voucher"
    __table_args__ = (
        ForeignKeyConstraint(
            ["issue_id", "event_id"], ["voucher_issue.issue_id", "voucher_issue.event_id"], ondelete="CASCADE"
        ),
        CheckConstraint("uses BETWEEN 0 AND uses_max", name="uses"),
        PrimaryKeyConstraint("code_hash", "event_id"),
        Index("ix_voucher_issue_id", "issue_id"),
    )

    event_id: Mapped[int]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    issue_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    uses_max: Mapped[int] = mapped_column(Integer)
    uses: Mapped[int] = mapped_column(Integer, server_default="0")
