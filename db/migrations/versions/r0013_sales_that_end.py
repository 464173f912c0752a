"""Sales end, events may be taken off sale, ticket type ids are never used again, and a purchase keeps the
time until which it may be cancelled.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
while_serving = "safe"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("event", sa.Column("off_sale_at", _MOMENT, nullable=True))
    op.add_column("event", sa.Column("state", sa.Text(), server_default="published", nullable=False))
    op.add_column("event", sa.Column("ticket_types_made", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(op.f("ck_event_state"), "event", "state IN ('published', 'unpublished', 'cancelled')")
    # Ids of ticket types that were removed before are not known; those that purchases tell of still stand in `ticket`.
    op.execute(
        """
        UPDATE event e
           SET ticket_types_made = t.last
          FROM (SELECT event_id, max(ticket_type_id) AS last FROM ticket GROUP BY event_id) AS t
         WHERE t.event_id = e.event_id
        """
    )
    op.add_column("purchase", sa.Column("cancel_until", _MOMENT, nullable=True))


def downgrade() -> None:
    op.drop_column("purchase", "cancel_until")
    op.drop_constraint(op.f("ck_event_state"), "event")
    for column in ("ticket_types_made", "state", "off_sale_at"):
        op.drop_column("event", column)
