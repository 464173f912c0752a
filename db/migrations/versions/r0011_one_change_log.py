"""One log of changes where rooms, events and webhooks each had one.

The running release goes on through views of the old names; a later release drops them.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
while_serving = "safe: views have the old names"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("LOCK TABLE room_log, event_log, webhook_log IN ACCESS EXCLUSIVE MODE")
    op.create_table(
        "change_log",
        sa.Column("log_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), server_default="", nullable=False),
        sa.Column("after", sa.Text(), server_default="", nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("log_id", name="pk_change_log"),
    )
    # The order of each log is kept: its numbers go up with time, and so do the new ones.
    op.execute(
        """
        INSERT INTO change_log (subject, subject_id, at, operator, field, before, after, why, revision)
        SELECT subject, subject_id, at, operator, field, before, after, why, revision
          FROM (SELECT 'room' AS subject, event_id AS subject_id, log_id, at, operator, field, before, after, why,
                       revision
                  FROM room_log
                 UNION ALL
                SELECT 'event', event_id, log_id, at, operator, field, before, after, why, revision FROM event_log
                 UNION ALL
                SELECT 'webhook', endpoint_id, log_id, at, operator, field, before, after, '', 0
                  FROM webhook_log) AS old
         ORDER BY at, log_id
        """
    )
    op.create_index("ix_change_log_subject", "change_log", ["subject", "subject_id", "log_id"])
    for subject, named, columns in (
        ("room", "event_id", ", why, revision"),
        ("event", "event_id", ", why, revision"),
        ("webhook", "endpoint_id", ""),
    ):
        op.drop_table(f"{subject}_log")
        op.execute(
            f"""
            CREATE VIEW {subject}_log AS
            SELECT subject_id AS {named}, log_id, at, operator, field, before, after{columns}, subject
              FROM change_log
             WHERE subject = '{subject}'
            """  # noqa: S608 - of constants alone
        )
        # The running release names no subject in what it inserts.
        op.execute(f"ALTER VIEW {subject}_log ALTER COLUMN subject SET DEFAULT '{subject}'")


def downgrade() -> None:
    for subject in ("room", "event", "webhook"):
        op.execute(f"DROP VIEW {subject}_log")
    for subject, default in (("room", "0"), ("event", None)):
        op.create_table(
            f"{subject}_log",
            sa.Column("event_id", sa.BigInteger(), nullable=False),
            sa.Column("log_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
            sa.Column("at", _MOMENT, server_default=sa.func.now(), nullable=False),
            sa.Column("operator", sa.Text(), nullable=False),
            sa.Column("field", sa.Text(), nullable=False),
            sa.Column("before", sa.Text(), nullable=False),
            sa.Column("after", sa.Text(), nullable=False),
            sa.Column("why", sa.Text(), server_default="", nullable=False),
            sa.Column("revision", sa.BigInteger(), server_default=default, nullable=False),
            sa.ForeignKeyConstraint(
                ["event_id"], ["event.event_id"], name=f"fk_{subject}_log_event", ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint("event_id", "log_id", name=f"pk_{subject}_log"),
        )
        op.execute(
            f"""
            INSERT INTO {subject}_log (event_id, at, operator, field, before, after, why, revision)
            SELECT event_id, at, operator, field, before, after, why, c.revision
              FROM change_log c
              JOIN event ON event_id = subject_id
             WHERE subject = '{subject}'
             ORDER BY log_id
            """  # noqa: S608 - of constants alone
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
    op.execute(
        """
        INSERT INTO webhook_log (at, operator, endpoint_id, field, before, after)
        SELECT at, operator, subject_id, field, before, after
          FROM change_log
         WHERE subject = 'webhook'
         ORDER BY log_id
        """
    )
    op.drop_table("change_log")
