"""Invoices with numbers that have no gap, credit notes, and payments that a bank takes days for.

The running release makes no invoices: what is paid meanwhile gets its own once the worker is of this release. Set a
payment term only when all are upgraded.

Revision ID: 0048
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.create_table(
        "invoice_series",
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series", name=op.f("pk_invoice_series")),
    )
    op.create_table(
        "invoice",
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("purchase_id", sa.Uuid(), nullable=False),
        sa.Column("credited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("of_series", sa.Text(), nullable=True),
        sa.Column("of_number", sa.BigInteger(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("mail", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name=op.f("ck_invoice_kind")),
        sa.CheckConstraint("amount > 0 AND tax BETWEEN 0 AND amount", name=op.f("ck_invoice_amount")),
        sa.CheckConstraint(
            "(kind = 'credit_note') = (of_number IS NOT NULL)"
            " AND (of_number IS NULL) = (of_series IS NULL) AND (of_number IS NULL) = (credited_at IS NULL)",
            name=op.f("ck_invoice_credited"),
        ),
        sa.ForeignKeyConstraint(["series"], ["invoice_series.series"], name=op.f("fk_invoice_invoice_series")),
        sa.ForeignKeyConstraint(
            ["of_series", "of_number"], ["invoice.series", "invoice.number"], name=op.f("fk_invoice_invoice")
        ),
        sa.PrimaryKeyConstraint("series", "number", name=op.f("pk_invoice")),
    )
    op.create_index(
        "uq_invoice_purchase",
        "invoice",
        ["purchase_id", "event_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'invoice'"),
    )
    op.create_index(
        "uq_invoice_credited",
        "invoice",
        ["purchase_id", "event_id", "credited_at"],
        unique=True,
        postgresql_where=sa.text("kind = 'credit_note'"),
    )
    op.create_index("ix_invoice_purchase", "invoice", ["purchase_id", "event_id"])
    op.create_index("ix_invoice_event", "invoice", ["event_id", "made_at"])
    op.add_column("event", sa.Column("seller", postgresql.JSONB(), nullable=True))
    op.add_column("payment", sa.Column("invoiced", sa.Boolean(), server_default="false", nullable=False))
    op.create_index(
        "ix_payment_to_invoice",
        "payment",
        ["ended_at"],
        postgresql_where=sa.text("state = 'booked' AND NOT invoiced"),
    )
    op.add_column("refund", sa.Column("credited", sa.Boolean(), server_default="false", nullable=False))
    op.create_index(
        "ix_refund_to_credit",
        "refund",
        ["created_at"],
        postgresql_where=sa.text("NOT credited AND cause IN ('cancelled', 'event_cancelled')"),
    )
    op.add_column("room", sa.Column("payment_term_hours", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(op.f("ck_room_payment_term_hours"), "room", "payment_term_hours BETWEEN 0 AND 480")
    op.add_column("payment", sa.Column("processing_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_payment_refused",
        "payment",
        ["ended_at"],
        postgresql_where=sa.text("state = 'failed' AND processing_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_payment_refused", "payment")
    op.drop_column("payment", "processing_at")
    op.drop_column("room", "payment_term_hours")
    op.drop_index("ix_refund_to_credit", "refund")
    op.drop_column("refund", "credited")
    op.drop_index("ix_payment_to_invoice", "payment")
    op.drop_column("payment", "invoiced")
    op.drop_column("event", "seller")
    op.drop_table("invoice")
    op.drop_table("invoice_series")
