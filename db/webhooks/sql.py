"""The SQL of webhooks' deliveries: run by the dispatcher several times a second, on bounded numbers of rows."""

from __future__ import annotations

from typing import Final

FAN_OUT: Final = """
WITH taken AS (
    SELECT event_id, outbox_id, kind, created_at
      FROM outbox
     WHERE sent_at IS NULL
     ORDER BY outbox_id
     LIMIT %(rows_max)s
       FOR UPDATE SKIP LOCKED
), handed AS (
    INSERT INTO webhook_delivery (event_id, outbox_id, endpoint_id, due_at, created_at)
    SELECT t.event_id, t.outbox_id, e.endpoint_id, statement_timestamp(), statement_timestamp()
      FROM taken t
      JOIN event v ON v.event_id = t.event_id AND v.rehearsal_of IS NULL
      JOIN webhook_endpoint e
        ON t.kind = ANY (e.kinds)
       AND (e.event_id IS NULL OR e.event_id = t.event_id)
       AND e.created_at <= t.created_at
        ON CONFLICT DO NOTHING
)
UPDATE outbox o
   SET sent_at = statement_timestamp()
  FROM taken t
 WHERE o.event_id = t.event_id AND o.outbox_id = t.outbox_id
"""

# What is taken is due again once the attempt must be over: whoever took it may have died on the way.
TAKE: Final = """
WITH due AS (
    SELECT d.event_id, d.outbox_id, d.endpoint_id
      FROM webhook_endpoint e
      LEFT JOIN json_to_recordset(%(busy)s) AS k (endpoint_id bigint, under_way int) USING (endpoint_id)
     CROSS JOIN LATERAL (
           SELECT event_id, outbox_id, endpoint_id
             FROM webhook_delivery
            WHERE endpoint_id = e.endpoint_id
              AND state = 'pending'
              AND due_at <= statement_timestamp()
            ORDER BY due_at
            LIMIT greatest(0, %(at_once_max)s - coalesce(k.under_way, 0))
              FOR UPDATE SKIP LOCKED) d
     WHERE e.disabled_at IS NULL
), taken AS (
    UPDATE webhook_delivery d
       SET attempts = d.attempts + 1, due_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
      FROM due
     WHERE d.outbox_id = due.outbox_id AND d.event_id = due.event_id AND d.endpoint_id = due.endpoint_id
    RETURNING d.event_id, d.outbox_id, d.endpoint_id, d.attempts
)
SELECT t.event_id, t.outbox_id, t.endpoint_id, t.attempts, o.kind, o.payload, o.created_at, e.url, e.secret,
       CASE WHEN e.secret_before_until > clock_timestamp() THEN e.secret_before END
  FROM taken t
  JOIN outbox o ON o.event_id = t.event_id AND o.outbox_id = t.outbox_id
  JOIN webhook_endpoint e ON e.endpoint_id = t.endpoint_id
"""

# A success counts whoever else may have taken the delivery meanwhile; a failure only of the latest attempt.
NOTE: Final = """
UPDATE webhook_delivery d
   SET state = k.state, status = k.status, error = k.error,
       due_at = clock_timestamp() + make_interval(secs => k.wait_seconds),
       ended_at = CASE WHEN k.state <> 'pending' THEN clock_timestamp() END
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, outbox_id uuid, endpoint_id bigint, attempts int, state text, status int, error text,
             wait_seconds float)
 WHERE d.outbox_id = k.outbox_id AND d.event_id = k.event_id AND d.endpoint_id = k.endpoint_id
   AND d.state = 'pending'
   AND (k.state = 'delivered' OR d.attempts = k.attempts)
"""

NOTE_ENDPOINTS: Final = """
UPDATE webhook_endpoint e
   SET delivered_at = CASE WHEN k.delivered THEN clock_timestamp() ELSE e.delivered_at END,
       failing_since = CASE WHEN NOT k.delivered THEN coalesce(e.failing_since, clock_timestamp()) END
  FROM json_to_recordset(%(rows)s) AS k (endpoint_id bigint, delivered bool)
 WHERE e.endpoint_id = k.endpoint_id
"""

DISABLE_GONE: Final = """
WITH ended AS (
    UPDATE webhook_endpoint
       SET disabled_at = clock_timestamp(), disabled_why = 'gone'
     WHERE endpoint_id = ANY (%(endpoint_ids)s::bigint[]) AND disabled_at IS NULL
    RETURNING endpoint_id
), logged AS (
    INSERT INTO webhook_log (operator, endpoint_id, field, before, after)
    SELECT 'dispatcher', endpoint_id, 'enabled', 'true', 'false: it answered 410 Gone' FROM ended
)
SELECT endpoint_id FROM ended
"""

DISABLE_FAILING: Final = """
WITH ended AS (
    UPDATE webhook_endpoint
       SET disabled_at = clock_timestamp(), disabled_why = 'failing'
     WHERE endpoint_id = ANY (%(endpoint_ids)s::bigint[]) AND disabled_at IS NULL
       AND failing_since < clock_timestamp() - make_interval(hours => %(failing_hours_max)s)
    RETURNING endpoint_id
), logged AS (
    INSERT INTO webhook_log (operator, endpoint_id, field, before, after)
    SELECT 'dispatcher', endpoint_id, 'enabled', 'true',
           format('false: it failed for %%s hours', %(failing_hours_max)s::int)
      FROM ended
)
SELECT endpoint_id FROM ended
"""

FORGET: Final = """
DELETE FROM outbox o
 USING (SELECT event_id, outbox_id
          FROM outbox s
         WHERE s.sent_at < clock_timestamp() - make_interval(hours => %(keep_hours)s)
           AND NOT EXISTS (SELECT
                             FROM webhook_delivery d
                             JOIN webhook_endpoint e USING (endpoint_id)
                            WHERE d.outbox_id = s.outbox_id AND d.event_id = s.event_id
                              AND d.state = 'pending' AND e.disabled_at IS NULL)
         ORDER BY s.sent_at
         LIMIT %(rows_max)s) AS old
 WHERE o.event_id = old.event_id AND o.outbox_id = old.outbox_id
"""
