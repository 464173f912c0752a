"""Webhook endpoints, their log, and a delivery for each outbox row and endpoint.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
while_serving = "safe: it came before the first release"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("endpoint_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("secret_before", sa.LargeBinary(), nullable=True),
        sa.Column("secret_before_until", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("delivered_at", _MOMENT, nullable=True),
        sa.Column("failing_since", _MOMENT, nullable=True),
        sa.Column("disabled_at", _MOMENT, nullable=True),
        sa.Column("disabled_why", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("cardinality(kinds) > 0", name=op.f("ck_webhook_endpoint_kinds")),
        sa.CheckConstraint("(disabled_at IS NULL) = (disabled_why = '')", name=op.f("ck_webhook_endpoint_disabled")),
        sa.CheckConstraint(
            "(secret_before IS NULL) = (secret_before_until IS NULL)", name=op.f("ck_webhook_endpoint_secret_before")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", name="pk_webhook_endpoint"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "webhook_log",
        sa.Column("log_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", _MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), server_default="", nullable=False),
        sa.Column("after", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("log_id", name="pk_webhook_log"),
    )
    op.create_index("ix_webhook_log_endpoint", "webhook_log", ["endpoint_id", "log_id"])
    op.create_table(
        "webhook_delivery",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("outbox_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'dead')", name=op.f("ck_webhook_delivery_state")),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name=op.f("ck_webhook_delivery_ended")),
        sa.ForeignKeyConstraint(
            ["event_id", "outbox_id"],
            ["outbox.event_id", "outbox.outbox_id"],
            name="fk_webhook_delivery_outbox",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("outbox_id", "event_id", "endpoint_id", name="pk_webhook_delivery"),
        postgresql_with={
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.02,
        },
    )
    op.create_index(
        "ix_webhook_delivery_due",
        "webhook_delivery",
        ["endpoint_id", "due_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_delivery_dead",
        "webhook_delivery",
        ["endpoint_id"],
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index("ix_webhook_delivery_latest", "webhook_delivery", ["endpoint_id", "created_at"])
    op.drop_column("outbox", "attempts")
    op.create_index("ix_outbox_sent", "outbox", ["sent_at"], postgresql_where=sa.text("sent_at IS NOT NULL"))
    op.add_column("room", sa.Column("opened_for", _MOMENT, nullable=True))
    op.add_column("room", sa.Column("sold_out_at", _MOMENT, nullable=True))
    # What opened before anybody could ask to be told is no news.
    op.execute(
        """
        UPDATE room m
           SET opened_for = e.on_sale_at
          FROM event e
         WHERE e.event_id = m.event_id AND e.on_sale_at <= now()
        """
    )


def downgrade() -> None:
    op.drop_column("room", "sold_out_at")
    op.drop_column("room", "opened_for")
    op.drop_index("ix_outbox_sent", "outbox")
    op.add_column("outbox", sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False))
    op.drop_table("webhook_delivery")
    op.drop_table("webhook_log")
    op.drop_table("webhook_endpoint")
