"""What receivers are told: written with the decision, taken for a try, and noted when the try ended."""

from __future__ import annotations

from typing import Final, LiteralString

TOLD: Final[LiteralString] = """
SELECT alarm_id, receiver_id, created_at
  FROM alarm_notice
 WHERE what = 'firing' AND alarm_id = ANY (%(alarm_ids)s::uuid[]) AND (state = 'sent' OR tries > 0)
"""
"""Who was told, or may have been, that these alarms fire, and since when."""

WRITE: Final[LiteralString] = """
INSERT INTO alarm_notice (notice_id, receiver_id, alarm_id, what, dedup_key, payload, due_at)
SELECT gen_random_uuid(), r.receiver_id, k.alarm_id, k.what, k.dedup_key, k.payload,
       clock_timestamp() + make_interval(secs => %(group_seconds)s)
  FROM json_to_recordset(%(rows)s)
       AS k (receiver_id bigint, alarm_id uuid, what text, dedup_key text, payload jsonb)
  JOIN alarm_receiver r ON r.receiver_id = k.receiver_id
   FOR KEY SHARE OF r
    ON CONFLICT DO NOTHING
"""
"""Writes the notices that are not written yet."""

SKIP_UNSENT: Final[LiteralString] = """
UPDATE alarm_notice
   SET state = 'skipped', ended_at = clock_timestamp(), error = 'it was over before it was sent'
 WHERE state = 'queued' AND tries = 0 AND alarm_id = ANY (%(alarm_ids)s::uuid[])
"""

JOIN_TOGETHER: Final[LiteralString] = """
WITH g AS MATERIALIZED (
    SELECT receiver_id, gen_random_uuid() AS message_id
      FROM alarm_notice
     WHERE state = 'queued' AND message_id IS NULL
     GROUP BY receiver_id
    HAVING min(due_at) <= clock_timestamp()
)
UPDATE alarm_notice n
   SET message_id = g.message_id, due_at = clock_timestamp()
  FROM g
 WHERE n.receiver_id = g.receiver_id AND n.state = 'queued' AND n.message_id IS NULL
"""
"""Makes one message of all that a receiver is to be told, once the first part of it is due."""

TAKE: Final[LiteralString] = """
WITH taken AS (
    UPDATE alarm_notice
       SET tries = least(tries + 1, 32000), due_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
     WHERE message_id IN (SELECT message_id
                            FROM alarm_notice
                           WHERE state = 'queued' AND message_id IS NOT NULL AND due_at <= clock_timestamp()
                           GROUP BY message_id
                           ORDER BY min(due_at)
                           LIMIT %(messages_max)s)
       AND state = 'queued'
    RETURNING *
)
SELECT t.message_id, t.what, t.payload, t.tries,
       t.created_at <= clock_timestamp() - make_interval(secs => %(useful_seconds)s) AS is_late,
       r.receiver_id, r.channel, r.address, r.p256dh, r.auth
  FROM taken t
  JOIN alarm_receiver r USING (receiver_id)
 ORDER BY t.created_at, t.notice_id
"""
"""Takes the messages that are due, each for one try. One is due again once that try must be over, for the process that
took it may have died on the way."""

ANY_DUE: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM alarm_notice WHERE state = 'queued' AND due_at <= clock_timestamp())
"""

LOCK_TAKING: Final[LiteralString] = "SELECT pg_advisory_xact_lock(%(lock)s)"
TAKING: Final = 0xA1A_0026

NOTE: Final[LiteralString] = """
UPDATE alarm_notice
   SET state = %(state)s, error = %(error)s, copy = coalesce(%(copy)s, copy),
       due_at = clock_timestamp() + make_interval(secs => %(wait_seconds)s),
       ended_at = CASE WHEN %(state)s <> 'queued' THEN clock_timestamp() END
 WHERE message_id = %(message_id)s AND state = 'queued'
"""

NOTE_RECEIVER: Final[LiteralString] = """
UPDATE alarm_receiver
   SET delivered_at = CASE WHEN %(error)s = '' THEN clock_timestamp() ELSE delivered_at END,
       failing_since = CASE WHEN %(error)s <> '' THEN coalesce(failing_since, clock_timestamp()) END,
       gone_at = CASE WHEN %(is_gone)s THEN coalesce(gone_at, clock_timestamp()) END,
       error = %(error)s
 WHERE receiver_id = %(receiver_id)s
"""
"""Writes down whether a receiver takes what it is sent. One that was gone and takes a message is there again."""

FORGET_NOTICES: Final[LiteralString] = """
DELETE FROM alarm_notice n
 USING (SELECT notice_id
          FROM alarm_notice
         WHERE ended_at < clock_timestamp() - make_interval(hours => %(keep_hours)s)
         LIMIT %(rows_max)s) AS old
 WHERE n.notice_id = old.notice_id
"""
