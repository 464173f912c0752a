"""The tables of fans' accounts. All are reference tables: an account is of no event."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class Account(Base):
    """A fan who can sign in on any device. The account owns one user id, under which places, holds and purchases count.

    ``mail`` is a sealed address, whose owner has opened a link that we sent there, or that an issuer vouches for; null
    where an issuer told none. The account is found by ``address_hash``. The password is kept as an Argon2id hash; null
    where the fan signs in by an issuer alone. A link that was made before ``password_at`` sets no password any more.

    ``merged_into`` is the account that this one was joined to, at ``merged_at``: nobody signs in to it any more. Until
    ``merge_done_at`` workers move what it has (ADR 157).
    """

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("address_hash"),
        CheckConstraint(
            "merged_into <> user_id AND (merged_into IS NULL) = (merged_at IS NULL)"
            " AND (merge_done_at IS NULL OR merged_at IS NOT NULL)",
            name="merged",
        ),
        Index("ix_account_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        Index(
            "ix_account_merging",
            "merged_at",
            postgresql_where=text("merged_into IS NOT NULL AND merge_done_at IS NULL"),
        ),
    )

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mail: Mapped[str | None]
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    password_hash: Mapped[str | None]
    password_at: Mapped[dt.datetime | None]
    language: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    merged_into: Mapped[int | None]
    merged_at: Mapped[dt.datetime | None]
    merge_done_at: Mapped[dt.datetime | None]


class AccountSession(Base):
    """A session of an account. Its token is good until ``ends_at``, and not after ``ended_at``.

    The row has no foreign key: it outlives its account, because a token is refused for as long as a row says that its
    session was ended.
    """

    __tablename__ = "account_session"
    __table_args__ = (
        Index("ix_account_session_user_id", "user_id", "network"),
        Index("ix_account_session_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_account_session_ends_at", "ends_at"),
    )

    session_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    network: Mapped[str]
    agent: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    ends_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    ended_why: Mapped[str] = mapped_column(server_default="")


class AccountIdentity(Base):
    """Who an account is at an issuer of OpenID Connect."""

    __tablename__ = "account_identity"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["account.user_id"], ondelete="CASCADE"),
        Index("ix_account_identity_user_id", "user_id"),
    )

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())


class AccountFan(Base):
    """A fan without an account who then signed in: what that user id bought is shown with the account's own."""

    __tablename__ = "account_fan"
    __table_args__ = (ForeignKeyConstraint(["user_id"], ["account.user_id"], ondelete="CASCADE"),)

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    earlier_user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())


class AccountPasskey(Base):
    """A passkey (WebAuthn) of an account: its public key, and how often it has signed."""

    __tablename__ = "account_passkey"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["account.user_id"], ondelete="CASCADE"),
        Index("ix_account_passkey_user_id", "user_id"),
    )

    credential_id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[int]
    label: Mapped[str]
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(server_default="0")
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    used_at: Mapped[dt.datetime | None]
