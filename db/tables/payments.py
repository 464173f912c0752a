"""The tables of payments: what fans pay, the jobs that wait for it, what goes back, and what providers tell."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.payments.states import PaymentState, RefundCause, RefundState
from db.tables.base import UPDATED_OFTEN, Base, one_of


class Payment(Base):
    """The payment of a hold. Of one hold at most one is under way, and at most one was booked.

    ``provider_ref`` is the provider's name for it, ``client_secret`` (sealed) lets the fan's browser pay it.
    ``captured_…`` is what the provider says it took. ``closed_at``: the provider says that nothing can be paid any
    more. At ``due_at`` the cashier looks at it next; null where there is nothing to do. ``voucher_hash`` and
    ``discounts`` (one for each seat of the hold) are those of the voucher that it is paid with; its use is counted as
    long as the payment is under way or booked. ``at_provider``: the fan asked to pay on the provider's own page, which
    is at ``pay_href``. ``invoiced``: its invoice is written (`db.tables.invoices`). ``processing_at``: since
    then the fan's bank works on it, and its hold lasts for the event's payment term.
    """

    __tablename__ = "payment"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"]),
        CheckConstraint(one_of("state", tuple(PaymentState)), name="state"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(captured_amount IS NULL) = (captured_at IS NULL)", name="captured"),
        CheckConstraint("(state = 'booked') = (purchase_id IS NOT NULL)", name="booked"),
        PrimaryKeyConstraint("payment_id", "event_id"),
        Index(
            "uq_payment_under_way",
            "reservation_id",
            "event_id",
            unique=True,
            postgresql_where=text("state IN ('new', 'open')"),
        ),
        Index(
            "uq_payment_purchase",
            "purchase_id",
            "event_id",
            unique=True,
            postgresql_where=text("purchase_id IS NOT NULL"),
        ),
        Index("ix_payment_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_payment_user", "user_id", "event_id"),
        Index("ix_payment_to_invoice", "ended_at", postgresql_where=text("state = 'booked' AND NOT invoiced")),
        Index(
            "ix_payment_refused",
            "ended_at",
            postgresql_where=text("state = 'failed' AND processing_at IS NOT NULL"),
        ),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int]
    payment_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    reservation_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    user_id: Mapped[int]
    provider: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="new")
    amount: Mapped[int]
    currency: Mapped[str]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    provider_ref: Mapped[str | None]
    client_secret: Mapped[str | None]
    captured_amount: Mapped[int | None]
    captured_currency: Mapped[str] = mapped_column(server_default="")
    captured_at: Mapped[dt.datetime | None]
    closed_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
    purchase_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    due_at: Mapped[dt.datetime | None]
    tries: Mapped[int] = mapped_column(Integer, server_default="0")
    error: Mapped[str] = mapped_column(server_default="")
    voucher_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    discounts: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    at_provider: Mapped[bool] = mapped_column(server_default="false")
    pay_href: Mapped[str | None]
    invoiced: Mapped[bool] = mapped_column(server_default="false")
    processing_at: Mapped[dt.datetime | None]


class PaymentJob(Base):
    """A checkout that waits for a payment, with what its outcome is recorded under."""

    __tablename__ = "payment_job"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "payment_id"], ["payment.event_id", "payment.payment_id"]),
        PrimaryKeyConstraint("command_id", "event_id"),
        Index("ix_payment_job_payment", "payment_id", "event_id"),
    )

    event_id: Mapped[int]
    command_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    payment_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    user_id: Mapped[int]
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)


class Refund(Base):
    """Money that goes back: written by the transaction that made it due, and sent by the cashier under its own id.

    ``credited``: it stands on a credit note (`db.tables.invoices`).
    """

    __tablename__ = "refund"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "payment_id"], ["payment.event_id", "payment.payment_id"]),
        CheckConstraint(one_of("state", tuple(RefundState)), name="state"),
        CheckConstraint(one_of("cause", tuple(RefundCause)), name="cause"),
        CheckConstraint("amount > 0", name="amount"),
        PrimaryKeyConstraint("refund_id", "event_id"),
        Index("ix_refund_due", "due_at", postgresql_where=text("state = 'pending'")),
        Index("ix_refund_payment", "payment_id", "event_id"),
        Index(
            "uq_refund_whole",
            "payment_id",
            "event_id",
            unique=True,
            postgresql_where=text("cause <> 'cancelled'"),
        ),
        Index(
            "ix_refund_to_credit",
            "created_at",
            postgresql_where=text("NOT credited AND cause IN ('cancelled', 'event_cancelled')"),
        ),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int]
    refund_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    payment_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    amount: Mapped[int]
    cause: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    provider_ref: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    due_at: Mapped[dt.datetime]
    done_at: Mapped[dt.datetime | None]
    tries: Mapped[int] = mapped_column(Integer, server_default="0")
    error: Mapped[str] = mapped_column(server_default="")
    credited: Mapped[bool] = mapped_column(server_default="false")


class PaymentHint(Base):
    """That somebody, a provider's webhook or a fan who came back, says there is news of a payment. The cashier asks the
    provider itself. One row a payment, however often it is said. ``at_provider``: the fan wants to pay on the
    provider's own page.
    """

    __tablename__ = "payment_hint"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        PrimaryKeyConstraint("payment_id", "event_id"),
    )

    event_id: Mapped[int]
    payment_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    at_provider: Mapped[bool] = mapped_column(server_default="false")


class Reconciliation(Base):
    """A comparison of our payments with the providers' books; ``differences`` is what was found, an array of JSON
    (`db.payments.reconciling.Found`). Without ``ended_at`` it is under way, or its process died.
    """

    __tablename__ = "reconciliation"
    __table_args__ = (PrimaryKeyConstraint("reconciliation_id"),)

    reconciliation_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    began_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    hours: Mapped[int] = mapped_column(Integer)
    payments: Mapped[int] = mapped_column(Integer, server_default="0")
    differences: Mapped[list[dict[str, object]]] = mapped_column(JSONB, server_default="[]")


class ProviderIntent(Base):
    """A payment as the built-in test provider knows it; no other component of Admit One reads it."""

    __tablename__ = "provider_intent"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("state", ("open", "captured", "declined", "cancelled")), name="state"),
        PrimaryKeyConstraint("payment_id", "event_id"),
    )

    event_id: Mapped[int]
    payment_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    amount: Mapped[int]
    currency: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open")
    captured_amount: Mapped[int] = mapped_column(server_default="0")
    refunded_amount: Mapped[int] = mapped_column(server_default="0")
    refund_ids: Mapped[str] = mapped_column(server_default="")
    pays_at: Mapped[dt.datetime | None]
