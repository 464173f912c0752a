"""Which browsers a fan wants to be alerted in, for each event. A fan's oldest give way to newer ones."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.events.sale import EventState, sale_end
from db.messages.addresses import hash_of, stored
from db.push.keys import seal_push_key

OF_ONE_FAN_MAX: Final = 5
"""Browsers of one fan at one event: a fan has few devices, and each push costs a request."""

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

_KEEP: Final = text("""
INSERT INTO push_subscription (event_id, user_id, endpoint, address_hash, p256dh, auth, language)
SELECT event_id, :user_id, :sealed, :hash, :p256dh, :auth, :language
  FROM event
 WHERE event_id = :event_id
ON CONFLICT (event_id, user_id, address_hash) DO UPDATE
   SET p256dh = excluded.p256dh, auth = excluded.auth, language = excluded.language, made_at = excluded.made_at
""")

_DROP_OLDEST: Final = text("""
DELETE FROM push_subscription
 WHERE event_id = :event_id AND user_id = :user_id
   AND endpoint IN (SELECT endpoint
                      FROM push_subscription
                     WHERE event_id = :event_id AND user_id = :user_id
                     ORDER BY made_at DESC
                    OFFSET :kept_max)
""")

_REMOVE: Final = text("""
DELETE FROM push_subscription WHERE event_id = :event_id AND user_id = :user_id AND address_hash = :hash
""")


async def keep_subscription(
    connection: AsyncConnection, event_id: int, user_id: int, *, endpoint: str, p256dh: str, auth: str, language: str
) -> bool:
    """Store a browser's subscription, in the caller's transaction; False where there is no such event."""
    await connection.execute(_LOCK, {"name": f"push {event_id} {user_id}"})
    kept = await connection.execute(
        _KEEP,
        {
            "event_id": event_id,
            "user_id": user_id,
            **stored(endpoint)._asdict(),
            "p256dh": seal_push_key(p256dh),
            "auth": seal_push_key(auth),
            "language": language,
        },
    )
    if not kept.rowcount:
        return False
    await connection.execute(_DROP_OLDEST, {"event_id": event_id, "user_id": user_id, "kept_max": OF_ONE_FAN_MAX})
    return True


async def remove_subscription(connection: AsyncConnection, event_id: int, user_id: int, endpoint: str) -> None:
    """Forget a browser's subscription, where there is one."""
    await connection.execute(_REMOVE, {"event_id": event_id, "user_id": user_id, "hash": hash_of(endpoint)})


FORGET_SUBSCRIPTIONS: Final = f"""
DELETE FROM push_subscription s
 USING (SELECT s.event_id, s.user_id, s.endpoint
          FROM event e
          JOIN push_subscription s USING (event_id)
         WHERE {sale_end("e")} < clock_timestamp() - make_interval(hours => %(keep_hours)s)
            OR e.state = '{EventState.CANCELLED}'
         LIMIT %(rows_max)s) AS old
 WHERE s.event_id = old.event_id AND s.user_id = old.user_id AND s.endpoint = old.endpoint
"""  # noqa: S608 - of constants alone
"""Forgets the browsers of events whose sale is long over, and of cancelled ones: nobody's turn comes there."""
