"""Addresses are sealed, and found by a hash. Rows of the release before stay plain until housekeeping seals them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None
while_serving = "safe"

_UNIQUE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("follower", ("what", "name", "address_hash")),
    ("suppression", ("address_hash", "channel", "kind")),
    ("quiet_hours", ("address_hash", "channel")),
    ("push_subscription", ("event_id", "user_id", "address_hash")),
)
_PLAIN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("contact", ("event_id", "user_id")),
    ("follower", ("follower_id",)),
    ("suppression", ("channel",)),
    ("quiet_hours", ("channel",)),
    ("push_subscription", ("event_id", "user_id")),
    ("message", ("message_id",)),
)


def upgrade() -> None:
    for table, columns in _PLAIN:
        op.add_column(table, sa.Column("address_hash", sa.LargeBinary(), nullable=True))
        op.create_index(f"ix_{table}_plain", table, list(columns), postgresql_where=sa.text("address_hash IS NULL"))
    for table, columns in _UNIQUE:
        op.create_unique_constraint(op.f(f"uq_{table}_{'_'.join(columns)}"), table, list(columns))
    op.drop_index("ix_contact_address", "contact")
    for table in ("contact", "follower"):
        op.create_index(f"ix_{table}_address_hash", table, ["address_hash"])


def downgrade() -> None:
    """Sealed addresses stay sealed: the release before cannot read them."""
    for table in ("contact", "follower"):
        op.drop_index(f"ix_{table}_address_hash", table)
    op.create_index("ix_contact_address", "contact", ["address"])
    for table, columns in _UNIQUE:
        op.drop_constraint(op.f(f"uq_{table}_{'_'.join(columns)}"), table)
    for table, _ in _PLAIN:
        op.drop_index(f"ix_{table}_plain", table)
        op.drop_column(table, "address_hash")
