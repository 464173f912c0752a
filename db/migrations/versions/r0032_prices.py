"""Ticket types have fees, taxes, sale windows and limits of their own, and purchases keep what was charged.

Workers and gateways of the release before go on working: they read no column of these, and what they write has none of
them.

Revision ID: 0032
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0029"
branch_labels = None
depends_on = None

CHECKS = {
    "fee": "fee_amount >= 0 AND fee_basis_points BETWEEN 0 AND 10000",
    "tax": "tax_basis_points BETWEEN 0 AND 10000",
    "sold": "sold_from < sold_until",
    "seats_per_fan": "seats_per_fan_max BETWEEN 1 AND 1000",
}


def terms() -> list[sa.Column[Any]]:
    return [
        sa.Column("fee_amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fee_basis_points", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tax_basis_points", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tax_included", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("sold_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sold_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seats_per_fan_max", sa.Integer(), nullable=True),
    ]


def charges() -> list[sa.Column[Any]]:
    return [
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("fee", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tax", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tax_basis_points", sa.Integer(), server_default="0", nullable=False),
    ]


def upgrade() -> None:
    for column in terms():
        op.add_column("ticket", column)
    for name, check in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_ticket_{name}"), "ticket", check)
    op.add_column("reservation", sa.Column("charges", sa.ARRAY(sa.BigInteger()), nullable=True))
    for column in charges():
        op.add_column("purchase_detail", column)
    op.create_check_constraint(
        op.f("ck_purchase_detail_charged"),
        "purchase_detail",
        "amount IN (price + fee, price + fee + tax) AND tax <= amount",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_purchase_detail_charged"), "purchase_detail")
    for column in reversed(charges()):
        op.drop_column("purchase_detail", column.name)
    op.drop_column("reservation", "charges")
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_ticket_{name}"), "ticket")
    for column in reversed(terms()):
        op.drop_column("ticket", column.name)
