"""Events have a picture and the time when the doors open; fans' browsers may be told of their turn by web push.

The running release names none of these columns in what it inserts: such an event has no picture and no doors' time.

Revision ID: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None
while_serving = "safe"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "picture",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("large", sa.LargeBinary(), nullable=False),
        sa.Column("small", sa.LargeBinary(), nullable=False),
        sa.Column("card", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("used_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_picture")),
        sa.CheckConstraint("hash ~ '^[0-9a-f]{32}$'", name=op.f("ck_picture_hash")),
    )
    # Postgres would try in vain to compress them, at each write.
    for column in ("large", "small", "card"):
        op.execute(f"ALTER TABLE picture ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.add_column("event", sa.Column("doors_at", _MOMENT, nullable=True))
    op.add_column("event", sa.Column("picture_hash", sa.Text(), nullable=True))
    op.add_column("event", sa.Column("picture_alt", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "push_subscription",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("p256dh", sa.Text(), nullable=False),
        sa.Column("auth", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("made_at", _MOMENT, server_default=sa.func.clock_timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_push_subscription_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "user_id", "endpoint", name=op.f("pk_push_subscription")),
    )


def downgrade() -> None:
    op.drop_table("push_subscription")
    for column in ("picture_alt", "picture_hash", "doors_at"):
        op.drop_column("event", column)
    op.drop_table("picture")
