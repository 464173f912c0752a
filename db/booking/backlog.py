"""Work that waits: lapsed holds to sweep, news to hand over, deliveries to make."""

from __future__ import annotations

from typing import Final, NamedTuple

from db.booking.holds import lapsed, live


class Backlog(NamedTuple):
    """A row of `READ_BACKLOG`: holds that are live, and holds that have lapsed and wait for their sweep; news that
    waits; deliveries to webhooks that wait, and those given up; endpoints that fail, and those switched off. Ages are
    of the oldest, in seconds.
    """

    live: int
    lapsed: int
    lapsed_seconds: float
    unsent: int
    unsent_seconds: float
    pending: int
    late_seconds: float
    dead: int
    endpoints_failing: int
    endpoints_disabled: int


READ_BACKLOG: Final = f"""
SELECT (SELECT count(*)
          FROM (SELECT 1
                  FROM reservation
                 WHERE {live()}
                 LIMIT %(counted_max)s) AS live),
       lapsed.count, lapsed.seconds, unsent.count, unsent.seconds, pending.count, pending.late_seconds,
       (SELECT count(*)
          FROM (SELECT 1
                  FROM delivery
                 WHERE channel = 'webhook' AND state = 'dead'
                 LIMIT %(counted_max)s) AS dead),
       (SELECT count(*) FROM webhook_endpoint WHERE disabled_at IS NULL AND failing_since IS NOT NULL),
       (SELECT count(*) FROM webhook_endpoint WHERE disabled_at IS NOT NULL)
  FROM (SELECT count(*),
               coalesce(extract(epoch FROM clock_timestamp() - min(expires_at)) - %(grace_seconds)s, 0)::float
                   AS seconds
          FROM (SELECT expires_at
                  FROM reservation
                 WHERE {lapsed()}
                 ORDER BY expires_at
                 LIMIT %(counted_max)s) AS ended) AS lapsed,
       (SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float AS seconds
          FROM (SELECT created_at
                  FROM outbox
                 WHERE sent_at IS NULL
                 ORDER BY outbox_id
                 LIMIT %(counted_max)s) AS waiting) AS unsent,
       (SELECT count(*),
               greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(d.due_at)), 0))::float AS late_seconds
          FROM webhook_endpoint e
         CROSS JOIN LATERAL (
               SELECT due_at
                 FROM delivery
                WHERE channel = 'webhook'
                  AND recipient_id = e.endpoint_id
                  AND state = 'pending'
                ORDER BY due_at
                LIMIT %(counted_max)s) d
         WHERE e.disabled_at IS NULL) AS pending
"""  # noqa: S608 - of constants alone
