"""A change of what the search finds has its transaction's number, so that gateways can follow the changes.

The trigger numbers what the running release notes as well.

Revision ID: 0050
"""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0048"
branch_labels = None
depends_on = None
while_serving = "safe"

FUNCTION = """
CREATE FUNCTION number_search_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed = pg_current_xact_id()::text::bigint;
    RETURN NEW;
END
$$
"""
TRIGGER = """
CREATE TRIGGER number_search_change BEFORE INSERT OR UPDATE ON search_change FOR EACH ROW
  EXECUTE FUNCTION number_search_change()
"""


def upgrade() -> None:
    op.add_column("search_change", sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("ix_search_change_changed", "search_change", ["changed"])
    op.execute(FUNCTION)
    op.execute(TRIGGER)


def downgrade() -> None:
    op.execute("DROP TRIGGER number_search_change ON search_change")
    op.execute("DROP FUNCTION number_search_change")
    op.drop_column("search_change", "changed")
