"""The table of the site's lane maps."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, SmallInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from db.lanes.maps import LANES_MAX
from db.tables.base import Base


class LaneMapRow(Base):
    """Which lane each event belongs to; a reference table. The row with the highest revision is in force; without rows
    the setting ``ADMITONE_LANES`` says how many lanes there are, and no event is pinned.
    """

    __tablename__ = "lane_map"
    __table_args__ = (CheckConstraint(f"lane_count BETWEEN 1 AND {LANES_MAX}", name="lane_count"),)

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lane_count: Mapped[int] = mapped_column(SmallInteger)
    pins: Mapped[dict[str, Any]]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    made_by: Mapped[str]
