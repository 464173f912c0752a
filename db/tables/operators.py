"""The table of operators."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class Operator(Base):
    """A person who may steer the sale; the password is kept as an Argon2id hash."""

    __tablename__ = "operator"

    name: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
