"""Calendar files (RFC 5545), as mails bring them and the site gives them: a sale, and the evening of the tickets."""

from __future__ import annotations

import datetime as dt
from typing import Final

from db.events.time_zones import UNKNOWN_ZONE, zone_of

MEDIA_TYPE: Final = "text/calendar"
_ALARM_BEFORE_SALE: Final = dt.timedelta(minutes=10)
_ALARM_BEFORE_EVENT: Final = dt.timedelta(hours=3)
_SALE_LASTS: Final = dt.timedelta(minutes=30)
"""What a calendar draws: a sale has no end that a fan could wait for."""
_EVENT_LASTS: Final = dt.timedelta(hours=3)


class Entry:
    """An entry of a calendar, with its alarm.

    Args:
        name: the same for all entries about one thing. A calendar that has the entry already takes a newer file of the
            same name as its change.
        host: the site's, which makes the name unique.
        address: of the page about it, whole.
        revision: of the event.
        now: when the entry was made.
    """

    def __init__(
        self,
        name: str,
        host: str,
        address: str,
        summary: str,
        begins: dt.datetime,
        lasts: dt.timedelta,
        alarm_before: dt.timedelta,
        *,
        revision: int,
        now: dt.datetime,
    ) -> None:
        # A gateway loads it when it serves (`gateway.process.warming`).
        from icalendar import Event

        self._begins = begins
        self._alarm_before: dt.timedelta | None = alarm_before
        self._event = Event()
        self._event.add("uid", f"{name}@{host}")
        self._event.add("dtstamp", now.astimezone(dt.UTC))
        self._event.add("dtstart", begins)
        # The end is so much later by the clock of the world, also where the venue's goes forward or back meanwhile.
        self._event.add("dtend", (begins.astimezone(dt.UTC) + lasts).astimezone(begins.tzinfo))
        self._event.add("summary", summary)
        self._event.add("url", address)
        self._event.add("sequence", revision)

    def say(self, *, description: str = "", location: str = "") -> None:
        if location:
            self._event.add("location", location)
        if description:
            self._event.add("description", description)

    def cancel(self) -> None:
        """It will not be, so no alarm is heard."""
        self._event.add("status", "CANCELLED")
        self._alarm_before = None

    def file(self) -> bytes:
        """A calendar with this entry."""
        from icalendar import Alarm, Calendar

        if self._alarm_before is not None:
            alarm = Alarm()
            alarm.add("action", "DISPLAY")
            alarm.add("description", str(self._event["summary"]))
            alarm.add("trigger", -self._alarm_before)
            self._event.add_component(alarm)
        calendar = Calendar()
        calendar.add("prodid", "-//Admit One//EN")
        calendar.add("version", "2.0")
        calendar.add_component(self._event)
        calendar.add_missing_timezones(self._begins.date(), self._begins.date() + dt.timedelta(days=1))
        content: bytes = calendar.to_ical()
        return content


def sale_entry(
    event_id: int, host: str, address: str, summary: str, begins: dt.datetime, *, revision: int, now: dt.datetime
) -> Entry:
    """The moment at which a sale begins, or its lobby, with an alarm ten minutes before."""
    # In UTC a calendar shows the sale by its owner's clock, as the page does.
    return Entry(
        f"sale-{event_id}",
        host,
        address,
        summary,
        begins.astimezone(dt.UTC),
        _SALE_LASTS,
        _ALARM_BEFORE_SALE,
        revision=revision,
        now=now,
    )


def begins_at(date: dt.datetime, time_zone: str) -> dt.datetime:
    """When an event begins, by the venue's clock where its zone is known."""
    return date if time_zone == UNKNOWN_ZONE else date.astimezone(zone_of(time_zone))


def evening_entry(
    purchase_id: object,
    host: str,
    address: str,
    summary: str,
    date: dt.datetime,
    time_zone: str,
    *,
    revision: int,
    now: dt.datetime,
) -> Entry:
    """The evening of a purchase by the venue's clock, with an alarm three hours before."""
    begins = begins_at(date, time_zone)
    return Entry(
        f"purchase-{purchase_id}",
        host,
        address,
        summary,
        begins,
        _EVENT_LASTS,
        _ALARM_BEFORE_EVENT,
        revision=revision,
        now=now,
    )
