"""The ways by which an account's fan can sign in: none is taken away that is the last. The caller commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from sqlalchemy.ext.asyncio import AsyncConnection

# A statement of its own: the next one sees what the holder of the lock has written.
_LOCK: Final[LiteralString] = "SELECT FROM account WHERE user_id = %(user_id)s FOR UPDATE"

_HAS_ANOTHER: Final[LiteralString] = """
SELECT a.password_hash IS NOT NULL OR (a.mail IS NOT NULL AND %(mails)s)
       OR EXISTS (SELECT FROM account_passkey p
                   WHERE p.user_id = a.user_id AND p.credential_id <> %(credential_id)s)
       OR EXISTS (SELECT FROM account_identity i
                   WHERE i.user_id = a.user_id AND i.issuer = ANY (%(issuers)s))
  FROM account a
 WHERE a.user_id = %(user_id)s
"""


class LastWayInError(Exception):
    """Without this way the fan could not sign in to the account any more."""


async def require_another(
    connection: AsyncConnection, user_id: int, issuers: Sequence[str], *, mails: bool, credential_id: bytes = b""
) -> None:
    """See that the fan can sign in to the account by a password, its address, a passkey or an issuer. Until the
    transaction's end nobody else takes one of them away.

    Args:
        issuers: those that count: of the site's own, without one that is to be unlinked.
        mails: whether the site mails links by which a password is set.
        credential_id: a passkey that does not count, because it is to be forgotten.

    Raises:
        LastWayInError: there is no other way.
    """
    await connection.exec_driver_sql(_LOCK, {"user_id": user_id})
    which = {"user_id": user_id, "issuers": list(issuers), "mails": mails, "credential_id": credential_id}
    if not (await connection.exec_driver_sql(_HAS_ANOTHER, which)).scalar():
        raise LastWayInError
