"""Fans' accounts. This module alone reads and writes their addresses. The caller commits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.accounts.sessions import KNOWN_DAYS
from db.ids import new_user_id
from db.messages.addresses import hash_of, opened, stored
from db.messages.kinds import MAIL, MessageKind
from db.messages.queue import NO_EVENT_ID, WRITE, message_row, rows_of

LINK_EVERY_MINUTES: Final = 10
"""An address gets one link in so long, however often somebody asks for one."""

_BY_MAIL: Final[LiteralString] = """
SELECT a.user_id, a.mail, a.password_hash, a.password_at, a.merged_into,
       EXISTS (SELECT FROM account_session s
                WHERE s.user_id = a.user_id AND s.network = %(network)s
                  AND s.made_at > now() - make_interval(days => %(known_days)s))
  FROM account a
 WHERE a.address_hash = %(address_hash)s
"""

_BY_ID: Final[LiteralString] = """
SELECT a.user_id, a.mail, a.password_hash, a.password_at, a.merged_into, true
  FROM account a
 WHERE a.user_id = %(user_id)s
"""

_KEEP_PASSWORD: Final[LiteralString] = """
INSERT INTO account (user_id, mail, address_hash, password_hash, password_at, language)
VALUES (%(user_id)s, %(mail)s, %(address_hash)s, %(password_hash)s, greatest(clock_timestamp(), %(issued_at)s),
        %(language)s)
    ON CONFLICT (address_hash) DO UPDATE SET password_hash = excluded.password_hash, password_at = excluded.password_at
 WHERE account.merged_into IS NULL AND (account.password_at IS NULL OR account.password_at < %(issued_at)s)
RETURNING user_id
"""  # noqa: S105 - a statement

_SET_PASSWORD: Final[LiteralString] = """
UPDATE account SET password_hash = %(password_hash)s, password_at = clock_timestamp() WHERE user_id = %(user_id)s
"""  # noqa: S105 - a statement

_BY_IDENTITY: Final[LiteralString] = """
SELECT user_id FROM account_identity WHERE issuer = %(issuer)s AND subject = %(subject)s
"""

_ADD: Final[LiteralString] = """
INSERT INTO account (user_id, mail, address_hash, language)
VALUES (%(user_id)s, %(mail)s, %(address_hash)s, %(language)s)
    ON CONFLICT (address_hash) DO UPDATE SET mail = excluded.mail
RETURNING coalesce(merged_into, user_id)
"""

_ADD_IDENTITY: Final[LiteralString] = """
INSERT INTO account_identity (issuer, subject, user_id) VALUES (%(issuer)s, %(subject)s, %(user_id)s)
    ON CONFLICT (issuer, subject) DO UPDATE SET issuer = excluded.issuer
RETURNING user_id
"""

_NOTE_EARLIER: Final[LiteralString] = """
INSERT INTO account_fan (user_id, earlier_user_id)
SELECT %(user_id)s, %(earlier)s
 WHERE EXISTS (SELECT 1 FROM purchase p WHERE p.user_id = %(earlier)s)
   AND (SELECT count(*) FROM account_fan f WHERE f.user_id = %(user_id)s) < %(earlier_max)s
    ON CONFLICT DO NOTHING
"""

_EARLIER: Final[LiteralString] = """
SELECT earlier_user_id, made_at FROM account_fan WHERE user_id = %(user_id)s
 UNION ALL
SELECT user_id, merged_at FROM account WHERE merged_into = %(user_id)s AND merge_done_at IS NULL
 ORDER BY made_at DESC
"""

_CONTACTS_ALONG: Final[LiteralString] = """
INSERT INTO contact (event_id, user_id, channel, address, language)
SELECT event_id, %(user_id)s, channel, address, language
  FROM contact
 WHERE event_id = %(event_id)s AND user_id = %(earlier)s
    ON CONFLICT DO NOTHING
"""

EARLIER_MAX: Final = 50
"""Of so many fans without an account one account shows the purchases."""


class AccountRow(NamedTuple):
    """An account. ``is_known_network``: the fan has signed in from the network that was asked about. ``merged_into`` is
    the account that it was joined to.
    """

    user_id: int
    mail: str | None
    password_hash: str | None
    password_at: dt.datetime | None
    merged_into: int | None
    is_known_network: bool


def _kept(mail: str | None) -> dict[str, Any]:
    """An account's address as it is written: sealed, with the hash by which the account is found."""
    sealed, address_hash = (None, None) if mail is None else stored(mail)
    return {"mail": sealed, "address_hash": address_hash}


