"""The lobby before a sale, and its draw: a committed seed, and who drew which number.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("room", sa.Column("lobby_minutes", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(op.f("ck_room_lobby"), "room", "lobby_minutes >= 0")
    op.create_table(
        "draw",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=False),
        sa.Column("seed_hash", sa.LargeBinary(), nullable=False),
        sa.Column("fan_key", sa.LargeBinary(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("participants", sa.Integer(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(drawn_at IS NULL) = (participants IS NULL)", name=op.f("ck_draw_drawn")),
        sa.CheckConstraint("(drawn_at IS NULL) = (epoch IS NULL)", name=op.f("ck_draw_epoch")),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_draw_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", name="pk_draw"),
    )
    op.create_table(
        "draw_entry",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fan_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["draw.event_id"], name="fk_draw_entry_draw", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "event_id", name="pk_draw_entry"),
        sa.UniqueConstraint("event_id", "number", name="uq_draw_entry_event_id_number"),
    )


def downgrade() -> None:
    op.drop_table("draw_entry")
    op.drop_table("draw")
    op.drop_column("room", "lobby_minutes")
