"""Time zones of events, by their names in the IANA database."""

from __future__ import annotations

import functools
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

UNKNOWN_ZONE: Final = "UTC"
"""The zone of an event whose operator named none. No venue lies in it: places that keep this time have zones of their
own, for example Atlantic/Reykjavik."""

_NO_ZONES: Final = frozenset({"Factory", "localtime"})


@functools.cache
def _names() -> frozenset[str]:
    # Reads each file of the database once, which takes some 70 ms.
    return frozenset(available_timezones()) - _NO_ZONES


def is_time_zone(name: str) -> bool:
    """Whether the name stands in the IANA database, in just this spelling."""
    return name in _names()


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name; UTC where this machine's database is too old to know it.

    An operator's name was checked when it was set, perhaps on another machine. A page must not fail for it.
    """
    return ZoneInfo(name if is_time_zone(name) else UNKNOWN_ZONE)
