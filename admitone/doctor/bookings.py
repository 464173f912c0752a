"""Bookings: whether the workers sweep lapsed holds in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from admitone.doctor.finding import Finding, fine, warning
from admitone.doctor.site import Site
from db.audit.invariants import SWEEP_SECONDS_MAX
from db.booking.holds import lapsed

COUNTED_MAX: Final = 10_000

_LAPSED: Final = f"""
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(expires_at)), 0)::float
  FROM (SELECT expires_at
          FROM reservation
         WHERE {lapsed()}
         ORDER BY expires_at
         LIMIT %(counted_max)s) AS lapsed
"""  # noqa: S608 - of constants alone


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
