"""Two accounts of one person are joined: the one that goes, and the one that stays (ADR 157). The caller commits.

All that is no booking moves with the join, or is moved by housekeeping; what a batch decides of is moved by the lanes
(`db.booking.merging`). A further row of the account that goes stays as its history, and so that nobody signs in to it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.accounts.sessions import end_sessions
from db.booking.holds import live
from db.messages.addresses import opened
from db.messages.kinds import MAIL, MessageKind
from db.messages.queue import NO_EVENT_ID, WRITE, message_row, rows_of

_LOCK: Final[LiteralString] = """
SELECT user_id, mail, address_hash, password_hash, password_at, language, merged_into
  FROM account
 WHERE user_id IN (%(stays)s, %(goes)s)
 ORDER BY user_id
   FOR UPDATE
"""

_MARK: Final[LiteralString] = """
UPDATE account SET merged_into = %(stays)s, merged_at = clock_timestamp() WHERE user_id = %(goes)s
"""

_FOLLOW: Final[LiteralString] = """
UPDATE account SET merged_into = %(stays)s WHERE merged_into = %(goes)s
"""

_FORGET_ADDRESS: Final[LiteralString] = """
UPDATE account SET mail = NULL, address_hash = NULL, password_hash = NULL, password_at = NULL
 WHERE user_id = %(goes)s
"""

_TAKE_ADDRESS: Final[LiteralString] = """
UPDATE account
   SET mail = %(mail)s, address_hash = %(address_hash)s, password_hash = %(password_hash)s,
       password_at = %(password_at)s
 WHERE user_id = %(stays)s
"""

_MOVE: Final[tuple[LiteralString, ...]] = (
    "UPDATE account_identity SET user_id = %(stays)s WHERE user_id = %(goes)s",
    "UPDATE account_passkey SET user_id = %(stays)s WHERE user_id = %(goes)s",
    """INSERT INTO account_fan (user_id, earlier_user_id, made_at)
       SELECT %(stays)s, earlier_user_id, made_at FROM account_fan WHERE user_id = %(goes)s
           ON CONFLICT DO NOTHING""",
    "DELETE FROM account_fan WHERE user_id = %(goes)s",
)

_OF_ACCOUNT: Final[LiteralString] = """
SELECT mail, merged_at, merge_done_at FROM account WHERE merged_into = %(user_id)s ORDER BY merged_at
"""

COUNT_HAD: Final = f"""
SELECT p.purchases, h.holds, w.entries, k.passkeys, i.issuers
  FROM (SELECT count(*) AS purchases FROM purchase WHERE user_id = %(user_id)s AND status = 'confirmed') AS p
 CROSS JOIN (SELECT count(*) AS holds FROM reservation h WHERE h.user_id = %(user_id)s AND {live("h")}) AS h
 CROSS JOIN (SELECT count(*) AS entries FROM waiting_entry WHERE user_id = %(user_id)s AND state = 'waiting') AS w
 CROSS JOIN (SELECT count(*) AS passkeys FROM account_passkey WHERE user_id = %(user_id)s) AS k
 CROSS JOIN (SELECT count(*) AS issuers FROM account_identity WHERE user_id = %(user_id)s) AS i
"""  # noqa: S608 - of constants alone

SETTLE_SECONDS: Final = 120
"""A join is looked after for so long at least: by then no command of the account that went can be on its way."""

MERGES: Final[LiteralString] = """
SELECT user_id, merged_into, merged_at < clock_timestamp() - make_interval(secs => %(settle_seconds)s)
  FROM account
 WHERE merged_into IS NOT NULL AND merge_done_at IS NULL
   AND merged_at < clock_timestamp() - make_interval(secs => %(after_seconds)s)
 ORDER BY merged_at
 LIMIT %(accounts_max)s
"""
"""The accounts that are being joined, to which others, and whether it may be done by now."""

MERGE_CONTACTS: Final[LiteralString] = """
UPDATE contact c SET user_id = %(stays)s
 WHERE c.user_id = %(goes)s
   AND NOT EXISTS (SELECT FROM contact o
                    WHERE o.event_id = c.event_id AND o.user_id = %(stays)s AND o.channel = c.channel)
