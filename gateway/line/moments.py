"""Converts moments between Postgres and the API (``datetime``) and Redis (milliseconds since 1970)."""

from __future__ import annotations

import datetime as dt


def to_ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(moment_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment_ms / 1000, dt.UTC)
