"""Operators have roles, sessions that can be ended, tokens for scripts with an end, and second factors.

Two indexes find fans by their addresses, and messages by their fans.

Every operator that exists is an owner, and so is one whom the running release adds. That release knows none of the new
tables: its gateways take the tokens that it signed until they are restarted. The new one takes none of these, because
they name no session that Postgres knows: operators sign in anew.

Revision ID: 0025
"""

import datetime as dt

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None
while_serving = "safe"

_MOMENT = sa.DateTime(timezone=True)
_ROLES = "role IN ('viewer', 'steward', 'door', 'owner')"


def _made_at() -> "sa.Column[dt.datetime]":
    return sa.Column("made_at", _MOMENT, server_default=sa.func.now(), nullable=False)


def _text(name: str, default: str | None = None) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _of_operator(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["name"], ["operator.name"], name=op.f(f"fk_{table}_operator"), onupdate="CASCADE", ondelete="CASCADE"
    )


def upgrade() -> None:
    op.add_column("operator", sa.Column("role", sa.Text(), server_default="owner", nullable=True))
    op.create_check_constraint(op.f("ck_operator_role"), "operator", _ROLES)
    op.create_table(
        "operator_event_role",
        _text("name"),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        _text("role"),
        _of_operator("operator_event_role"),
        sa.CheckConstraint(_ROLES, name=op.f("ck_operator_event_role_role")),
        sa.PrimaryKeyConstraint("name", "event_id", name=op.f("pk_operator_event_role")),
    )
    op.create_table(
        "operator_session",
        _text("session_id"),
        sa.Column("name", sa.Text(), nullable=True),
        _text("label", ""),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        _text("network", ""),
        _text("agent", ""),
        _text("made_by", ""),
        _made_at(),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        _text("ended_why", ""),
        _of_operator("operator_session"),
        sa.CheckConstraint("(name IS NULL) = (label <> '')", name=op.f("ck_operator_session_whose")),
        sa.CheckConstraint("(name IS NULL) = (role IS NOT NULL)", name=op.f("ck_operator_session_role_of_token")),
        sa.CheckConstraint(_ROLES, name=op.f("ck_operator_session_role")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_operator_session")),
    )
    op.create_index("ix_operator_session_name", "operator_session", ["name", "network"])
    op.create_index(
        "ix_operator_session_live", "operator_session", ["label"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_table(
        "operator_totp",
        _text("name"),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("used_step", sa.BigInteger(), server_default="0", nullable=False),
        _made_at(),
        sa.Column("confirmed_at", _MOMENT, nullable=True),
        _of_operator("operator_totp"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_operator_totp")),
    )
    op.create_table(
        "operator_recovery_code",
        _text("name"),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        _of_operator("operator_recovery_code"),
        sa.PrimaryKeyConstraint("name", "code_hash", name=op.f("pk_operator_recovery_code")),
    )
    op.create_table(
        "operator_passkey",
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        _text("name"),
        _text("label"),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), server_default="0", nullable=False),
        _made_at(),
        sa.Column("used_at", _MOMENT, nullable=True),
        _of_operator("operator_passkey"),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_operator_passkey")),
    )
    op.create_index("ix_operator_passkey_name", "operator_passkey", ["name"])
    op.create_index("ix_contact_address", "contact", ["address"])
    op.create_index("ix_message_fan", "message", ["user_id", "event_id"])


def downgrade() -> None:
    op.drop_index("ix_message_fan", "message")
    op.drop_index("ix_contact_address", "contact")
    for table in (
        "operator_passkey",
        "operator_recovery_code",
        "operator_totp",
        "operator_session",
        "operator_event_role",
    ):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_operator_role"), "operator")
    op.drop_column("operator", "role")
