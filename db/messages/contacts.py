"""Where fans may be told, whom they follow, and what they do not want: read and written by gateways."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable
from typing import Any, Final, LiteralString

from sqlalchemy.ext.asyncio import AsyncConnection

from db.ids import uuid7
from db.messages.addresses import hash_of, opened, stored
from db.messages.kinds import CHOOSABLE, MAIL, Followed, MessageChannel, MessageKind, SuppressionReason
from db.messages.queue import SUPPRESS, WRITE, message_row, rows_of, suppression_row
from db.sealing.keyring import SealError

FOLLOWED_MAX: Final = 50
"""Artists and venues that one address may follow."""

_KEEP: Final[LiteralString] = """
INSERT INTO contact (event_id, user_id, channel, address, address_hash, language)
SELECT event_id, %(user_id)s, %(channel)s, %(sealed)s, %(hash)s, %(language)s
  FROM event
 WHERE event_id = %(event_id)s
    ON CONFLICT (event_id, user_id, channel) DO UPDATE
   SET address = excluded.address, address_hash = excluded.address_hash, language = excluded.language,
       made_at = excluded.made_at
"""

_REMOVE: Final[LiteralString] = """
DELETE FROM contact WHERE event_id = %(event_id)s AND user_id = %(user_id)s AND channel = %(channel)s
"""

_OF_FAN: Final[LiteralString] = """
SELECT channel, address FROM contact WHERE event_id = %(event_id)s AND user_id = %(user_id)s
"""

_PURCHASES: Final[LiteralString] = """
SELECT purchase_id
  FROM purchase
 WHERE event_id = %(event_id)s AND user_id = %(user_id)s AND status = 'confirmed'
 ORDER BY purchase_at DESC
 LIMIT 20
"""

_FOLLOW: Final[LiteralString] = """
INSERT INTO follower (follower_id, what, name, address, address_hash, language)
SELECT %(follower_id)s, %(what)s, f.name, %(sealed)s, %(hash)s, %(language)s
  FROM (SELECT CASE WHEN %(what)s = 'artist' THEN artist ELSE venue END AS name
          FROM event
         WHERE event_id = %(event_id)s AND rehearsal_of IS NULL) AS f
 WHERE f.name <> ''
   AND (SELECT count(*) FROM follower WHERE address_hash = %(hash)s) < %(followed_max)s
    ON CONFLICT (what, name, address_hash) DO UPDATE SET language = excluded.language
RETURNING follower_id, name, confirmed_at IS NOT NULL, to_char(clock_timestamp(), 'YYYY-MM-DD')
"""

_CONFIRM: Final[LiteralString] = """
UPDATE follower SET confirmed_at = coalesce(confirmed_at, clock_timestamp())
 WHERE follower_id = %(follower_id)s
RETURNING name, address_hash, address
"""

_FOLLOWED: Final[LiteralString] = """
SELECT follower_id, what, name
  FROM follower
 WHERE address_hash = %(hash)s AND confirmed_at IS NOT NULL
 ORDER BY name
"""

_UNFOLLOW: Final[LiteralString] = """
DELETE FROM follower WHERE address_hash = %(hash)s AND NOT follower_id = ANY (%(kept)s::uuid[])
"""

_UNWANTED: Final[LiteralString] = """
SELECT kind
  FROM suppression
 WHERE address_hash = %(hash)s AND channel = %(channel)s AND reason = 'unsubscribed'
"""

_WANT_AGAIN: Final[LiteralString] = """
DELETE FROM suppression
 WHERE address_hash = %(hash)s AND channel = %(channel)s AND reason = 'unsubscribed'
   AND (kind = '' OR NOT kind = ANY (%(unwanted)s::text[]))
"""

_QUIET: Final[LiteralString] = """
SELECT from_hour, until_hour FROM quiet_hours WHERE address_hash = %(hash)s AND channel = %(channel)s
"""

_KEEP_QUIET: Final[LiteralString] = """
INSERT INTO quiet_hours (address, address_hash, channel, from_hour, until_hour)
VALUES (%(sealed)s, %(hash)s, %(channel)s, %(from_hour)s, %(until_hour)s)
    ON CONFLICT (address_hash, channel) DO UPDATE SET from_hour = excluded.from_hour, until_hour = excluded.until_hour
"""

_NOT_QUIET: Final[LiteralString] = """
DELETE FROM quiet_hours WHERE address_hash = %(hash)s AND channel = %(channel)s
"""

_UNSUPPRESS: Final[LiteralString] = """
DELETE FROM suppression WHERE address_hash = %(hash)s AND channel = %(channel)s AND kind = '' AND reason <> 'complaint'
"""


async def keep_contact(
    connection: AsyncConnection, event_id: int, user_id: int, channel: MessageChannel, address: str, language: str
) -> bool:
    """Tell a fan of an event at this address from now on, and send the tickets that the fan has; False where there is
    no such event.
    """
    which: dict[str, Any] = {
        "event_id": event_id,
        "user_id": user_id,
        "channel": channel,
        "language": language,
        **stored(address)._asdict(),
    }
    kept = await connection.exec_driver_sql(_KEEP, which)
    if not kept.rowcount:
        return False
    if channel in MessageKind.PURCHASE.channels:
        found = await connection.exec_driver_sql(_PURCHASES, which)
        rows = [
            message_row(
                MessageKind.PURCHASE,
                event_id=event_id,
                channel=channel,
                address=address,
                user_id=user_id,
                language=language,
                cause=str(purchase_id),
                payload={"purchaseId": str(purchase_id)},
            )
            for (purchase_id,) in found
        ]
        if rows:
            await connection.exec_driver_sql(WRITE, rows_of(rows))
    return True


async def remove_contact(connection: AsyncConnection, event_id: int, user_id: int, channel: MessageChannel) -> None:
    """Tell the fan nothing more by this channel, for this event."""
    await connection.exec_driver_sql(_REMOVE, {"event_id": event_id, "user_id": user_id, "channel": channel})


async def contacts_of(connection: AsyncConnection, event_id: int, user_id: int) -> dict[str, str]:
    """The fan's addresses for an event, by channel; without those that no key of this site opens."""
    rows = await connection.exec_driver_sql(_OF_FAN, {"event_id": event_id, "user_id": user_id})
    found = {}
    for row in rows:
        with contextlib.suppress(SealError):
            found[str(row.channel)] = opened(row.address)
    return found


