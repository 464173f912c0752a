"""Who an account is at issuers of OpenID Connect: linked and unlinked by a fan who is signed in. The caller commits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.accounts.ways_in import require_another

_OF_ACCOUNT: Final[LiteralString] = """
SELECT issuer, min(made_at) FROM account_identity WHERE user_id = %(user_id)s GROUP BY issuer
"""

_LINK: Final[LiteralString] = """
INSERT INTO account_identity (issuer, subject, user_id) VALUES (%(issuer)s, %(subject)s, %(user_id)s)
    ON CONFLICT (issuer, subject) DO UPDATE SET issuer = excluded.issuer
RETURNING user_id
"""

_UNLINK: Final[LiteralString] = """
DELETE FROM account_identity WHERE user_id = %(user_id)s AND issuer = %(issuer)s
"""


class LinkedIssuer(NamedTuple):
    """An issuer that signs the fan of an account in, and since when."""

    issuer: str
    linked_at: dt.datetime


async def issuers_of(connection: AsyncConnection, user_id: int) -> list[LinkedIssuer]:
    """The issuers that an account is linked with."""
    return [LinkedIssuer._make(row) for row in await connection.exec_driver_sql(_OF_ACCOUNT, {"user_id": user_id})]


async def link(connection: AsyncConnection, user_id: int, issuer: str, subject: str) -> int:
    """Let a person whom an issuer names sign in to an account; returns the account of that person, which may be
    another one that there was before.
    """
    which = {"user_id": user_id, "issuer": issuer, "subject": subject}
    return int((await connection.exec_driver_sql(_LINK, which)).scalar_one())


async def unlink(connection: AsyncConnection, user_id: int, issuer: str, others: Sequence[str], *, mails: bool) -> bool:
    """Let an issuer sign nobody in to an account any more; False where it did not.

    Args:
        others: the other issuers that the site has now.
        mails: whether the site mails links by which a password is set.

    Raises:
        LastWayInError: neither a password, a passkey, the account's address nor another issuer would be left.
    """
    await require_another(connection, user_id, others, mails=mails)
    done = await connection.exec_driver_sql(_UNLINK, {"user_id": user_id, "issuer": issuer})
    return bool(done.rowcount)