"""
FORGET_CONTACTS: Final[LiteralString] = "DELETE FROM contact WHERE user_id = %(goes)s"
MERGE_SUBSCRIPTIONS: Final[LiteralString] = """
UPDATE push_subscription s SET user_id = %(stays)s
 WHERE s.user_id = %(goes)s
   AND NOT EXISTS (SELECT FROM push_subscription o
                    WHERE o.event_id = s.event_id AND o.user_id = %(stays)s
                      AND (o.address_hash = s.address_hash OR o.endpoint = s.endpoint))
"""
FORGET_SUBSCRIPTIONS: Final[LiteralString] = "DELETE FROM push_subscription WHERE user_id = %(goes)s"
MERGE_REDEMPTIONS: Final[LiteralString] = """
UPDATE code_redemption c SET user_id = %(stays)s
 WHERE c.user_id = %(goes)s
   AND NOT EXISTS (SELECT FROM code_redemption o
                    WHERE o.event_id = c.event_id AND o.user_id = %(stays)s AND o.code_hash = c.code_hash)
"""
MERGE_MESSAGES: Final[LiteralString] = "UPDATE message SET user_id = %(stays)s WHERE user_id = %(goes)s"

DONE: Final[LiteralString] = """
UPDATE account SET merge_done_at = clock_timestamp() WHERE user_id = %(goes)s AND merge_done_at IS NULL
"""


class AlreadyMergedError(Exception):
    """One of the two accounts is gone, or was joined to another."""


class MergedRow(NamedTuple):
    """An account that was joined to another one. ``done_at`` is None while what it has is being moved."""

    mail: str | None
    merged_at: dt.datetime
    done_at: dt.datetime | None


class Had(NamedTuple):
    """What an account has: how many purchases, live holds, entries of waiting lists, passkeys and issuers."""

    purchases: int
    holds: int
    entries: int
    passkeys: int
    issuers: int


async def had(connection: AsyncConnection, user_id: int) -> Had:
    """What moves with an account."""
    return Had._make((await connection.exec_driver_sql(COUNT_HAD, {"user_id": user_id})).one())


async def merge(connection: AsyncConnection, stays: int, goes: int) -> None:
    """Join an account to another one. Nobody signs in to it any more; its passkeys and issuers sign in to the other.

    Where the account that stays has no address, it gets address and password of the one that goes. Both addresses are
    written to.

    Raises:
        AlreadyMergedError: see there.
    """
    which: dict[str, Any] = {"stays": stays, "goes": goes}
    rows = {row.user_id: row for row in await connection.exec_driver_sql(_LOCK, which)}
    if stays == goes or len(rows) < 2 or any(row.merged_into is not None for row in rows.values()):
        raise AlreadyMergedError
    kept, gone = rows[stays], rows[goes]
    if kept.address_hash is None and gone.address_hash is not None:
        await connection.exec_driver_sql(_FORGET_ADDRESS, which)
        address = {name: getattr(gone, name) for name in ("mail", "address_hash", "password_hash", "password_at")}
        await connection.exec_driver_sql(_TAKE_ADDRESS, {**which, **address})
    for statement in (*_MOVE, _FOLLOW, _MARK):
        await connection.exec_driver_sql(statement, which)
    await end_sessions(connection, goes, "joined")
    messages = [
        message_row(
            MessageKind.ACCOUNT_JOINED,
            event_id=NO_EVENT_ID,
            channel=MAIL,
            address=opened(row.mail),
            user_id=0,
            language=row.language,
            cause=f"{goes}:{stays}",
            payload={},
        )
        for row in rows.values()
        if row.mail is not None
    ]
    if messages:
        await connection.exec_driver_sql(WRITE, rows_of(messages))


async def merged_into(connection: AsyncConnection, user_id: int) -> list[MergedRow]:
    """The accounts that were joined to this one, the first one first."""
    rows = [MergedRow._make(row) for row in await connection.exec_driver_sql(_OF_ACCOUNT, {"user_id": user_id})]
    return [row if row.mail is None else row._replace(mail=opened(row.mail)) for row in rows]
