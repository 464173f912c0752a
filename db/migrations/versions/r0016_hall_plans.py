"""Events may have a hall plan, and with it each seat its position, its labels and what is particular about it.

Every new column of a seat may be null, and is for the seats of an event without a plan: the running release neither
reads nor writes them.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
while_serving = "safe"

_COLUMNS = (
    ("x", sa.Integer()),
    ("y", sa.Integer()),
    ("ordinal", sa.Integer()),
    ("flags", sa.SmallInteger()),
    ("row_label", sa.Text()),
    ("seat_label", sa.Text()),
    ("section", sa.Text()),
)


def upgrade() -> None:
    op.create_table(
        "event_plan",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("focus_x", sa.Integer(), nullable=False),
        sa.Column("focus_y", sa.Integer(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name=op.f("fk_event_plan_event"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_plan")),
    )
    for name, kind in _COLUMNS:
        op.add_column("seat", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name, _ in _COLUMNS[::-1]:
        op.drop_column("seat", name)
    op.drop_table("event_plan")
