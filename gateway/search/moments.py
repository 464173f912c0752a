"""Moments as the search's indices have them: whole numbers of microseconds since 1970, as exact as Postgres' own."""

from __future__ import annotations

import datetime as dt
from typing import Final

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND: Final = dt.timedelta(microseconds=1)


def moment(micros: int) -> dt.datetime:
    """The moment that is so many microseconds since 1970."""
    return EPOCH + dt.timedelta(microseconds=micros)


def micros(moment: dt.datetime) -> int:
    """The moment in microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND
