"""Fans of a sold-out event wait for seats that come back, and an event has rules for cancelling.

The running release goes on with it: the list is off, and the rules are what the settings say.

Revision ID: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None
while_serving = "safe"

_DIALS = (
    ("offer_minutes", 60, 1, 10_080),
    ("cancel_hours", 0, 0, 100_000),
    ("cancel_fee_percent", 0, 0, 100),
    ("cancel_fee_amount", 0, 0, 100_000_000),
)


def upgrade() -> None:
    op.add_column("room", sa.Column("waiting_list", sa.Boolean(), server_default="false", nullable=False))
    for name, default, least, most in _DIALS:
        op.add_column("room", sa.Column(name, sa.Integer(), server_default=str(default), nullable=False))
        op.create_check_constraint(op.f(f"ck_room_{name}"), "room", f"{name} BETWEEN {least} AND {most}")
    op.create_index("ix_room_waiting_list", "room", ["event_id"], postgresql_where=sa.text("waiting_list"))
    op.add_column("purchase_detail", sa.Column("cancel_fee", sa.BigInteger(), server_default="0", nullable=False))
    op.create_check_constraint(
        op.f("ck_purchase_detail_cancel_fee"),
        "purchase_detail",
        "cancel_fee BETWEEN 0 AND amount AND (cancel_fee = 0 OR cancelled_at IS NOT NULL)",
    )
    op.create_table(
        "waiting_entry",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("ticket_type_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("network", sa.Text(), server_default="", nullable=False),
        sa.Column("proven", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reservation_id", sa.Uuid(), nullable=True),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'offered', 'left', 'passed')", name=op.f("ck_waiting_entry_state")),
        sa.CheckConstraint("quantity BETWEEN 1 AND 10", name=op.f("ck_waiting_entry_quantity")),
        sa.CheckConstraint("(state = 'offered') = (reservation_id IS NOT NULL)", name=op.f("ck_waiting_entry_offer")),
        sa.CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name=op.f("ck_waiting_entry_ended")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_waiting_entry_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "number", name=op.f("pk_waiting_entry")),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_waiting_entry_fan", "waiting_entry", ["user_id", "event_id"])
    op.create_index("ix_waiting_entry_type", "waiting_entry", ["event_id", "ticket_type_id", "number"])
    op.create_index(
        "ix_waiting_entry_turn",
        "waiting_entry",
        ["event_id", "ticket_type_id", "quantity", "number"],
        postgresql_where=waiting,
    )
    op.create_index("ix_waiting_entry_network", "waiting_entry", ["event_id", "network"], postgresql_where=waiting)
    op.create_index(
        "ix_waiting_entry_entered", "waiting_entry", ["entered_at"], postgresql_where=sa.text("network <> ''")
    )
    op.create_index(
        "uq_waiting_entry_waiting", "waiting_entry", ["event_id", "user_id"], unique=True, postgresql_where=waiting
    )
    op.create_index(
        "uq_waiting_entry_hold",
        "waiting_entry",
        ["event_id", "reservation_id"],
        unique=True,
        postgresql_where=sa.text("reservation_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("waiting_entry")
    op.drop_constraint(op.f("ck_purchase_detail_cancel_fee"), "purchase_detail")
    op.drop_column("purchase_detail", "cancel_fee")
    op.drop_index("ix_room_waiting_list", "room")
    for name, _, _, _ in _DIALS:
        op.drop_column("room", name)
    op.drop_column("room", "waiting_list")
