"""Payments by Stripe and Mollie, payments with a voucher, the provider's own page, and what reconciling found.

Revision ID: 0037
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_event_payments"), "event")
    op.create_check_constraint(op.f("ck_event_payments"), "event", "payments IN ('', 'test', 'stripe', 'mollie')")
    op.add_column("payment", sa.Column("voucher_hash", sa.LargeBinary(), nullable=True))
    op.add_column("payment", sa.Column("discounts", postgresql.ARRAY(sa.BigInteger()), nullable=True))
    op.add_column("payment", sa.Column("at_provider", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("payment", sa.Column("pay_href", sa.Text(), nullable=True))
    op.add_column("payment_hint", sa.Column("at_provider", sa.Boolean(), server_default="false", nullable=False))
    op.create_table(
        "reconciliation",
        sa.Column("reconciliation_id", sa.Uuid(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("payments", sa.Integer(), server_default="0", nullable=False),
        sa.Column("differences", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("reconciliation_id", name=op.f("pk_reconciliation")),
    )


def downgrade() -> None:
    op.drop_table("reconciliation")
    op.drop_column("payment_hint", "at_provider")
    for column in ("pay_href", "at_provider", "discounts", "voucher_hash"):
        op.drop_column("payment", column)
    op.drop_constraint(op.f("ck_event_payments"), "event")
    op.create_check_constraint(op.f("ck_event_payments"), "event", "payments IN ('', 'test')")
