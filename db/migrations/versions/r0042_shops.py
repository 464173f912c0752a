"""A room may stand before somebody else's shop, which has no seats of ours.

The running release knows no shops: it lists such an event without tickets until it is upgraded.

Revision ID: 0042
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0042"
down_revision = "0039"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    texts = postgresql.ARRAY(sa.Text())
    op.create_table(
        "shop",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("return_origins", texts, server_default="{}", nullable=False),
        sa.Column("paths", texts, server_default="{/}", nullable=False),
        sa.Column("open_paths", texts, server_default="{}", nullable=False),
        sa.Column("always", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("fail_open", sa.Boolean(), server_default="true", nullable=False),
        sa.CheckConstraint(
            "cardinality(paths) BETWEEN 1 AND 100 AND cardinality(open_paths) <= 100", name=op.f("ck_shop_paths")
        ),
        sa.CheckConstraint("cardinality(return_origins) <= 20", name=op.f("ck_shop_origins")),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name=op.f("fk_shop_event"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_shop")),
    )


def downgrade() -> None:
    op.execute("DELETE FROM event WHERE event_id IN (SELECT event_id FROM shop)")
    op.drop_table("shop")
