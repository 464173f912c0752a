"""Deliveries: an outbox row on its way to one recipient by one channel. The dispatcher runs this SQL several times a
second, each statement on a bounded number of rows.
"""

from __future__ import annotations

from typing import Final, LiteralString

from db.citus.walking import Work
from db.edge.channel import EDGE
from db.messages.fan_out import MESSAGES
from db.outbox.channels import ChannelSql, is_to
from db.webhooks.channel import WEBHOOKS

CHANNELS: Final = (WEBHOOKS, MESSAGES, EDGE)
"""Every channel. News that was handed over before a channel stood here does not leave by it."""


def _wanted(channel: ChannelSql) -> str:
    return f"SELECT '{channel.name}' AS channel, r.* FROM ({channel.recipients}) AS r"  # noqa: S608 - of constants alone


HAND_OVER: Final[LiteralString] = f"""
WITH taken AS (
    SELECT event_id, outbox_id, kind, created_at
      FROM outbox
     WHERE sent_at IS NULL /* of one event: AND event_id = @ */
     ORDER BY outbox_id
     LIMIT %(rows_max)s
       FOR UPDATE SKIP LOCKED
), news AS (
    SELECT t.*
      FROM taken t
      JOIN event v ON v.event_id = t.event_id AND v.rehearsal_of IS NULL /* of one event: AND v.event_id = @ */
), wanted AS (
    {" UNION ALL ".join(_wanted(channel) for channel in CHANNELS)}
), handed AS (
    INSERT INTO delivery (event_id, outbox_id, channel, recipient_id, due_at, created_at)
    SELECT event_id, outbox_id, channel, recipient_id, now(), now()
      FROM wanted
        ON CONFLICT DO NOTHING
)
UPDATE outbox o
   SET sent_at = now()
  FROM taken t
 WHERE o.event_id = t.event_id AND o.outbox_id = t.outbox_id /* of one event: AND o.event_id = @ */
"""  # noqa: S608 - of constants alone
EVENTS_WITH_NEWS: Final[LiteralString] = """
SELECT event_id FROM outbox WHERE sent_at IS NULL GROUP BY event_id ORDER BY min(created_at) LIMIT %(rows_max)s
"""
NEWS: Final = Work(HAND_OVER, EVENTS_WITH_NEWS)
"""Makes the deliveries of new outbox rows, for every channel at once. News of a rehearsal is not delivered.

``has_edge``: the site has a cache before it that is to be told.
"""

NOTE: Final[LiteralString] = f"""
UPDATE delivery d
   SET state = k.state, status = k.status, error = k.error,
       due_at = clock_timestamp() + make_interval(secs => k.wait_seconds),
       ended_at = CASE WHEN k.state <> 'pending' THEN clock_timestamp() END
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, outbox_id uuid, channel text, recipient_id bigint, attempts int, state text, status int,
             error text, wait_seconds float)
 WHERE d.outbox_id = k.outbox_id AND d.event_id = k.event_id AND {is_to("k.channel", "k.recipient_id")}
   AND d.ended_at IS NULL
   AND (k.state = 'delivered' OR d.attempts = k.attempts)
"""  # noqa: S608 - of constants alone
"""Writes down how attempts ended. A success counts even where another dispatcher has taken the delivery meanwhile; a
failure counts only where it is the latest attempt's.

Run it without preparing it: its plan must know how large the table has become."""

OLD_LOOKED_AT: Final = 20
"""Of old news, so many times what is forgotten at once is looked at: some of it may still have to be delivered."""

FORGET: Final[LiteralString] = f"""
WITH old AS MATERIALIZED (
    SELECT event_id, outbox_id, sent_at
      FROM outbox
     WHERE sent_at < now() - make_interval(hours => %(keep_hours)s)
     ORDER BY sent_at
     LIMIT {OLD_LOOKED_AT} * %(rows_max)s
), done AS MATERIALIZED (
    SELECT s.event_id, s.outbox_id
      FROM old s
     WHERE NOT EXISTS (SELECT
                         FROM delivery d
                        WHERE d.outbox_id = s.outbox_id AND d.event_id = s.event_id AND d.state = 'pending'
                          AND ({
    " OR ".join(f"d.channel = '{channel.name}' AND {channel.deliverable}" for channel in CHANNELS)
}))
     ORDER BY s.sent_at
     LIMIT %(rows_max)s
), deliveries AS (
    DELETE FROM delivery d
     USING done
     WHERE d.event_id = done.event_id AND d.outbox_id = done.outbox_id
)
DELETE FROM outbox o
 USING done
 WHERE o.event_id = done.event_id AND o.outbox_id = done.outbox_id
"""  # noqa: S608 - of constants alone
"""Deletes news, with its deliveries, that was handed over long ago and that no channel still has to deliver. On a Citus
cluster no foreign key deletes the deliveries.
"""
