"""A ticket type may name the entrance that its fans come in by, and a hall plan's picture is known by its hash.

The running release does not name the columns in what it inserts or changes: such a ticket type names no entrance, and
keeps the one it has. A plan that it writes keeps a picture from being forgotten only where it had it before.

Revision ID: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("event_plan", sa.Column("picture_hash", sa.Text(), nullable=True))
    op.add_column("ticket", sa.Column("entrance", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("ticket", "entrance")
    op.drop_column("event_plan", "picture_hash")
