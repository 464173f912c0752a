"""The table of events' pictures."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import CheckConstraint, Integer, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class Picture(Base):
    """A picture as it is served: two WebP images and a JPEG for share previews, made of what was uploaded.

    ``hash`` is of all three, so that what stands under it never changes. ``width`` and ``height`` are of ``large``.
    ``used_at`` is when it was uploaded, or given to an event, the last time.
    """

    __tablename__ = "picture"
    __table_args__ = (CheckConstraint("hash ~ '^[0-9a-f]{32}$'", name="hash"),)

    hash: Mapped[str] = mapped_column(primary_key=True)
    large: Mapped[bytes] = mapped_column(LargeBinary)
    small: Mapped[bytes] = mapped_column(LargeBinary)
    card: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    used_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
