"""Tickets are checked in at gates; a ticket's code has an index, for a steward who types it waits.

The running release reads none of it, and goes on.

Revision ID: 0034
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.create_table(
        "entry",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_type_id", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("seat_number", sa.Integer(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("scan_id", sa.Uuid(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("is_offline", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("shown_again", sa.Integer(), server_default="0", nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by = '')", name=op.f("ck_entry_undone")),
        sa.ForeignKeyConstraint(
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
        sa.PrimaryKeyConstraint("entry_id", "event_id", name=op.f("pk_entry")),
        postgresql_with={
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.02,
        },
    )
    op.create_index(
        "uq_entry_living_ticket",
        "entry",
        ["purchase_id", "ticket_type_id", "row_number", "seat_number", "event_id"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.create_index("uq_entry_scan", "entry", ["device", "scan_id", "event_id"], unique=True)
    op.create_index("ix_entry_event", "entry", ["event_id", "ticket_type_id", "gate"])
    op.create_table(
        "entry_conflict",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("scan_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_id", sa.Uuid(), nullable=True),
        sa.Column("ticket_type_id", sa.Integer(), nullable=True),
        sa.Column("row_number", sa.Integer(), nullable=True),
        sa.Column("seat_number", sa.Integer(), nullable=True),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "why IN ('used', 'cancelled', 'event_cancelled', 'handed_on', 'unknown')",
            name=op.f("ck_entry_conflict_why"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_entry_conflict_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device", "scan_id", "event_id", name=op.f("pk_entry_conflict")),
    )
    op.create_index("ix_entry_conflict_event", "entry_conflict", ["event_id", "recorded_at"])
    op.create_index("ix_purchase_detail_code", "purchase_detail", [sa.text("left(ticket_code, 16)")])


def downgrade() -> None:
    op.drop_index("ix_purchase_detail_code", table_name="purchase_detail")
    op.drop_table("entry_conflict")
    op.drop_table("entry")
