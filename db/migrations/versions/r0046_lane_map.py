"""Operators say which lane an event belongs to, and how many lanes there are.

The running release knows no map: it goes on by `ADMITONE_LANES`. Move no event before all are upgraded.

Revision ID: 0046
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.create_table(
        "lane_map",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lane_count", sa.SmallInteger(), nullable=False),
        sa.Column("pins", postgresql.JSONB(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.CheckConstraint("lane_count BETWEEN 1 AND 64", name=op.f("ck_lane_map_lane_count")),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_lane_map")),
    )


def downgrade() -> None:
    op.drop_table("lane_map")
