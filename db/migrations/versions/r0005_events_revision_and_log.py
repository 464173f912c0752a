"""Which revision an event's definition stands at, who changed what of it, and the amounts that a hold agreed on.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("event", sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False))
    op.add_column("reservation", sa.Column("amounts", sa.ARRAY(sa.BigInteger()), server_default="{}", nullable=False))
    op.create_table(
        "event_log",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("log_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_event_log_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", "log_id", name="pk_event_log"),
    )


def downgrade() -> None:
    op.drop_table("event_log")
    op.drop_column("reservation", "amounts")
    op.drop_column("event", "revision")
