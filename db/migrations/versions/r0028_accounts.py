"""Fans have accounts, an event may require one, and a message may be about no event.

The running release serves no event that requires an account, and sends no message without an event: its process of
messages leaves such a message alone until a newer one takes it.

Revision ID: 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None
while_serving = "safe"

_MOMENT = sa.DateTime(timezone=True)


def _now(name: str) -> "sa.Column[object]":
    return sa.Column(name, _MOMENT, server_default=sa.func.clock_timestamp(), nullable=False)


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id"], ["account.user_id"], name=op.f(f"fk_{table}_account"), ondelete="CASCADE"
    )


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mail", sa.Text(), nullable=True),
        sa.Column("address_hash", sa.LargeBinary(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_at", _MOMENT, nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        _now("made_at"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_account")),
        sa.UniqueConstraint("address_hash", name=op.f("uq_account_address_hash")),
    )
    op.create_table(
        "account_session",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        _now("made_at"),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("ended_why", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_account_session")),
    )
    op.create_index("ix_account_session_user_id", "account_session", ["user_id", "network"])
    op.create_index(
        "ix_account_session_ended", "account_session", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    op.create_index("ix_account_session_ends_at", "account_session", ["ends_at"])
    op.create_table(
        "account_identity",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        _now("made_at"),
        _of_account("account_identity"),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_account_identity")),
    )
    op.create_index("ix_account_identity_user_id", "account_identity", ["user_id"])
    op.create_table(
        "account_fan",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("earlier_user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _now("made_at"),
        _of_account("account_fan"),
        sa.PrimaryKeyConstraint("user_id", "earlier_user_id", name=op.f("pk_account_fan")),
    )
    op.create_table(
        "account_passkey",
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), server_default="0", nullable=False),
        _now("made_at"),
        sa.Column("used_at", _MOMENT, nullable=True),
        _of_account("account_passkey"),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_account_passkey")),
    )
    op.create_index("ix_account_passkey_user_id", "account_passkey", ["user_id"])
    op.add_column("event", sa.Column("account_required", sa.Boolean(), server_default="false", nullable=False))
    op.drop_constraint(op.f("fk_message_event"), "message", type_="foreignkey")


def downgrade() -> None:
    op.execute("DELETE FROM message m WHERE NOT EXISTS (SELECT FROM event e WHERE e.event_id = m.event_id)")
    op.create_foreign_key(op.f("fk_message_event"), "message", "event", ["event_id"], ["event_id"], ondelete="CASCADE")
    op.drop_column("event", "account_required")
    for table in ("account_passkey", "account_fan", "account_identity", "account_session", "account"):
        op.drop_table(table)
