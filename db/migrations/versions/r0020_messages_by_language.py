"""A room's message to its line may have a text of its own for each language.

The running release does not read the column: it goes on showing everybody the one text.

Revision ID: 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None
while_serving = "safe"

# Strings of 1 to 280 characters. A pattern of Postgres repeats a sign at most 255 times.
_NO_TEXT = 'strict $.* ? (@.type() != "string" || !(@ like_regex "^.{1,140}.{0,140}$" flag "s"))'


def upgrade() -> None:
    messages = sa.Column("messages", postgresql.JSONB(), server_default="{}", nullable=False)
    op.add_column("room", messages)
    op.create_check_constraint(
        op.f("ck_room_messages"), "room", f"jsonb_typeof(messages) = 'object' AND NOT messages @? '{_NO_TEXT}'"
    )


def downgrade() -> None:
    op.drop_column("room", "messages")
