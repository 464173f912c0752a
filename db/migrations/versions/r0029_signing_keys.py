"""Keys that sign tokens have ids and are replaced without losing a place.

The running release knows no ids. It refuses what a new key signed, so keys are rotated once every process is upgraded.

Revision ID: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.create_table(
        "signing_key",
        sa.Column("key_group", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("signs_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key_group", "key_id", name=op.f("pk_signing_key")),
    )


def downgrade() -> None:
    op.drop_table("signing_key")
