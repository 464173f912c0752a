"""A room's message to its line, and which revision each logged change made.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("room", sa.Column("message", sa.Text(), server_default="", nullable=False))
    op.create_check_constraint(op.f("ck_room_message"), "room", "char_length(message) <= 280")
    op.add_column("room_log", sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("room_log", "revision")
    op.drop_constraint(op.f("ck_room_message"), "room")
    op.drop_column("room", "message")
