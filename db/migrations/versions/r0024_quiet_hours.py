"""A reader of messages may name quiet hours.

The running release knows nothing of them, and writes at any hour until every worker is restarted.

Revision ID: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.create_table(
        "quiet_hours",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("from_hour", sa.SmallInteger(), nullable=False),
        sa.Column("until_hour", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint(
            "from_hour BETWEEN 0 AND 23 AND until_hour BETWEEN 0 AND 23", name=op.f("ck_quiet_hours_hours")
        ),
        sa.PrimaryKeyConstraint("address", "channel", name=op.f("pk_quiet_hours")),
    )


def downgrade() -> None:
    op.drop_table("quiet_hours")
