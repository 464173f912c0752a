"""The table of shops before which a room stands."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ARRAY, CheckConstraint, Dialect, ForeignKeyConstraint, Integer, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.shops.model import Shop
from db.tables.base import Base


class ShopType(TypeDecorator[Shop]):
    """A row of ``shop`` as JSON, which is read and never written."""

    impl = JSONB
    cache_ok = True

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Shop | None:
        return None if value is None else msgspec.convert(value, Shop)


class ShopRow(Base):
    """Somebody else's site with a room of ours before it: an event without ticket types (`db.shops.model`)."""

    __tablename__ = "shop"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint("cardinality(paths) BETWEEN 1 AND 100 AND cardinality(open_paths) <= 100", name="paths"),
        CheckConstraint("cardinality(return_origins) <= 20", name="origins"),
        CheckConstraint("target_ms BETWEEN 50 AND 60000", name="target"),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    origin: Mapped[str]
    return_origins: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    paths: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{/}")
    open_paths: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    always: Mapped[bool] = mapped_column(server_default="true")
    fail_open: Mapped[bool] = mapped_column(server_default="true")
    own_page: Mapped[bool] = mapped_column(server_default="false")
    probe_url: Mapped[str] = mapped_column(server_default="")
    target_ms: Mapped[int] = mapped_column(Integer, server_default="1000")
