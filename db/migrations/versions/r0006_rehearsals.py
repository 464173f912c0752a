"""Copies of events, to rehearse their sale on.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("event", sa.Column("rehearsal_of", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("event", "rehearsal_of")