async def follow(connection: AsyncConnection, event_id: int, what: Followed, address: str, language: str) -> bool:
    """Note that an address asks for news of an event's artist or venue, and write the mail by which its owner confirms
    it, once a day at most. False where there is nothing to follow, or the address follows very much already.
    """
    which = {
        "follower_id": uuid7(),
        "event_id": event_id,
        "what": what,
        **stored(address)._asdict(),
        "language": language,
        "followed_max": FOLLOWED_MAX,
    }
    row = (await connection.exec_driver_sql(_FOLLOW, which)).first()
    if row is None:
        return False
    follower_id, name, is_confirmed, today = tuple(row)
    if not is_confirmed:
        message = message_row(
            MessageKind.CONFIRM,
            event_id=event_id,
            channel=MAIL,
            address=address,
            user_id=0,
            language=language,
            cause=f"{follower_id}.{today}",
            payload={"followerId": str(follower_id), "name": name},
        )
        await connection.exec_driver_sql(WRITE, rows_of([message]))
    return True


async def confirm(connection: AsyncConnection, follower_id: uuid.UUID) -> str | None:
    """Write to a follower from now on; returns the name that is followed, or None where it was forgotten."""
    row = (await connection.exec_driver_sql(_CONFIRM, {"follower_id": follower_id})).first()
    if row is None:
        return None
    name, address_hash, address = tuple(row)
    found_by = address_hash or hash_of(address)
    await connection.exec_driver_sql(_UNSUPPRESS, {"hash": found_by, "channel": MAIL})
    return str(name)


async def followed_by(connection: AsyncConnection, address: str) -> list[tuple[uuid.UUID, str, str]]:
    """What an address follows: id, ``artist`` or ``venue``, and its name."""
    rows = await connection.exec_driver_sql(_FOLLOWED, {"hash": hash_of(address)})
    return [tuple(row) for row in rows]


async def unwanted(connection: AsyncConnection, channel: str, address: str) -> set[MessageKind]:
    """The kinds of messages that an address does not want."""
    rows = await connection.exec_driver_sql(_UNWANTED, {"channel": channel, "hash": hash_of(address)})
    words = {word for (word,) in rows}
    return {kind for kind in CHOOSABLE if "" in words or kind in words}


async def quiet_hours(connection: AsyncConnection, channel: str, address: str) -> tuple[int, int] | None:
    """The hours from which and until which an address is left alone; None without any."""
    row = (await connection.exec_driver_sql(_QUIET, {"channel": channel, "hash": hash_of(address)})).first()
    return None if row is None else (int(row.from_hour), int(row.until_hour))


async def keep_quiet(connection: AsyncConnection, channel: str, address: str, hours: tuple[int, int] | None) -> None:
    """Leave an address alone in these hours from now on; None ends it."""
    which: dict[str, Any] = {"channel": channel, **stored(address)._asdict()}
    if hours is None:
        await connection.exec_driver_sql(_NOT_QUIET, which)
    else:
        await connection.exec_driver_sql(_KEEP_QUIET, {**which, "from_hour": hours[0], "until_hour": hours[1]})


async def want_all(connection: AsyncConnection, channel: str, address: str) -> None:
    """Write to an address again of every kind: its reader, who had stopped it, asks for it."""
    await connection.exec_driver_sql(_WANT_AGAIN, {"channel": channel, "hash": hash_of(address), "unwanted": []})


async def choose(
    connection: AsyncConnection,
    channel: str,
    address: str,
    unwanted_kinds: Iterable[MessageKind],
    kept_followers: Iterable[uuid.UUID],
) -> None:
    """Note what an address does not want, in the place of all that was noted before, and what it goes on following."""
    kinds = sorted(unwanted_kinds)
    which: dict[str, Any] = {"channel": channel, "hash": hash_of(address)}
    await connection.exec_driver_sql(_WANT_AGAIN, {**which, "unwanted": kinds})
    for kind in kinds:
        await suppress(connection, channel, address, kind, SuppressionReason.UNSUBSCRIBED)
    await connection.exec_driver_sql(_UNFOLLOW, {"hash": hash_of(address), "kept": list(kept_followers)})


async def suppress(
    connection: AsyncConnection, channel: str, address: str, kind: str, reason: SuppressionReason, detail: str = ""
) -> None:
    """Write to an address no more: of one kind, or of every kind where ``kind`` is empty."""
    await connection.exec_driver_sql(SUPPRESS, suppression_row(channel, address, kind, reason, detail))
