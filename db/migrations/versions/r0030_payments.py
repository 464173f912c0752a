"""Events may take payments: the payments of holds, the jobs that wait for them, refunds, and what providers tell.

The running release knows no such event, and its bookings go on as before.

Revision ID: 0030
"""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None
while_serving = "safe"

_OFTEN: dict[str, Any] = {
    "postgresql_with": {
        "fillfactor": 70,
        "autovacuum_vacuum_scale_factor": 0.02,
        "autovacuum_analyze_scale_factor": 0.02,
    }
}


def _moment(name: str, *, nullable: bool = True) -> sa.Column[dt.datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.add_column("event", sa.Column("payments", sa.Text(), server_default="", nullable=False))
    op.create_check_constraint(op.f("ck_event_payments"), "event", "payments IN ('', 'test')")
    op.create_table(
        "payment",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="new", nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        _moment("created_at", nullable=False),
        _moment("expires_at", nullable=False),
        sa.Column("provider_ref", sa.Text(), nullable=True),
        sa.Column("client_secret", sa.Text(), nullable=True),
        sa.Column("captured_amount", sa.BigInteger(), nullable=True),
        sa.Column("captured_currency", sa.Text(), server_default="", nullable=False),
        _moment("captured_at"),
        _moment("closed_at"),
        _moment("ended_at"),
        sa.Column("purchase_id", sa.Uuid(), nullable=True),
        _moment("due_at"),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('new', 'open', 'booked', 'failed', 'returned')", name=op.f("ck_payment_state")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_amount")),
        sa.CheckConstraint("(captured_amount IS NULL) = (captured_at IS NULL)", name=op.f("ck_payment_captured")),
        sa.CheckConstraint("(state = 'booked') = (purchase_id IS NOT NULL)", name=op.f("ck_payment_booked")),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name=op.f("fk_payment_event")),
        sa.PrimaryKeyConstraint("payment_id", "event_id", name=op.f("pk_payment")),
        **_OFTEN,
    )
    op.create_index(
        "uq_payment_under_way",
        "payment",
        ["reservation_id", "event_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('new', 'open')"),
    )
    op.create_index(
        "uq_payment_purchase",
        "payment",
        ["purchase_id", "event_id"],
        unique=True,
        postgresql_where=sa.text("purchase_id IS NOT NULL"),
    )
    op.create_index("ix_payment_due", "payment", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_index("ix_payment_user", "payment", ["user_id", "event_id"])
    op.create_table(
        "payment_job",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("command_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id", "payment_id"],
            ["payment.event_id", "payment.payment_id"],
            name=op.f("fk_payment_job_payment"),
        ),
        sa.PrimaryKeyConstraint("command_id", "event_id", name=op.f("pk_payment_job")),
    )
    op.create_index("ix_payment_job_payment", "payment_job", ["payment_id", "event_id"])
    op.create_table(
        "refund",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("refund_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("provider_ref", sa.Text(), nullable=True),
        _moment("created_at", nullable=False),
        _moment("due_at", nullable=False),
        _moment("done_at"),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('pending', 'done', 'dead')", name=op.f("ck_refund_state")),
        sa.CheckConstraint(
            "cause IN ('cancelled', 'event_cancelled', 'seats_gone', 'wrong_amount', 'paid_twice', 'given_up')",
            name=op.f("ck_refund_cause"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(
            ["event_id", "payment_id"],
            ["payment.event_id", "payment.payment_id"],
            name=op.f("fk_refund_payment"),
        ),
        sa.PrimaryKeyConstraint("refund_id", "event_id", name=op.f("pk_refund")),
        **_OFTEN,
    )
    op.create_index("ix_refund_due", "refund", ["due_at"], postgresql_where=sa.text("state = 'pending'"))
    op.create_index("ix_refund_payment", "refund", ["payment_id", "event_id"])
    op.create_index(
        "uq_refund_whole",
        "refund",
        ["payment_id", "event_id"],
        unique=True,
        postgresql_where=sa.text("cause <> 'cancelled'"),
    )
    op.create_table(
        "payment_hint",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_payment_hint_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("payment_id", "event_id", name=op.f("pk_payment_hint")),
    )
    op.create_table(
        "provider_intent",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("captured_amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refunded_amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refund_ids", sa.Text(), server_default="", nullable=False),
        _moment("pays_at"),
        sa.CheckConstraint(
            "state IN ('open', 'captured', 'declined', 'cancelled')", name=op.f("ck_provider_intent_state")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_provider_intent_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("payment_id", "event_id", name=op.f("pk_provider_intent")),
    )


def downgrade() -> None:
    for table in ("provider_intent", "payment_hint", "refund", "payment_job", "payment"):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_event_payments"), "event")
    op.drop_column("event", "payments")