def _account(row: Sequence[Any]) -> AccountRow:
    account = AccountRow._make(row)
    return account if account.mail is None else account._replace(mail=opened(account.mail))


async def find_by_mail(connection: AsyncConnection, mail: str, network: str) -> AccountRow | None:
    """The account with this address.

    Args:
        network: where the sign-in comes from.
    """
    which = {"address_hash": hash_of(mail), "network": network, "known_days": KNOWN_DAYS}
    row = (await connection.exec_driver_sql(_BY_MAIL, which)).first()
    return None if row is None else _account(row)


async def account_of(connection: AsyncConnection, user_id: int) -> AccountRow | None:
    """The account that owns this user id."""
    row = (await connection.exec_driver_sql(_BY_ID, {"user_id": user_id})).first()
    return None if row is None else _account(row)


async def write_link(connection: AsyncConnection, mail: str, language: str, now: dt.datetime) -> None:
    """Write the mail with the link by which the owner of an address makes an account or sets its password anew; once
    in `LINK_EVERY_MINUTES` at most. Whether there is an account plays no part.
    """
    message = message_row(
        MessageKind.ACCOUNT_LINK,
        event_id=NO_EVENT_ID,
        channel=MAIL,
        address=mail,
        user_id=0,
        language=language,
        cause=f"{now:%Y-%m-%dT%H}.{now.minute // LINK_EVERY_MINUTES}",
        payload={},
    )
    await connection.exec_driver_sql(WRITE, rows_of([message]))


async def keep_password(
    connection: AsyncConnection, mail: str, password_hash: str, issued_at: dt.datetime, language: str
) -> int | None:
    """Set the password of the account with this address, or make the account, for the owner of a link.

    Args:
        issued_at: when the link was made. It is good once: a password that was set later ends it.

    Returns:
        The account's user id; None if the link was used, or the password changed since.
    """
    which: dict[str, Any] = {"user_id": new_user_id(), **_kept(mail), "password_hash": password_hash}
    found = await connection.exec_driver_sql(_KEEP_PASSWORD, {**which, "issued_at": issued_at, "language": language})
    user_id = found.scalar_one_or_none()
    return None if user_id is None else int(user_id)


async def set_password(connection: AsyncConnection, user_id: int, password_hash: str) -> None:
    """Give an account a new password."""
    await connection.exec_driver_sql(_SET_PASSWORD, {"user_id": user_id, "password_hash": password_hash})


async def keep_identity(connection: AsyncConnection, issuer: str, subject: str, mail: str | None, language: str) -> int:
    """The user id of the account of a person whom an issuer names; it is made where there is none.

    Args:
        mail: an address that the issuer says it has verified: an account that has it is the person's.
    """
    which: dict[str, Any] = {"issuer": issuer, "subject": subject}
    found = (await connection.exec_driver_sql(_BY_IDENTITY, which)).scalar_one_or_none()
    if found is not None:
        return int(found)
    added = await connection.exec_driver_sql(_ADD, {"user_id": new_user_id(), **_kept(mail), "language": language})
    which["user_id"] = added.scalar_one()
    return int((await connection.exec_driver_sql(_ADD_IDENTITY, which)).scalar_one())


async def note_earlier(connection: AsyncConnection, user_id: int, earlier: int) -> None:
    """Note that the fan of an account bought as another fan before, in the browser that signs in now."""
    which = {"user_id": user_id, "earlier": earlier, "earlier_max": EARLIER_MAX}
    await connection.exec_driver_sql(_NOTE_EARLIER, which)


async def earlier_of(connection: AsyncConnection, user_id: int) -> list[int]:
    """The user ids as which the fan of an account bought before signing in, and those of accounts that are being joined
    to it, the newest first.
    """
    return [int(row[0]) for row in await connection.exec_driver_sql(_EARLIER, {"user_id": user_id})]


async def bring_contacts(connection: AsyncConnection, event_id: int, user_id: int, earlier: int) -> None:
    """Tell the fan of an account at the addresses that were given for a place that moved into the account."""
    await connection.exec_driver_sql(_CONTACTS_ALONG, {"event_id": event_id, "user_id": user_id, "earlier": earlier})
