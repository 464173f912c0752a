"""An event keeps so many seats at a time for fans whose banks take days, and no more.

Revision ID: 0051
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("room", sa.Column("payment_term_seats_max", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(
        op.f("ck_room_payment_term_seats_max"), "room", "payment_term_seats_max BETWEEN 0 AND 1000000"
    )


def downgrade() -> None:
    op.drop_column("room", "payment_term_seats_max")
