"""Two accounts of one person are joined: one of them says which other it is now, and its holds say whose they were.

Revision ID: 0052
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("account", sa.Column("merged_into", sa.BigInteger(), nullable=True))
    op.add_column("account", sa.Column("merged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("account", sa.Column("merge_done_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_account_merged"),
        "account",
        "merged_into <> user_id AND (merged_into IS NULL) = (merged_at IS NULL)"
        " AND (merge_done_at IS NULL OR merged_at IS NOT NULL)",
    )
    op.create_index(
        "ix_account_merged_into", "account", ["merged_into"], postgresql_where=sa.text("merged_into IS NOT NULL")
    )
    op.create_index(
        "ix_account_merging",
        "account",
        ["merged_at"],
        postgresql_where=sa.text("merged_into IS NOT NULL AND merge_done_at IS NULL"),
    )
    op.add_column(
        "reservation",
        sa.Column("merged_from", postgresql.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
    )


def downgrade() -> None:
    op.drop_column("reservation", "merged_from")
    op.drop_index("ix_account_merging", "account")
    op.drop_index("ix_account_merged_into", "account")
    op.drop_constraint(op.f("ck_account_merged"), "account")
    op.drop_column("account", "merge_done_at")
    op.drop_column("account", "merged_at")
    op.drop_column("account", "merged_into")
