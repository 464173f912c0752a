"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
while_serving = "safe"

UPDATED_OFTEN = {
    "fillfactor": 70,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.02,
}


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("artist", sa.Text(), server_default="", nullable=False),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("date", sa.DateTime(timezone=True), nullable=False),
        sa.Column("on_sale_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("seats_per_fan_max", sa.Integer(), server_default="10", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("seats_per_fan_max BETWEEN 1 AND 1000", name=op.f("ck_event_seats_per_fan")),
        sa.PrimaryKeyConstraint("event_id", name="pk_event"),
        postgresql_with=UPDATED_OFTEN,
    )
    op.create_table(
        "operator",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_operator"),
    )
    op.create_table(
        "booking_command",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("command_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_booking_command_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("command_id", "event_id", name="pk_booking_command"),
    )
    op.create_index("ix_booking_command_recorded_at", "booking_command", ["recorded_at"])
    op.create_table(
        "outbox",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("outbox_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_outbox_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", "outbox_id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_unsent", "outbox", ["outbox_id"], postgresql_where=sa.text("sent_at IS NULL"))
    op.create_table(
        "purchase",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("purchase_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("total_amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("purchase_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="confirmed", nullable=False),
        sa.CheckConstraint("status IN ('confirmed', 'cancelled')", name=op.f("ck_purchase_status")),
        sa.CheckConstraint("total_amount >= 0", name=op.f("ck_purchase_total")),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_purchase_event"),
        sa.PrimaryKeyConstraint("purchase_id", "event_id", name="pk_purchase"),
    )
    op.create_index("ix_purchase_user", "purchase", ["user_id", "event_id"])
    op.create_table(
        "reservation",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="held", nullable=False),
        sa.Column("ticket_type_ids", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("row_numbers", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("seat_numbers", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("total_amount", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifetime_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('held', 'purchased', 'released', 'lapsed')", name=op.f("ck_reservation_state")),
        sa.CheckConstraint("expires_at <= lifetime_ends_at", name=op.f("ck_reservation_lifetime")),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_reservation_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("reservation_id", "event_id", name="pk_reservation"),
        postgresql_with=UPDATED_OFTEN,
    )
    op.create_index("ix_reservation_user", "reservation", ["user_id", "event_id"])
    op.create_index(
        "ix_reservation_held_expiry",
        "reservation",
        ["expires_at", "event_id"],
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_table(
        "room",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("rate_per_minute", sa.Integer(), server_default="300", nullable=False),
        sa.Column("capacity", sa.Integer(), server_default="500", nullable=False),
        sa.Column("line_cap", sa.Integer(), server_default="5000", nullable=False),
        sa.Column("claim_window_seconds", sa.Integer(), server_default="60", nullable=False),
        sa.Column("pass_seconds", sa.Integer(), server_default="900", nullable=False),
        sa.Column("autopilot", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "state IN ('off', 'lobby', 'open', 'paused', 'rebuilding', 'sold_out', 'closed')",
            name=op.f("ck_room_state"),
        ),
        sa.CheckConstraint("rate_per_minute >= 0 AND capacity >= 0 AND line_cap >= 0", name=op.f("ck_room_limits")),
        sa.CheckConstraint("claim_window_seconds > 0 AND pass_seconds > 0", name=op.f("ck_room_lifetimes")),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_room_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", name="pk_room"),
    )
    op.create_table(
        "room_log",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("log_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_room_log_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", "log_id", name="pk_room_log"),
    )
    op.create_table(
        "ticket",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("ticket_type_id", sa.Integer(), nullable=False),
        sa.Column("ticket_type", sa.Text(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("available_count", sa.Integer(), nullable=False),
        sa.Column("held_count", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("available_count + held_count <= quantity", name=op.f("ck_ticket_counts_within_quantity")),
        sa.CheckConstraint("available_count >= 0 AND held_count >= 0", name=op.f("ck_ticket_counts_not_negative")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_ticket_price")),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_ticket_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", "ticket_type_id", name="pk_ticket"),
        postgresql_with=UPDATED_OFTEN,
    )
    op.create_table(
        "purchase_detail",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("purchase_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_type_id", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("seat_number", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("ticket_code", sa.Text(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_purchase_detail_amount")),
        sa.ForeignKeyConstraint(
            ["event_id", "purchase_id"],
            ["purchase.event_id", "purchase.purchase_id"],
            name="fk_purchase_detail_purchase",
        ),
        sa.PrimaryKeyConstraint(
            "purchase_id",
            "event_id",
            "ticket_type_id",
            "row_number",
            "seat_number",
            name="pk_purchase_detail",
        ),
    )
    op.create_index(
        "uq_purchase_detail_live_seat",
        "purchase_detail",
        ["ticket_type_id", "row_number", "seat_number", "event_id"],
        unique=True,
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )
    op.create_table(
        "seat",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("ticket_type_id", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("seat_number", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default="available", nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'reserved') = (reservation_id IS NOT NULL AND held_until IS NOT NULL)",
            name=op.f("ck_seat_held_by"),
        ),
        sa.CheckConstraint("status IN ('available', 'reserved', 'booked')", name=op.f("ck_seat_status")),
        sa.ForeignKeyConstraint(
            ["event_id", "ticket_type_id"],
            ["ticket.event_id", "ticket.ticket_type_id"],
            name="fk_seat_ticket",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "ticket_type_id", "row_number", "seat_number", name="pk_seat"),
        postgresql_with=UPDATED_OFTEN,
    )


def downgrade() -> None:
    for table in (
        "purchase_detail",
        "purchase",
        "seat",
        "ticket",
        "reservation",
        "booking_command",
        "outbox",
        "room_log",
        "room",
        "operator",
        "event",
    ):
        op.drop_table(table)
