"""The tables of operators: accounts, roles for single events, sessions with the tokens of scripts, second factors.

All are reference tables. Everything of an operator goes with the operator's row.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.operators.roles import OperatorRole
from db.tables.base import Base, one_of

ROLES = tuple(OperatorRole)


class Operator(Base):
    """A person who may steer the sale; the password is kept as an Argon2id hash.

    ``role`` is for the whole site; None: the operator has roles for single events alone.
    """

    __tablename__ = "operator"
    __table_args__ = (CheckConstraint(one_of("role", ROLES), name="role"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    role: Mapped[str | None] = mapped_column(server_default="owner")


class OperatorEventRole(Base):
    """A role for one event, beside the one for the whole site."""

    __tablename__ = "operator_event_role"
    __table_args__ = (
        ForeignKeyConstraint(["name"], ["operator.name"], ondelete="CASCADE", onupdate="CASCADE"),
        CheckConstraint(one_of("role", ROLES), name="role"),
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(primary_key=True)
    role: Mapped[str]


class OperatorSession(Base):
    """A session of an operator (``name``), or a script's token (``label``), which has roles of its own.

    Its token is good while this row says so: until ``ends_at``, and not after ``ended_at``. A row is kept for some time
    after its end, because it tells from which networks an operator signs in.
    """

    __tablename__ = "operator_session"
    __table_args__ = (
        ForeignKeyConstraint(["name"], ["operator.name"], ondelete="CASCADE", onupdate="CASCADE"),
        CheckConstraint("(name IS NULL) = (label <> '')", name="whose"),
        CheckConstraint("(name IS NULL) = (role IS NOT NULL)", name="role_of_token"),
        CheckConstraint(one_of("role", ROLES), name="role"),
        Index("ix_operator_session_name", "name", "network"),
        Index("ix_operator_session_live", "label", postgresql_where=text("ended_at IS NULL")),
    )

    session_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    label: Mapped[str] = mapped_column(server_default="")
    role: Mapped[str | None]
    event_id: Mapped[int | None]
    network: Mapped[str] = mapped_column(server_default="")
    agent: Mapped[str] = mapped_column(server_default="")
    made_by: Mapped[str] = mapped_column(server_default="")
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    ends_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    ended_why: Mapped[str] = mapped_column(server_default="")


class OperatorTotp(Base):
    """The secret of an operator's authenticator app, sealed. ``used_step`` is the last time step whose code was
    taken: a code is good once. Before ``confirmed_at`` the app has shown no code yet, and none is asked for.
    """

    __tablename__ = "operator_totp"
    __table_args__ = (ForeignKeyConstraint(["name"], ["operator.name"], ondelete="CASCADE", onupdate="CASCADE"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    used_step: Mapped[int] = mapped_column(server_default="0")
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    confirmed_at: Mapped[dt.datetime | None]


class OperatorRecoveryCode(Base):
    """The hash of a code that takes the place of an authenticator's, once: its use removes the row."""

    __tablename__ = "operator_recovery_code"
    __table_args__ = (ForeignKeyConstraint(["name"], ["operator.name"], ondelete="CASCADE", onupdate="CASCADE"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)


class OperatorPasskey(Base):
    """A passkey (WebAuthn) of an operator: its public key, and how often it has signed."""

    __tablename__ = "operator_passkey"
    __table_args__ = (
        ForeignKeyConstraint(["name"], ["operator.name"], ondelete="CASCADE", onupdate="CASCADE"),
        Index("ix_operator_passkey_name", "name"),
    )

    credential_id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    name: Mapped[str]
    label: Mapped[str]
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(server_default="0")
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[dt.datetime | None]
