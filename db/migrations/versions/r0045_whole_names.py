"""Indices of whole names, by which the search has the event of that very name among those that it ranks.

The running release does not use them.

Revision ID: 0045
"""

from alembic import op

revision = "0045"
down_revision = "0042"
branch_labels = None
depends_on = None

COLUMNS = ("artist_key", "name_key", "venue_key")


def upgrade() -> None:
    for column in COLUMNS:
        op.create_index(f"ix_event_search_{column}", "event_search", [column])


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_index(f"ix_event_search_{column}", "event_search")
