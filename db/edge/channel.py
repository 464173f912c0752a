"""The edge as a channel of the outbox, in SQL: a delivery's recipient is the one cache that the settings name."""

from __future__ import annotations

from typing import Final, LiteralString

from db.outbox.channels import ChannelName, ChannelSql, is_to
from db.outbox.kinds import OutboxKind

RECIPIENT: Final = 0

CHANGES_PAGES: Final = (
    OutboxKind.EVENT_EDITED,
    OutboxKind.EVENT_CANCELLED,
    OutboxKind.ROOM_OPENED,
    OutboxKind.ROOM_PAUSED,
    OutboxKind.ROOM_RESUMED,
    OutboxKind.ROOM_SOLD_OUT,
    OutboxKind.ROOM_CLOSED,
)
"""The kinds of news that change what is kept for longer than a second; what a booking changes is not kept so long."""

_KINDS: Final = ", ".join(f"'{kind}'" for kind in CHANGES_PAGES)

EDGE: Final = ChannelSql(
    name=ChannelName.EDGE,
    recipients=f"""
        SELECT n.event_id, n.outbox_id, {RECIPIENT}::bigint AS recipient_id
          FROM news n
         WHERE %(has_edge)s AND n.kind IN ({_KINDS})""",  # noqa: S608 - of constants alone
    # By then the edge has forgotten by itself.
    deliverable="d.created_at > clock_timestamp() - interval '1 hour'",
)

TAKE: Final[LiteralString] = f"""
WITH due AS (
    SELECT event_id, outbox_id
      FROM delivery
     WHERE channel = 'edge' AND recipient_id = 0 AND state = 'pending' AND due_at <= now()
     ORDER BY due_at
     LIMIT %(rows_max)s
       FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE delivery d
       SET attempts = d.attempts + 1, due_at = now() + make_interval(secs => %(lease_seconds)s)
      FROM due
     WHERE d.outbox_id = due.outbox_id AND d.event_id = due.event_id AND {is_to("'edge'", "0")}
    RETURNING d.event_id, d.outbox_id, d.recipient_id, d.attempts
)
SELECT t.event_id, t.outbox_id, t.recipient_id, t.attempts, o.kind, o.payload, o.created_at
  FROM taken t
  JOIN outbox o ON o.event_id = t.event_id AND o.outbox_id = t.outbox_id
"""  # noqa: S608 - of constants alone
"""Takes what is due, each delivery for one attempt, as `db.webhooks.channel.TAKE` does."""
