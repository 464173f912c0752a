"""An order is what a purchase is to its fan and to the venue's office: it has a code, and what the event asked for.

Purchases that were made before are numbered here, in one rewrite of their table. The running release goes on with it:
the number has a default, and no event asks for anything before an operator says so.

Revision ID: 0036
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("event", sa.Column("asks", postgresql.JSONB(), nullable=True))
    op.add_column("purchase", sa.Column("order_number", sa.BigInteger(), sa.Identity(always=False), nullable=False))
    op.add_column("purchase", sa.Column("given_by", sa.Text(), nullable=True))
    op.create_index("uq_purchase_order", "purchase", ["event_id", "order_number"], unique=True)
    op.create_table(
        "order_answers",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("words", postgresql.ARRAY(sa.LargeBinary()), nullable=False),
        sa.Column("terms_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_order_answers_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("reservation_id", "event_id", name=op.f("pk_order_answers")),
    )
    op.create_index("ix_order_answers_user", "order_answers", ["user_id", "event_id"])
    op.create_index("ix_order_answers_address", "order_answers", ["address_hash"])
    op.create_index("ix_order_answers_words", "order_answers", ["words"], postgresql_using="gin")
    op.create_index("ix_order_answers_made_at", "order_answers", ["made_at"])
    op.create_table(
        "order_terms",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.event_id"], name=op.f("fk_order_terms_event"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "version", name=op.f("pk_order_terms")),
    )


def downgrade() -> None:
    op.drop_table("order_terms")
    op.drop_table("order_answers")
    op.drop_index("uq_purchase_order", "purchase")
    op.drop_column("purchase", "given_by")
    op.drop_column("purchase", "order_number")
    op.drop_column("event", "asks")
