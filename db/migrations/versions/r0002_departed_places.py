"""What outlives the loss of Redis: each room's epoch, and the places that ended.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("room", sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "departed_place",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("departed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_departed_place_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", "user_id", name="pk_departed_place"),
    )
    op.create_index("ix_departed_place_at", "departed_place", ["departed_at"])


def downgrade() -> None:
    op.drop_table("departed_place")
    op.drop_column("room", "epoch")
