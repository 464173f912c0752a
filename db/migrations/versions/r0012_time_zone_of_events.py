"""Events have the time zone of their venue.

The running release names none in what it inserts: such an event has UTC, which stands for an unknown zone.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("event", sa.Column("time_zone", sa.Text(), server_default="UTC", nullable=False))


def downgrade() -> None:
    op.drop_column("event", "time_zone")
