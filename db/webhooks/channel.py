"""Webhooks as a channel of the outbox, in SQL: a delivery's recipient is an endpoint."""

from __future__ import annotations

from typing import Final, LiteralString

from db.outbox.channels import ChannelName, ChannelSql, is_to

WEBHOOKS: Final = ChannelSql(
    name=ChannelName.WEBHOOK,
    recipients="""
        SELECT n.event_id, n.outbox_id, e.endpoint_id AS recipient_id
          FROM news n
          JOIN webhook_endpoint e
            ON n.kind = ANY (e.kinds)
           AND (e.event_id IS NULL OR e.event_id = n.event_id)
           AND e.created_at <= n.created_at""",
    deliverable="""
        EXISTS (SELECT FROM webhook_endpoint e WHERE e.endpoint_id = d.recipient_id AND e.disabled_at IS NULL)""",
)

TAKE: Final[LiteralString] = f"""
WITH due AS (
    SELECT d.event_id, d.outbox_id, d.recipient_id
      FROM webhook_endpoint e
      LEFT JOIN json_to_recordset(%(busy)s) AS k (recipient_id bigint, under_way int) ON k.recipient_id = e.endpoint_id
     CROSS JOIN LATERAL (
           SELECT event_id, outbox_id, recipient_id
             FROM delivery
            WHERE channel = 'webhook'
              AND recipient_id = e.endpoint_id
              AND state = 'pending'
              AND due_at <= now()
            ORDER BY due_at
            LIMIT greatest(0, %(at_once_max)s - coalesce(k.under_way, 0))
              FOR UPDATE SKIP LOCKED) d
     WHERE e.disabled_at IS NULL
), taken AS (
    UPDATE delivery d
       SET attempts = d.attempts + 1, due_at = now() + make_interval(secs => %(lease_seconds)s)
      FROM due
     WHERE d.outbox_id = due.outbox_id AND d.event_id = due.event_id AND {is_to("'webhook'", "due.recipient_id")}
    RETURNING d.event_id, d.outbox_id, d.recipient_id, d.attempts
)
SELECT t.event_id, t.outbox_id, t.recipient_id, t.attempts, o.kind, o.payload, o.created_at, e.url, e.secret,
       CASE WHEN e.secret_before_until > now() THEN e.secret_before END
  FROM taken t
  JOIN outbox o ON o.event_id = t.event_id AND o.outbox_id = t.outbox_id
  JOIN webhook_endpoint e ON e.endpoint_id = t.recipient_id
"""  # noqa: S608 - of constants alone
"""Takes what is due, each delivery for one attempt. It is due again once the attempt must be over, for the dispatcher
that took it may have died on the way. As `db.outbox.deliveries.NOTE`, it is not prepared."""

NOTE_ENDPOINTS: Final[LiteralString] = """
UPDATE webhook_endpoint e
   SET delivered_at = CASE WHEN k.delivered THEN clock_timestamp() ELSE e.delivered_at END,
       failing_since = CASE WHEN NOT k.delivered THEN coalesce(e.failing_since, clock_timestamp()) END
  FROM json_to_recordset(%(rows)s) AS k (endpoint_id bigint, delivered bool)
 WHERE e.endpoint_id = k.endpoint_id
"""

DISABLE_GONE: Final[LiteralString] = """
UPDATE webhook_endpoint
   SET disabled_at = clock_timestamp(), disabled_why = 'gone'
 WHERE endpoint_id = ANY (%(endpoint_ids)s::bigint[]) AND disabled_at IS NULL
RETURNING endpoint_id
"""

DISABLE_FAILING: Final[LiteralString] = """
UPDATE webhook_endpoint
   SET disabled_at = clock_timestamp(), disabled_why = 'failing'
 WHERE endpoint_id = ANY (%(endpoint_ids)s::bigint[]) AND disabled_at IS NULL
   AND failing_since < clock_timestamp() - make_interval(hours => %(failing_hours_max)s)
RETURNING endpoint_id
"""
