"""From what happened to whom it is told: statements that write messages, each for a bounded number of recipients.

News of the outbox reaches this module as a delivery of the channel ``message``, of which there is one for each row. The
worker's process of messages takes it, and writes a message for each address that is concerned.
"""

from __future__ import annotations

from typing import Final, LiteralString

from db.events.sale import EventState
from db.outbox.channels import ChannelName, ChannelSql, is_to
from db.outbox.kinds import OutboxKind

RECIPIENT: Final = 0
"""The only recipient of the channel, which is this site itself."""

TOLD_TO_FANS: Final = (
    OutboxKind.PURCHASE_MADE,
    OutboxKind.PURCHASE_CANCELLED,
    OutboxKind.EVENT_CHANGED,
    OutboxKind.EVENT_CANCELLED,
    OutboxKind.SEATS_OFFERED,
    OutboxKind.REFUND_MADE,
)
"""The kinds of news of which fans are told."""

_KINDS: Final = ", ".join(f"'{kind}'" for kind in TOLD_TO_FANS)

MESSAGES: Final = ChannelSql(
    name=ChannelName.MESSAGE,
    recipients=f"""
        SELECT n.event_id, n.outbox_id, {RECIPIENT}::bigint AS recipient_id
          FROM news n
         WHERE n.kind IN ({_KINDS})""",  # noqa: S608 - of constants alone
    deliverable="true",
)

TAKE_NEWS: Final[LiteralString] = f"""
WITH due AS (
    SELECT event_id, outbox_id
      FROM delivery
     WHERE channel = 'message' AND recipient_id = 0 AND state = 'pending' AND due_at <= now()
     ORDER BY due_at
     LIMIT %(news_max)s
       FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE delivery d
       SET attempts = least(d.attempts + 1, 32000),
           due_at = now() + make_interval(secs => %(lease_seconds)s)
      FROM due
     WHERE d.outbox_id = due.outbox_id AND d.event_id = due.event_id AND {is_to("'message'", "0")}
    RETURNING d.event_id, d.outbox_id
)
SELECT t.event_id, t.outbox_id, o.kind, o.payload
  FROM taken t
  JOIN outbox o ON o.event_id = t.event_id AND o.outbox_id = t.outbox_id
"""  # noqa: S608 - of constants alone
"""Takes what is due, as `db.webhooks.channel.TAKE` does."""

LEASE_NEWS: Final[LiteralString] = """
UPDATE delivery
   SET due_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
 WHERE channel = 'message' AND recipient_id = 0 AND outbox_id = ANY (%(outbox_ids)s::uuid[])
   AND event_id = %(event_id)s
   AND state = 'pending'
"""
"""Keeps news that takes long from being taken again."""

NEWS_DONE: Final[LiteralString] = f"""
UPDATE delivery d
   SET state = 'delivered', ended_at = now()
 WHERE d.outbox_id = ANY (%(outbox_ids)s::uuid[]) AND d.event_id = ANY (%(event_ids)s::bigint[])
   AND {is_to("'message'", "0")}
"""  # noqa: S608 - of constants alone

_REACHED: Final[LiteralString] = "coalesce(encode(address_hash, 'hex'), address)"
"""Whom a message reaches, in its dedup key: as `db.messages.queue.dedup_key` has it."""
_REACHED_BROWSER: Final[LiteralString] = "coalesce(encode(address_hash, 'hex'), endpoint)"


def _into(cause: LiteralString = "%(cause)s", payload: LiteralString = "%(payload)s::jsonb") -> LiteralString:
    """SQL that writes a message for each address of ``r``."""
    return f"""
INSERT INTO message (event_id, message_id, kind, channel, address, address_hash, user_id, language, dedup_key, payload,
                     urgency, due_at, useful_until)
SELECT %(event_id)s, gen_random_uuid(), %(kind)s, r.channel, r.address, r.address_hash, r.user_id, r.language,
       %(kind)s || ':' || {cause} || ':' || r.channel || ':' || r.reached, {payload}, %(urgency)s::smallint,
       %(due_at)s, %(due_at)s::timestamptz + make_interval(secs => %(useful_seconds)s)"""


