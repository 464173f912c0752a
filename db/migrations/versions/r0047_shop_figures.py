"""A shop says how it bears its fans, by a page that is asked for; and fans may wait at the shop's own host.

The running release reads none of the new columns.

Revision ID: 0047
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("shop", sa.Column("own_page", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("shop", sa.Column("probe_url", sa.Text(), server_default="", nullable=False))
    op.add_column("shop", sa.Column("target_ms", sa.Integer(), server_default="1000", nullable=False))
    op.create_check_constraint(op.f("ck_shop_target"), "shop", "target_ms BETWEEN 50 AND 60000")


def downgrade() -> None:
    for name in ("target_ms", "probe_url", "own_page"):
        op.drop_column("shop", name)
