"""A view reads a ticket and locks it, so that a gateway checks it in by one statement. An index finds the messages that
tell of an event's move or cancellation, for the console shows how far they have come.

A gateway's role may read tickets and not lock them. The view's owner may, and Postgres asks for the owner's rights.
The running release reads neither, and goes on.

Revision ID: 0038
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.execute(
        """
        CREATE VIEW ticket_at_gate AS
        SELECT event_id, purchase_id, ticket_type_id, row_number, seat_number, ticket_code, issue_number, cancelled_at
          FROM purchase_detail
           FOR KEY SHARE
        """
    )
    op.create_index(
        "ix_message_told",
        "message",
        ["event_id", "kind", "state"],
        postgresql_where=sa.text("kind IN ('event_moved', 'event_cancelled')"),
    )


def downgrade() -> None:
    op.drop_index("ix_message_told", table_name="message")
    op.execute("DROP VIEW ticket_at_gate")
