"""Bookings: whether the workers sweep lapsed holds in time, and whether cancellations of events come to their end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from admitone.doctor.finding import Finding, fine, warning
from admitone.doctor.site import Site
from db.audit.invariants import SWEEP_SECONDS_MAX
from db.booking.holds import lapsed

COUNTED_MAX: Final = 10_000
CANCELLATION_MINUTES_MAX: Final = 15
"""A cancelled event has its holds closed and the news of its purchases written within this time, also a stadium's."""

_LAPSED: Final = f"""
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(expires_at)), 0)::float
  FROM (SELECT expires_at
          FROM reservation
         WHERE {lapsed()}
         ORDER BY expires_at
         LIMIT %(counted_max)s) AS lapsed
"""  # noqa: S608 - of constants alone

_UNFINISHED: Final = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(cancelled_at)) / 60, 0)::float,
       coalesce(array_agg(event_id ORDER BY cancelled_at) FILTER (WHERE number <= %(named_max)s), '{}')
  FROM (SELECT event_id, cancelled_at, row_number() OVER (ORDER BY cancelled_at) AS number
          FROM event_cancellation
         WHERE done_at IS NULL AND cancelled_at < clock_timestamp() - make_interval(mins => %(minutes)s)) AS late
"""
_NAMED_MAX: Final = 5


def examine(site: Site) -> Iterator[Finding]:
    if site.postgres is None:
        return
    seconds = site.settings.hold.grace_seconds + SWEEP_SECONDS_MAX
    count, age = site.rows(_LAPSED, {"grace_seconds": seconds, "counted_max": COUNTED_MAX})[0]
    if count:
        yield warning(
            "behind",
            "lapsed_holds",
            f"{count} lapsed holds are not swept, the oldest ended {age:.0f} s ago; their seats sell all the same",
            "See that cron and the lanes' workers run.",
        )
    else:
        yield fine("behind", "lapsed_holds", "Lapsed holds are swept")
    yield from _cancellations(site)


def _cancellations(site: Site) -> Iterator[Finding]:
    parameters: dict[str, object] = {"minutes": CANCELLATION_MINUTES_MAX, "named_max": _NAMED_MAX}
    count, minutes, named = site.rows(_UNFINISHED, parameters)[0]
    if not count:
        yield fine("behind", "cancellations", "Cancellations of events come to their end")
        return
    more = f" and {count - len(named)} more" if count > len(named) else ""
    events = ", ".join(map(str, named))
    yield warning(
        "behind",
        "cancellations",
        f"The cancellation of event {events}{more} is not at its end after {minutes:.0f} minutes: holds are open, or "
        "purchases' news is not written",
        "See that `admitone worker` runs cron, its webhooks process and the lanes.",
    )
