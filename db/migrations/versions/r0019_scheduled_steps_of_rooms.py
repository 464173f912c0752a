"""Operators schedule steps of a room: dials that are set at a moment.

The running release does not know the table; what was scheduled waits for a gateway of this release.

Revision ID: 0019
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None
while_serving = "safe"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "room_step",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("step_id", sa.Uuid(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("asks", postgresql.JSONB(), nullable=False),
        sa.Column("scheduled_by", sa.Text(), nullable=False),
        sa.Column("scheduled_at", _MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["room.event_id"], name=op.f("fk_room_step_room"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("step_id", "event_id", name=op.f("pk_room_step")),
    )
    op.create_index("ix_room_step_event_id", "room_step", ["event_id"])
    op.create_index("ix_room_step_at", "room_step", ["at"])


def downgrade() -> None:
    op.drop_table("room_step")
