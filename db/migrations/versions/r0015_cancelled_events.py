"""Events can be cancelled whole, and have a notice to their fans.

A process of the release before never cancels an event, and knows the state. But its workers still sell the holds of a
cancelled event and do not end them: cancel none before every worker has been restarted.

Revision ID: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None
while_serving = "safe"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("event", sa.Column("notice", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "event_cancellation",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cancelled_at", _MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("told_through", sa.Uuid(), nullable=True),
        sa.Column("done_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_event_cancellation_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_cancellation")),
    )
    op.create_index(
        "ix_event_cancellation_to_do",
        "event_cancellation",
        ["cancelled_at"],
        postgresql_where=sa.text("done_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("event_cancellation")
    op.drop_column("event", "notice")
