"""The tables of check-in: who was let in, and scans without a network that met another one."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, PrimaryKeyConstraint, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.entries.outcomes import CONFLICTS
from db.tables.base import UPDATED_OFTEN, Base, one_of


class Entry(Base):
    """A ticket that was let in. It is *living* until it is undone, and a ticket has one living entry at most: the
    partial unique index decides between two scanners.

    ``scan_id`` is the device's own id of the scan, so that a scan which is sent twice is one entry. ``scanned_at`` is
    the device's clock where it had no network (``is_offline``), else Postgres', as ``entered_at`` always is.
    ``shown_again`` counts how often the ticket was shown afterwards. The foreign key also has an entry and a
    cancellation of the same ticket wait for each other (`db.entries.entries`).
    """

    __tablename__ = "entry"
    __table_args__ = (
        ForeignKeyConstraint(
            ["event_id", "purchase_id", "ticket_type_id", "row_number", "seat_number"],
            [
                "purchase_detail.event_id",
                "purchase_detail.purchase_id",
                "purchase_detail.ticket_type_id",
                "purchase_detail.row_number",
                "purchase_detail.seat_number",
            ],
            name="fk_entry_purchase_detail",
            ondelete="CASCADE",
        ),
        CheckConstraint("(undone_at IS NULL) = (undone_by = '')", name="undone"),
        PrimaryKeyConstraint("entry_id", "event_id"),
        Index(
            "uq_entry_living_ticket",
            "purchase_id",
            "ticket_type_id",
            "row_number",
            "seat_number",
            "event_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
        Index("uq_entry_scan", "device", "scan_id", "event_id", unique=True),
        Index("ix_entry_event", "event_id", "ticket_type_id", "gate"),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int]
    entry_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    purchase_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    ticket_type_id: Mapped[int] = mapped_column(Integer)
    row_number: Mapped[int] = mapped_column(Integer)
    seat_number: Mapped[int] = mapped_column(Integer)
    gate: Mapped[str]
    device: Mapped[str]
    scan_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    operator: Mapped[str]
    is_offline: Mapped[bool] = mapped_column(server_default="false")
    scanned_at: Mapped[dt.datetime]
    entered_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    shown_again: Mapped[int] = mapped_column(Integer, server_default="0")
    undone_at: Mapped[dt.datetime | None]
    undone_by: Mapped[str] = mapped_column(server_default="")


class EntryConflict(Base):
    """A scan without a network that let a ticket in which could not be entered once the device was back: ``why`` says
    why not. ``entry_id`` is the entry that the ticket had; a ticket that nobody knows has no purchase here.
    """

    __tablename__ = "entry_conflict"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("why", tuple(CONFLICTS)), name="why"),
        PrimaryKeyConstraint("device", "scan_id", "event_id"),
        Index("ix_entry_conflict_event", "event_id", "recorded_at"),
    )

    event_id: Mapped[int]
    device: Mapped[str]
    scan_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    purchase_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    ticket_type_id: Mapped[int | None] = mapped_column(Integer)
    row_number: Mapped[int | None] = mapped_column(Integer)
    seat_number: Mapped[int | None] = mapped_column(Integer)
    gate: Mapped[str]
    operator: Mapped[str]
    scanned_at: Mapped[dt.datetime]
    recorded_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    why: Mapped[str]
    entry_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
