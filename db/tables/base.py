"""The tables. Every booking table carries ``event_id`` and has it in its primary key and every unique
constraint, so that the schema distributes by ``event_id`` on Citus unchanged. Where a row is found by an id of its
own, that id comes first in the key. A planner without statistics takes an index that begins with ``event_id`` for
equally good, and would read the whole event.

Money is integer minor units, times are ``timestamptz`` written by Postgres' clock.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

# Room on each page keeps updates of a row on its page (HOT); vacuum comes before a fifth of an arena is dead.
UPDATED_OFTEN = {
    "fillfactor": 70,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.02,
}


def one_of(column: str, values: tuple[str, ...]) -> str:
    """The check that ``column`` has one of ``values``."""
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({listed})"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        dt.datetime: DateTime(timezone=True),
        int: BigInteger,
        str: Text,
        dict[str, Any]: JSONB,
    }
