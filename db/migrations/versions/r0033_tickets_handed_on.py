"""A ticket is handed on to another fan: who has it now, how often it was issued, and the log of that.

The columns have defaults, so that workers and gateways of the release before go on with the table as it is.

Revision ID: 0033
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("purchase_detail", sa.Column("issue_number", sa.Integer(), server_default="1", nullable=False))
    op.add_column("purchase_detail", sa.Column("holder_user_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_purchase_detail_holder",
        "purchase_detail",
        ["holder_user_id", "event_id"],
        postgresql_where=sa.text("holder_user_id IS NOT NULL"),
    )
    op.create_table(
        "ticket_issue",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("purchase_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_type_id", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("seat_number", sa.Integer(), nullable=False),
        sa.Column("issue_number", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "purchase_id",
            "event_id",
            "ticket_type_id",
            "row_number",
            "seat_number",
            "issue_number",
            name=op.f("pk_ticket_issue"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "purchase_id"],
            ["purchase.event_id", "purchase.purchase_id"],
            name=op.f("fk_ticket_issue_purchase"),
        ),
        sa.Index("ix_ticket_issue_user", "user_id", "event_id"),
    )


def downgrade() -> None:
    op.drop_table("ticket_issue")
    op.drop_index("ix_purchase_detail_holder", "purchase_detail")
    op.drop_column("purchase_detail", "holder_user_id")
    op.drop_column("purchase_detail", "issue_number")
