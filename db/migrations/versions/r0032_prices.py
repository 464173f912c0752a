"""Ticket types have fees, taxes, windows and limits, purchases keep what was charged; vouchers, allotments.

Workers and gateways of the release before go on working: they read no column of these, and what they write has none of
them.

Revision ID: 0032
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None
while_serving = "safe"

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
        sa.Column("discount", sa.BigInteger(), server_default="0", nullable=False),
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
        "amount IN (price - discount + fee, price - discount + fee + tax) AND tax <= amount"
        " AND discount BETWEEN 0 AND price",
    )
    op.add_column("purchase", sa.Column("voucher_hash", sa.LargeBinary(), nullable=True))
    op.create_table(
        "voucher_issue",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("vouchers", sa.Integer(), nullable=False),
        sa.Column("uses_max", sa.Integer(), nullable=False),
        sa.Column("basis_points", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("ticket_type_ids", sa.ARRAY(sa.Integer()), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("issued_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.CheckConstraint("vouchers > 0 AND uses_max > 0", name=op.f("ck_voucher_issue_counts")),
        sa.CheckConstraint("basis_points BETWEEN 0 AND 10000 AND amount >= 0", name=op.f("ck_voucher_issue_discount")),
        sa.CheckConstraint("(basis_points > 0) <> (amount > 0)", name=op.f("ck_voucher_issue_one_discount")),
        sa.CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name=op.f("ck_voucher_issue_revoked")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_voucher_issue_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("issue_id", "event_id", name=op.f("pk_voucher_issue")),
    )
    op.create_index("ix_voucher_issue_event_id", "voucher_issue", ["event_id"])
    op.create_table(
        "voucher",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("uses_max", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("uses BETWEEN 0 AND uses_max", name=op.f("ck_voucher_uses")),
        sa.ForeignKeyConstraint(
            ["issue_id", "event_id"],
            ["voucher_issue.issue_id", "voucher_issue.event_id"],
            name=op.f("fk_voucher_voucher_issue"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("code_hash", "event_id", name=op.f("pk_voucher")),
    )
    op.create_index("ix_voucher_issue_id", "voucher", ["issue_id"])
    op.create_table(
        "allotment",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("allotment_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name=op.f("fk_allotment_event"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("allotment_id", "event_id", name=op.f("pk_allotment")),
    )
    op.create_index("ix_allotment_event_id", "allotment", ["event_id"])
    op.create_table(
        "allotment_seat",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("ticket_type_id", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("seat_number", sa.Integer(), nullable=False),
        sa.Column("allotment_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["allotment_id", "event_id"],
            ["allotment.allotment_id", "allotment.event_id"],
            name=op.f("fk_allotment_seat_allotment"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "ticket_type_id"],
            ["ticket.event_id", "ticket.ticket_type_id"],
            name=op.f("fk_allotment_seat_ticket"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "event_id", "ticket_type_id", "row_number", "seat_number", name=op.f("pk_allotment_seat")
        ),
    )
    op.create_index("ix_allotment_seat_allotment_id", "allotment_seat", ["allotment_id"])


def downgrade() -> None:
    op.drop_table("allotment_seat")
    op.drop_table("allotment")
    op.drop_table("voucher")
    op.drop_table("voucher_issue")
    op.drop_column("purchase", "voucher_hash")
    op.drop_constraint(op.f("ck_purchase_detail_charged"), "purchase_detail")
    for column in reversed(charges()):
        op.drop_column("purchase_detail", column.name)
    op.drop_column("reservation", "charges")
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_ticket_{name}"), "ticket")
    for column in reversed(terms()):
        op.drop_column("ticket", column.name)
