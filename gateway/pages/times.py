"""Moments as the server writes them on pages. Everything that a page says of a date or a time comes from here.

The server writes a venue's clock and names its zone. ``local-times.js`` then turns into the reader's clock the moments
that are the reader's own, and the moments at a venue whose zone is unknown. A ``<time>`` says by
``data-time`` whose it is:

* ``venue``: when the event begins. It stays as it is written here.
* ``both``: when something on this site begins or ends. The reader's clock is put before the venue's where they differ.
* ``reader``: the reader's clock alone.

``datetime`` has the venue's offset, by which the script sees whether the two clocks differ.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from babel.dates import format_date
from markupsafe import Markup

from db.events.time_zones import UNKNOWN_ZONE, zone_of
from gateway.pages.languages import current, gettext
from messages.moments import LONG, SHORT, moment_in

_TAG: Final = Markup('<time datetime="{}" data-time="{}"{}>{}</time>')
_BOX: Final = Markup('<span class="datebox" aria-hidden="true"{}><b>{}</b><span>{}</span></span>')
_OF_THE_READER: Final = Markup(' data-day="{}"')


def format_moment(moment: dt.datetime, zone: str, pattern: str = LONG) -> str:
    """A moment by the clock of a zone in the page's language, e.g. ``Sat 28 Nov 2026, 20:00 CET``."""
    return moment_in(current().locale, moment, zone, pattern)


def place_of(zone: str) -> str:
    """The city or region that a zone is named for, e.g. ``Berlin``; empty where it is named for none."""
    area, slash, place = zone.rpartition("/")
    return place.replace("_", " ") if slash and area != "Etc" else ""


def event_time(moment: dt.datetime, zone: str, *, with_place: bool = False) -> Markup:
    """When an event begins, as HTML: by the venue's clock for every reader, or by the reader's where the venue's zone
    is unknown.

    Args:
        with_place: say whose time it is too, e.g. ``Sat 28 Nov 2026, 20:00 CET (Berlin time)``.
    """
    words = format_moment(moment, zone)
    if with_place and (place := place_of(zone)):
        words += " " + gettext("({place} time)").format(place=place)
    return _tag(moment, zone, "reader" if zone == UNKNOWN_ZONE else "venue", words)


def doors_time(doors: dt.datetime, zone: str, begins: dt.datetime) -> Markup:
    """When the doors of an event open, as HTML, beside the moment when it begins: the clock alone where the day is the
    same.
    """
    at, start = doors.astimezone(zone_of(zone)), begins.astimezone(zone_of(zone))
    words = f"{at:%H:%M}" if at.date() == start.date() else format_moment(doors, zone)
    return _tag(doors, zone, "reader" if zone == UNKNOWN_ZONE else "venue", words)


def site_time(moment: dt.datetime, zone: str, *, short: bool = False) -> Markup:
    """When something on this site begins or ends, as HTML: by both clocks where they differ."""
    words = format_moment(moment, zone, SHORT if short else LONG)
    return _tag(moment, zone, "reader" if zone == UNKNOWN_ZONE else "both", words, short=short)


def reader_time(moment: dt.datetime, zone: str, *, short: bool = False) -> Markup:
    """A moment that concerns the reader alone, as HTML; without scripts by the clock of the zone."""
    return _tag(moment, zone, "reader", format_moment(moment, zone, SHORT if short else LONG), short=short)


def date_box(moment: dt.datetime, zone: str) -> Markup:
    """The large day and month beside an event, as HTML. `event_time` says the same day, with scripts and without."""
    at = moment.astimezone(zone_of(zone))
    reader = _OF_THE_READER.format(at.isoformat()) if zone == UNKNOWN_ZONE else ""
    locale = current().locale
    return _BOX.format(reader, format_date(at, "d", locale), format_date(at, "MMM", locale))


def _tag(moment: dt.datetime, zone: str, whose: str, words: str, *, short: bool = False) -> Markup:
    at = moment.astimezone(zone_of(zone)).isoformat(timespec="seconds")
    return _TAG.format(at, whose, Markup(" data-short") if short else "", words)
