"""Events have a town and tags, and are searched by words that stand in a table of their own.

The running release reads and writes none of it: `admitone migrate` writes the words of all events once the tables are
there, and the workers' housekeeping those of events that a gateway of the running release changes.

Revision ID: 0039
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from db.search.extension import require_trigrams

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None
while_serving = "safe"

UPDATED_OFTEN = {
    "fillfactor": 70,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.02,
}

# The booking batch writes `ticket`. The condition has it pay for the function only when a ticket type sells out or
# comes back.
FUNCTION = """
CREATE FUNCTION keep_event_search_available() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE event_search s
       SET is_available = EXISTS (SELECT FROM ticket t WHERE t.event_id = NEW.event_id AND t.available_count > 0)
     WHERE s.event_id = NEW.event_id;
    RETURN NULL;
END
$$
"""
TRIGGER = """
CREATE TRIGGER keep_event_search_available AFTER UPDATE OF available_count ON ticket FOR EACH ROW
  WHEN ((OLD.available_count = 0) <> (NEW.available_count = 0))
  EXECUTE FUNCTION keep_event_search_available()
"""


def upgrade() -> None:
    require_trigrams(op.get_bind())
    op.add_column("event", sa.Column("town", sa.Text(), server_default="", nullable=False))
    op.add_column("event", sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.create_table(
        "event_search",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("terms", postgresql.TSVECTOR(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("artist_key", sa.Text(), nullable=False),
        sa.Column("venue_key", sa.Text(), nullable=False),
        sa.Column("town_key", sa.Text(), nullable=False),
        sa.Column("town", sa.Text(), nullable=False),
        sa.Column("tag_keys", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("date", sa.DateTime(timezone=True), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("on_sale_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("off_sale_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price_from", sa.BigInteger(), nullable=True),
        sa.Column("price_band", sa.SmallInteger(), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("folding", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_event_search_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_search")),
        postgresql_with=UPDATED_OFTEN,
    )
    op.create_index(
        "ix_event_search_terms",
        "event_search",
        ["terms"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_index("ix_event_search_date", "event_search", ["date", "event_id"])
    op.create_index("ix_event_search_town_date", "event_search", ["town_key", "date"])
    op.create_table(
        "search_word",
        sa.Column("word", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_search_word")),
    )
    op.create_index(
        "ix_search_word_trigrams",
        "search_word",
        ["word"],
        postgresql_using="gin",
        postgresql_ops={"word": "gin_trgm_ops"},
        postgresql_with={"fastupdate": "off"},
    )
    op.execute(FUNCTION)
    op.execute(TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER keep_event_search_available ON ticket")
    op.execute("DROP FUNCTION keep_event_search_available")
    op.drop_table("search_word")
    op.drop_table("event_search")
    op.drop_column("event", "tags")
    op.drop_column("event", "town")