TO_CONTACTS: Final[LiteralString] = f"""
WITH r AS MATERIALIZED (
    SELECT channel, address, address_hash, {_REACHED} AS reached, user_id, language
      FROM contact
     WHERE event_id = %(event_id)s AND (user_id, channel) > (%(after_user)s, %(after)s)
     ORDER BY user_id, channel
     LIMIT %(recipients_max)s
), written AS (
    {_into()}
      FROM r
     WHERE r.channel = ANY (%(channels)s)
        ON CONFLICT DO NOTHING
)
SELECT user_id, channel FROM r ORDER BY user_id DESC, channel DESC LIMIT 1
"""  # noqa: S608 - of constants alone
"""Tells the next fans of an event by their addresses, and returns how far it has come; nothing once all are told."""

TO_BROWSERS: Final[LiteralString] = f"""
WITH r AS MATERIALIZED (
    SELECT 'push' AS channel, endpoint AS address, address_hash, {_REACHED_BROWSER} AS reached, user_id, language
      FROM push_subscription
     WHERE event_id = %(event_id)s AND (user_id, endpoint) > (%(after_user)s, %(after)s)
     ORDER BY user_id, endpoint
     LIMIT %(recipients_max)s
), written AS (
    {_into()}
      FROM r
     WHERE r.channel = ANY (%(channels)s)
        ON CONFLICT DO NOTHING
)
SELECT user_id, address FROM r ORDER BY user_id DESC, address DESC LIMIT 1
"""  # noqa: S608 - of constants alone
"""As `TO_CONTACTS`, for the browsers that take web push."""

_FANS: Final[LiteralString] = "json_to_recordset(%(fans)s::json) AS k (user_id bigint, cause text, payload jsonb)"

TO_FANS: Final[LiteralString] = f"""
WITH r AS (
    SELECT c.channel, c.address, c.address_hash, {_REACHED} AS reached, c.user_id, c.language, k.cause, k.payload
      FROM {_FANS}
      JOIN contact c ON c.user_id = k.user_id AND c.event_id = %(event_id)s
     UNION ALL
    SELECT 'push', b.endpoint, b.address_hash, {_REACHED_BROWSER}, b.user_id, b.language, k.cause, k.payload
      FROM {_FANS}
      JOIN push_subscription b ON b.user_id = k.user_id AND b.event_id = %(event_id)s
)
{_into("r.cause", "r.payload")}
  FROM r
 WHERE r.channel = ANY (%(channels)s)
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - of constants alone
"""Tells some fans of one event, each what is said of this fan."""

TO_FOLLOWERS: Final[LiteralString] = f"""
WITH r AS MATERIALIZED (
    SELECT f.follower_id, 'mail' AS channel, f.address, f.address_hash, {_REACHED} AS reached, 0 AS user_id, f.language
      FROM event e
      JOIN follower f ON (f.what = 'artist' AND f.name = e.artist) OR (f.what = 'venue' AND f.name = e.venue)
     WHERE e.event_id = %(event_id)s AND f.confirmed_at IS NOT NULL AND f.follower_id > %(after)s
       AND f.confirmed_at <= coalesce(%(followed_by)s, now())
       AND f.confirmed_at > coalesce(%(followed_since)s::timestamptz, '-infinity')
     ORDER BY f.follower_id
     LIMIT %(recipients_max)s
), written AS (
    {_into()}
      FROM r
        ON CONFLICT DO NOTHING
)
SELECT follower_id FROM r ORDER BY follower_id DESC LIMIT 1
"""  # noqa: S608 - of constants alone
"""Tells the next followers of an event's artist or venue, of those who followed until ``followed_by`` and not before
``followed_since``; returns how far it came.
"""

FANS_WITH_ADDRESS: Final[LiteralString] = """
SELECT user_id FROM contact WHERE event_id = %(event_id)s AND user_id = ANY (%(user_ids)s::bigint[])
"""
"""Which of these fans gave an address, to which a link can be sent."""

FANS_REACHED: Final[LiteralString] = f"""
{FANS_WITH_ADDRESS}
 UNION
SELECT user_id FROM push_subscription WHERE event_id = %(event_id)s AND user_id = ANY (%(user_ids)s::bigint[])
"""  # noqa: S608 - of constants alone
"""Which of these fans we can tell of their turn."""

LINES_WITH_CONTACTS: Final[LiteralString] = f"""
SELECT e.event_id, e.time_zone
  FROM event e
  JOIN room r USING (event_id)
 WHERE e.state = '{EventState.PUBLISHED}' AND e.rehearsal_of IS NULL
   AND r.state NOT IN ('off', 'closed')
   AND e.on_sale_at < clock_timestamp() AND coalesce(e.off_sale_at, e.date) > clock_timestamp()
   AND (EXISTS (SELECT FROM contact c WHERE c.event_id = e.event_id)
        OR EXISTS (SELECT FROM push_subscription p WHERE p.event_id = e.event_id))
