"""The tables of invoices. They belong to the whole site, because a series of numbers does."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from db.invoices.model import InvoiceKind
from db.tables.base import Base, one_of


class InvoiceSeries(Base):
    """A series of numbers: ``last_number`` is the last one given. Its row is locked by the transaction that gives the
    next ones and writes their invoices, so that none is ever given without its invoice.
    """

    __tablename__ = "invoice_series"

    series: Mapped[str] = mapped_column(primary_key=True)
    last_number: Mapped[int]


class Invoice(Base):
    """An invoice, or a credit note for what of it went back at ``credited_at``, the moment of the refunds.

    ``amount`` contains ``tax``. ``content`` is `db.invoices.model.Content`; ``payer`` (sealed, empty once its time is
    over) and ``mail`` (sealed) say whom it is for. ``language`` is the one in which it is written.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        ForeignKeyConstraint(["series"], ["invoice_series.series"]),
        ForeignKeyConstraint(["of_series", "of_number"], ["invoice.series", "invoice.number"]),
        CheckConstraint(one_of("kind", tuple(InvoiceKind)), name="kind"),
        CheckConstraint("amount > 0 AND tax BETWEEN 0 AND amount", name="amount"),
        CheckConstraint(
            "(kind = 'credit_note') = (of_number IS NOT NULL)"
            " AND (of_number IS NULL) = (of_series IS NULL) AND (of_number IS NULL) = (credited_at IS NULL)",
            name="credited",
        ),
        Index("uq_invoice_purchase", "purchase_id", "event_id", unique=True, postgresql_where=text("kind = 'invoice'")),
        Index(
            "uq_invoice_credited",
            "purchase_id",
            "event_id",
            "credited_at",
            unique=True,
            postgresql_where=text("kind = 'credit_note'"),
        ),
        Index("ix_invoice_purchase", "purchase_id", "event_id"),
        Index("ix_invoice_event", "event_id", "made_at"),
    )

    series: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    event_id: Mapped[int]
    purchase_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    credited_at: Mapped[dt.datetime | None]
    of_series: Mapped[str | None]
    of_number: Mapped[int | None]
    made_at: Mapped[dt.datetime]
    currency: Mapped[str]
    amount: Mapped[int]
    tax: Mapped[int]
    language: Mapped[str]
    content: Mapped[dict[str, Any]]
    payer: Mapped[str]
    mail: Mapped[str | None]
