"""Operators are told of alarms: thresholds, receivers, alarms, and what was told of them.

The running release knows none of these tables, so until every worker is restarted nobody is told of an alarm.

Revision ID: 0023
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None
while_serving = "safe"

_MOMENT = sa.DateTime(timezone=True)
_NOW = sa.func.clock_timestamp()
_UPDATED_OFTEN = {
    "fillfactor": 70,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.02,
}


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def upgrade() -> None:
    op.create_table(
        "alarm_rule",
        _text("kind"),
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("for_seconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "event_id", name=op.f("pk_alarm_rule")),
    )
    op.create_table(
        "alarm_receiver",
        sa.Column("receiver_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        _text("channel"),
        _text("address"),
        _text("p256dh", ""),
        _text("auth", ""),
        _text("name", ""),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("quiet_until", _MOMENT, nullable=True),
        sa.Column("made_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("delivered_at", _MOMENT, nullable=True),
        sa.Column("failing_since", _MOMENT, nullable=True),
        _text("error", ""),
        sa.Column("gone_at", _MOMENT, nullable=True),
        sa.CheckConstraint("channel IN ('mail', 'push', 'chat')", name=op.f("ck_alarm_receiver_channel")),
        sa.PrimaryKeyConstraint("receiver_id", name=op.f("pk_alarm_receiver")),
        sa.UniqueConstraint("channel", "address", name=op.f("uq_alarm_receiver_channel_address")),
    )
    op.create_table(
        "alarm",
        sa.Column("alarm_id", sa.Uuid(), nullable=False),
        _text("kind"),
        _text("scope"),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        _text("state"),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("fired_at", _MOMENT, nullable=True),
        sa.Column("calm_since", _MOMENT, nullable=True),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("figure", sa.Double(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("about", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("scope IN ('event', 'lane')", name=op.f("ck_alarm_scope")),
        sa.CheckConstraint("state IN ('pending', 'firing', 'ended')", name=op.f("ck_alarm_state")),
        sa.CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name=op.f("ck_alarm_ended")),
        sa.PrimaryKeyConstraint("alarm_id", name=op.f("pk_alarm")),
        postgresql_with=_UPDATED_OFTEN,
    )
    standing, ended = sa.text("state <> 'ended'"), sa.text("ended_at IS NOT NULL")
    op.create_index(
        "ix_alarm_standing", "alarm", ["kind", "scope", "subject_id"], unique=True, postgresql_where=standing
    )
    op.create_index("ix_alarm_ended", "alarm", ["ended_at"], postgresql_where=ended)
    op.create_table(
        "alarm_notice",
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("receiver_id", sa.BigInteger(), nullable=False),
        sa.Column("alarm_id", sa.Uuid(), nullable=True),
        _text("what"),
        _text("dedup_key"),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        _text("state", "queued"),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        _text("error", ""),
        sa.Column("copy", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["receiver_id"],
            ["alarm_receiver.receiver_id"],
            name=op.f("fk_alarm_notice_alarm_receiver"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'sent', 'failed', 'dead', 'skipped')", name=op.f("ck_alarm_notice_state")
        ),
        sa.CheckConstraint("(state = 'queued') = (ended_at IS NULL)", name=op.f("ck_alarm_notice_ended")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_alarm_notice")),
        sa.UniqueConstraint("dedup_key", "receiver_id", name=op.f("uq_alarm_notice_dedup_key_receiver_id")),
        postgresql_with=_UPDATED_OFTEN,
    )
    op.create_index("ix_alarm_notice_due", "alarm_notice", ["due_at"], postgresql_where=sa.text("state = 'queued'"))
    op.create_index("ix_alarm_notice_ended", "alarm_notice", ["ended_at"], postgresql_where=ended)
    op.create_index("ix_alarm_notice_receiver_id", "alarm_notice", ["receiver_id"])


def downgrade() -> None:
    for table in ("alarm_notice", "alarm", "alarm_receiver", "alarm_rule"):
        op.drop_table(table)