"""  # noqa: S608 - of constants alone
"""The sales in whose line somebody may wait whom we can tell."""


def _untold(what: LiteralString, about: LiteralString, is_due: LiteralString) -> LiteralString:
    """SQL of the common table ``untold``: rows ``x`` of a table that are due, with the addresses of their fans at
    ``channels`` that were not told of what the column ``about`` names. On a Citus cluster the messages are at its
    coordinator, which looks for them once the nodes have said what is due.
    """
    return f"""due AS MATERIALIZED (
    SELECT x.*, c.channel, {_REACHED} AS reached
      FROM {what} x
      JOIN contact c ON c.event_id = x.event_id AND c.user_id = x.user_id
     WHERE {is_due} AND c.channel = ANY (%(channels)s)
     UNION ALL
    SELECT x.*, 'push', {_REACHED_BROWSER}
      FROM {what} x
      JOIN push_subscription b ON b.event_id = x.event_id AND b.user_id = x.user_id
     WHERE {is_due} AND 'push' = ANY (%(channels)s)
), untold AS (
    SELECT *
      FROM due
     WHERE NOT EXISTS (
           SELECT
             FROM message m
            WHERE m.event_id = due.event_id
              AND m.dedup_key = %(kind)s || ':' || due.{about} || ':' || due.channel || ':' || due.reached)
)"""  # noqa: S608 - of constants alone


_ENDS_SOON: Final[LiteralString] = """
           x.state = 'held' AND x.expires_at BETWEEN now() + interval '20 seconds'
                                                 AND now() + make_interval(secs => %(seconds)s)"""

HOLDS_ENDING: Final[LiteralString] = f"""
WITH {_untold("reservation", "reservation_id", _ENDS_SOON)}
SELECT DISTINCT event_id, reservation_id, user_id, expires_at
  FROM untold
 ORDER BY expires_at
 LIMIT %(holds_max)s
"""  # noqa: S608 - of constants alone

_REFUSED: Final[LiteralString] = """
           x.state = 'failed' AND x.processing_at IS NOT NULL
           AND x.ended_at > now() - make_interval(secs => %(useful_seconds)s)"""

BANKS_REFUSED: Final[LiteralString] = f"""
WITH {_untold("payment", "payment_id", _REFUSED)}
SELECT DISTINCT event_id, payment_id, user_id, amount, ended_at
  FROM untold
 ORDER BY ended_at
 LIMIT %(payments_max)s
"""  # noqa: S608 - of constants alone
"""Payments that a bank worked on for days, and did not pay: nobody is there to see it."""

ON_SALE_NOW: Final[LiteralString] = f"""
SELECT e.time_zone, clock_timestamp()
  FROM event e
 WHERE e.event_id = %(event_id)s AND e.state = '{EventState.PUBLISHED}'
   AND NOT EXISTS (SELECT FROM room r WHERE r.event_id = e.event_id AND r.waiting_list)
   AND e.on_sale_at < clock_timestamp() AND coalesce(e.off_sale_at, e.date) > clock_timestamp()
"""  # noqa: S608 - of constants alone
"""The zone of an event whose seats are on sale, and the time; nothing of any other."""

SALES_TO_ANNOUNCE: Final[LiteralString] = f"""
WITH announced AS MATERIALIZED (
    SELECT e.event_id, e.time_zone, e.created_at, e.on_sale_at, e.artist, e.venue,
           e.on_sale_at <= clock_timestamp() + interval '24 hours' AS is_tomorrow
      FROM event e
     WHERE e.state = '{EventState.PUBLISHED}' AND e.rehearsal_of IS NULL AND e.date > clock_timestamp()
       AND (e.created_at > clock_timestamp() - interval '7 days'
            OR e.on_sale_at BETWEEN clock_timestamp() AND clock_timestamp() + interval '24 hours')
)
SELECT e.event_id, e.time_zone, e.created_at, e.on_sale_at, e.is_tomorrow
  FROM announced e
 WHERE EXISTS (SELECT FROM follower f
                WHERE f.confirmed_at IS NOT NULL
                  AND ((f.what = 'artist' AND f.name = e.artist) OR (f.what = 'venue' AND f.name = e.venue)))
"""  # noqa: S608 - of constants alone
"""Events of which followers are told: new ones, and those whose sale begins within a day."""
