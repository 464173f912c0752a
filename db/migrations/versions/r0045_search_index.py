"""The events whose document in a search index is to be written anew, and indices of whole names.

The running release does not write them; the index is built whole when it is first used.

Revision ID: 0045
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0042"
branch_labels = None
depends_on = None
while_serving = "safe"

UPDATED_OFTEN = {
    "fillfactor": 70,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.02,
}

KEYS = ("artist_key", "name_key", "venue_key")
"""The event is among those that are ranked where one of these is the whole search. ``town_key`` has an index."""

# As before, and the event is noted. The trigger's condition stays: it fires only when a ticket type sells out or comes
# back.
FUNCTION = """
CREATE OR REPLACE FUNCTION keep_event_search_available() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE event_search s
       SET is_available = EXISTS (SELECT FROM ticket t WHERE t.event_id = NEW.event_id AND t.available_count > 0)
     WHERE s.event_id = NEW.event_id;
    INSERT INTO search_change (event_id) VALUES (NEW.event_id)
        ON CONFLICT (event_id) DO UPDATE SET number = search_change.number + 1;
    RETURN NULL;
END
$$
"""
FUNCTION_BEFORE = """
CREATE OR REPLACE FUNCTION keep_event_search_available() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE event_search s
       SET is_available = EXISTS (SELECT FROM ticket t WHERE t.event_id = NEW.event_id AND t.available_count > 0)
     WHERE s.event_id = NEW.event_id;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "search_change",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_search_change")),
        postgresql_with=UPDATED_OFTEN,
    )
    for column in KEYS:
        op.create_index(f"ix_event_search_{column}", "event_search", [column])
    op.create_index("ix_search_change_since", "search_change", ["since"])
    op.execute(FUNCTION)


def downgrade() -> None:
    op.execute(FUNCTION_BEFORE)
    op.drop_table("search_change")
    for column in KEYS:
        op.drop_index(f"ix_event_search_{column}", "event_search")
