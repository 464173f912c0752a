"""Moments in words, by the clock of a zone: in messages, which cannot know their reader's, and on pages."""

from __future__ import annotations

import datetime as dt
from typing import Final

from babel import Locale
from babel.dates import format_datetime

from db.events.time_zones import UNKNOWN_ZONE, zone_of

LONG: Final = "EEE d MMM yyyy, HH:mm"
SHORT: Final = "d MMM, HH:mm"
CLOCK: Final = "HH:mm"
_OWN: Final = {
    "de": {LONG: "EEE d. MMM yyyy, HH:mm", SHORT: "d. MMM, HH:mm"},
    "ja": {LONG: "yyyy年M月d日(EEE) HH:mm", SHORT: "M月d日 HH:mm"},
    "ar": {LONG: "EEE d MMM yyyy، HH:mm", SHORT: "d MMM، HH:mm"},
}
"""How some languages write these patterns."""


def moment_in(locale: Locale, moment: dt.datetime, zone: str, pattern: str = LONG) -> str:
    """A moment by the clock of a zone, e.g. ``Sat 28 Nov 2026, 20:00 CET``."""
    pattern = _OWN.get(locale.language, {}).get(pattern, pattern)
    at = moment.astimezone(zone_of(zone))
    # The moment is in its zone already, and Babel leaves one without a zone as it is.
    return f"{format_datetime(at.replace(tzinfo=None), pattern, locale=locale)} {zone_words(at)}"


def zone_words(at: dt.datetime) -> str:
    """The zone of a moment in words, e.g. ``CET``, or ``UTC+5:30`` where it has no letters of its own."""
    name = at.tzname() or UNKNOWN_ZONE
    if name[0] not in "+-":
        return name
    hours, minutes = int(name[1:3]), int(name[3:5] or 0)
    if not hours and not minutes:
        return UNKNOWN_ZONE
    sign = "+" if name[0] == "+" else "\u2212"
    return f"{UNKNOWN_ZONE}{sign}{hours}" + (f":{minutes:02}" if minutes else "")
