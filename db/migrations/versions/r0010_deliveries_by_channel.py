"""A delivery names its channel and its recipient, so that webhooks are one channel among equals.

The running release goes on through a view of the table's old name; a later release drops it.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
while_serving = "safe: views have the old names"

# From Postgres 18 on a column's NOT NULL is a constraint with a name that a renamed table does not change.
_RENAME_NOT_NULLS = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN SELECT c.conname, c.conrelid::regclass AS named, a.attname
                   FROM pg_constraint c
                   JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
                  WHERE c.conrelid = '{table}'::regclass AND c.contype = 'n'
                    AND c.conname <> '{table}_' || a.attname || '_not_null'
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', found.named, found.conname,
                       '{table}_' || found.attname || '_not_null');
    END LOOP;
END $$
"""


def upgrade() -> None:
    op.rename_table("webhook_delivery", "delivery")
    op.alter_column("delivery", "endpoint_id", new_column_name="recipient_id")
    op.add_column("delivery", sa.Column("channel", sa.Text(), server_default="webhook", nullable=False))
    op.execute("ALTER TABLE delivery RENAME CONSTRAINT ck_webhook_delivery_state TO ck_delivery_state")
    op.execute("ALTER TABLE delivery RENAME CONSTRAINT ck_webhook_delivery_ended TO ck_delivery_ended")
    op.execute("ALTER TABLE delivery RENAME CONSTRAINT fk_webhook_delivery_outbox TO fk_delivery_outbox")
    op.execute(_RENAME_NOT_NULLS.format(table="delivery"))
    op.drop_constraint("pk_webhook_delivery", "delivery")
    op.create_primary_key("pk_delivery", "delivery", ["outbox_id", "event_id", "channel", "recipient_id"])
    for name in ("due", "dead", "latest"):
        op.drop_index(f"ix_webhook_delivery_{name}", "delivery")
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["channel", "recipient_id", "due_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_delivery_dead", "delivery", ["channel", "recipient_id"], postgresql_where=sa.text("state = 'dead'")
    )
    op.create_index("ix_delivery_latest", "delivery", ["channel", "recipient_id", "created_at"])
    op.alter_column("delivery", "channel", server_default=None)
    op.execute(
        """
        CREATE VIEW webhook_delivery AS
        SELECT event_id, outbox_id, recipient_id AS endpoint_id, state, attempts, due_at, created_at, ended_at, status,
               error, channel
          FROM delivery
         WHERE channel = 'webhook'
        """
    )
    # The running release names no channel in what it inserts.
    op.execute("ALTER VIEW webhook_delivery ALTER COLUMN channel SET DEFAULT 'webhook'")


def downgrade() -> None:
    op.execute("DROP VIEW webhook_delivery")
    op.execute("DELETE FROM delivery WHERE channel <> 'webhook'")
    for name in ("due", "dead", "latest"):
        op.drop_index(f"ix_delivery_{name}", "delivery")
    op.drop_constraint("pk_delivery", "delivery")
    op.drop_column("delivery", "channel")
    op.alter_column("delivery", "recipient_id", new_column_name="endpoint_id")
    op.rename_table("delivery", "webhook_delivery")
    op.execute("ALTER TABLE webhook_delivery RENAME CONSTRAINT ck_delivery_state TO ck_webhook_delivery_state")
    op.execute("ALTER TABLE webhook_delivery RENAME CONSTRAINT ck_delivery_ended TO ck_webhook_delivery_ended")
    op.execute("ALTER TABLE webhook_delivery RENAME CONSTRAINT fk_delivery_outbox TO fk_webhook_delivery_outbox")
    op.execute(_RENAME_NOT_NULLS.format(table="webhook_delivery"))
    op.create_primary_key("pk_webhook_delivery", "webhook_delivery", ["outbox_id", "event_id", "endpoint_id"])
    op.create_index(
        "ix_webhook_delivery_due",
        "webhook_delivery",
        ["endpoint_id", "due_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_delivery_dead", "webhook_delivery", ["endpoint_id"], postgresql_where=sa.text("state = 'dead'")
    )
    op.create_index("ix_webhook_delivery_latest", "webhook_delivery", ["endpoint_id", "created_at"])
