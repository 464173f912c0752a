"""Holds may be in payment, and the index of their ends finds every hold that has its seats.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
while_serving = "safe"

_INDEX = "ix_reservation_open_expiry"
_INDEX_BEFORE = "ix_reservation_held_expiry"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_reservation_state"), "reservation")
    op.create_check_constraint(
        op.f("ck_reservation_state"),
        "reservation",
        "state IN ('held', 'paying', 'purchased', 'released', 'lapsed')",
    )
    op.create_index(
        _INDEX,
        "reservation",
        ["expires_at", "event_id"],
        postgresql_where=sa.text("state IN ('held', 'paying')"),
    )
    op.drop_index(_INDEX_BEFORE, "reservation")


def downgrade() -> None:
    op.create_index(
        _INDEX_BEFORE, "reservation", ["expires_at", "event_id"], postgresql_where=sa.text("state = 'held'")
    )
    op.drop_index(_INDEX, "reservation")
    op.execute("UPDATE reservation SET state = 'held' WHERE state = 'paying'")
    op.drop_constraint(op.f("ck_reservation_state"), "reservation")
    op.create_check_constraint(
        op.f("ck_reservation_state"), "reservation", "state IN ('held', 'purchased', 'released', 'lapsed')"
    )
