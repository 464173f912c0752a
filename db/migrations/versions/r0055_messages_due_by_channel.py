"""Messages that are due are found by channel: what waits for a slow channel is not passed by for the others (ADR 177).

The release before takes messages by channel, too, and reads them in the new index' order.

Revision ID: 0055
"""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0052"
branch_labels = None
depends_on = None
while_serving = "safe"

_QUEUED = sa.text("state = 'queued'")


def upgrade() -> None:
    op.drop_index("ix_message_due", "message")
    op.create_index("ix_message_due", "message", ["channel", "urgency", "due_at"], postgresql_where=_QUEUED)


def downgrade() -> None:
    op.drop_index("ix_message_due", "message")
    op.create_index("ix_message_due", "message", ["urgency", "due_at"], postgresql_where=_QUEUED)
