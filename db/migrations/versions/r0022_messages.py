"""Fans are told by mail, SMS and web push: addresses, followers, suppressions, and the messages on their way.

The running release knows none of these tables. Its dispatcher hands news to webhooks alone, so what happens until every
worker is restarted is told to no fan.

Revision ID: 0022
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None
while_serving = "safe"

_MOMENT = sa.DateTime(timezone=True)
_NOW = sa.func.clock_timestamp()


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        _text("channel"),
        _text("address"),
        _text("language"),
        sa.Column("made_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name=op.f("fk_contact_event"), ondelete="CASCADE"),
        sa.CheckConstraint("channel IN ('mail', 'sms')", name=op.f("ck_contact_channel")),
        sa.PrimaryKeyConstraint("event_id", "user_id", "channel", name=op.f("pk_contact")),
    )
    op.create_table(
        "follower",
        sa.Column("follower_id", sa.Uuid(), nullable=False),
        _text("what"),
        _text("name"),
        _text("address"),
        _text("language"),
        sa.Column("made_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("confirmed_at", _MOMENT, nullable=True),
        sa.CheckConstraint("what IN ('artist', 'venue')", name=op.f("ck_follower_what")),
        sa.PrimaryKeyConstraint("follower_id", name=op.f("pk_follower")),
        sa.UniqueConstraint("what", "name", "address", name=op.f("uq_follower_what_name_address")),
    )
    op.create_index(
        "ix_follower_unconfirmed", "follower", ["made_at"], postgresql_where=sa.text("confirmed_at IS NULL")
    )
    op.create_table(
        "suppression",
        _text("address"),
        _text("channel"),
        _text("kind"),
        _text("reason"),
        _text("detail", ""),
        sa.Column("at", _MOMENT, server_default=_NOW, nullable=False),
        sa.CheckConstraint("reason IN ('unsubscribed', 'bounce', 'complaint')", name=op.f("ck_suppression_reason")),
        sa.PrimaryKeyConstraint("address", "channel", "kind", name=op.f("pk_suppression")),
    )
    op.create_table(
        "message",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        _text("kind"),
        _text("channel"),
        _text("address"),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        _text("language"),
        _text("dedup_key"),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("urgency", sa.SmallInteger(), nullable=False),
        _text("state", "queued"),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("useful_until", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        _text("provider", ""),
        _text("provider_id", ""),
        _text("error", ""),
        sa.Column("copy", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name=op.f("fk_message_event"), ondelete="CASCADE"),
        sa.CheckConstraint("state IN ('queued', 'sent', 'failed', 'dead', 'skipped')", name=op.f("ck_message_state")),
        sa.CheckConstraint("(state = 'queued') = (ended_at IS NULL)", name=op.f("ck_message_ended")),
        sa.PrimaryKeyConstraint("message_id", "event_id", name=op.f("pk_message")),
        sa.UniqueConstraint("dedup_key", "event_id", name=op.f("uq_message_dedup_key_event_id")),
        postgresql_with={
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.02,
        },
    )
    queued, ended = sa.text("state = 'queued'"), sa.text("ended_at IS NOT NULL")
    op.create_index("ix_message_due", "message", ["urgency", "due_at"], postgresql_where=queued)
    op.create_index("ix_message_dead", "message", ["ended_at"], postgresql_where=sa.text("state = 'dead'"))
    op.create_index("ix_message_ended", "message", ["ended_at"], postgresql_where=ended)


def downgrade() -> None:
    for table in ("message", "suppression", "follower", "contact"):
        op.drop_table(table)
