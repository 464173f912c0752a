"""The table of the keys that sign tokens."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import LargeBinary, PrimaryKeyConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class SigningKeyRow(Base):
    """A key of a group, sealed with the site's secret. It signs from ``signs_at`` on, until a later one does; before,
    it only verifies. The first key of a group has no id and is made of the secret, so that nothing is sealed.

    A group without rows has its first key alone.
    """

    __tablename__ = "signing_key"
    __table_args__ = (PrimaryKeyConstraint("key_group", "key_id"),)

    key_group: Mapped[str]
    key_id: Mapped[str]
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    made_by: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    signs_at: Mapped[dt.datetime | None]
