"""Webhooks: whether news is handed over from the outbox, delivered in time, and none was given up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from admitone.doctor.finding import Finding, fine, warning
from admitone.doctor.site import Site

OUTBOX_SECONDS_MAX: Final = 60
LATE_SECONDS_MAX: Final = 300
COUNTED_MAX: Final = 10_000

_UNSENT: Final = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float
  FROM (SELECT created_at
          FROM outbox
         WHERE sent_at IS NULL
         ORDER BY outbox_id
         LIMIT %(counted_max)s) AS unsent
"""
_ENDPOINTS: Final = """
SELECT e.endpoint_id, e.url, e.disabled_why,
       (SELECT count(*)
          FROM (SELECT
                  FROM delivery d
                 WHERE d.channel = 'webhook' AND d.recipient_id = e.endpoint_id AND d.state = 'dead'
                 LIMIT %(counted_max)s) AS dead),
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(d.due_at)), 0)::float
          FROM delivery d
         WHERE d.channel = 'webhook' AND d.recipient_id = e.endpoint_id AND d.state = 'pending')
  FROM webhook_endpoint e
 ORDER BY e.endpoint_id
"""


def examine(site: Site) -> Iterator[Finding]:
    if site.postgres is None:
        return
    count, age = site.rows(_UNSENT, {"counted_max": COUNTED_MAX})[0]
    if count and age > OUTBOX_SECONDS_MAX:
        yield warning(
            "behind",
            "outbox",
            f"{count} notifications are not handed on, the oldest is {age:.0f} s old",
            "See that `admitone worker` runs its webhooks process; the purchases themselves are complete.",
        )
    else:
        yield fine("behind", "outbox", f"The outbox holds {count} notifications not handed on yet")
    bad = [finding for row in site.rows(_ENDPOINTS, {"counted_max": COUNTED_MAX}) for finding in _of_endpoint(*row)]
    yield from bad or [fine("behind", "webhooks", "No webhook is behind, disabled for failing, or has given up")]


def _of_endpoint(number: int, url: str, disabled_why: str, dead: int, late_seconds: float) -> Iterator[Finding]:
    named = f"Webhook {number} ({url.partition('?')[0]})"
    if disabled_why in ("gone", "failing"):
        because = "answered 410 Gone" if disabled_why == "gone" else "failed for long"
        yield warning(
            "behind",
            "webhook_disabled",
            f"{named} {because} and is disabled; its news waits",
            "Mend the receiver and enable the webhook at /ops/webhooks, or `admitone webhook remove` it.",
        )
    elif not disabled_why and late_seconds > LATE_SECONDS_MAX:
        yield warning(
            "behind",
            "webhook_late",
            f"{named} is {late_seconds:.0f} s behind",
            "See that `admitone worker` runs, and that the receiver answers quickly (it should only take note).",
        )
    if dead:
        yield warning(
            "behind",
            "webhook_dead",
            f"{named}: {dead} messages were given up",
            f"Mend the receiver, then `admitone webhook resend {number}`.",
        )
