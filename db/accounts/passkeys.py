"""Passkeys of fans' accounts. The caller commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.accounts.ways_in import require_another
from db.operators.factors import PASSKEYS_MAX, PasskeyRow

_OF_ACCOUNT: Final[LiteralString] = """
SELECT credential_id, label, made_at, used_at FROM account_passkey WHERE user_id = %(user_id)s ORDER BY made_at
"""

_ADD: Final[LiteralString] = """
INSERT INTO account_passkey (credential_id, user_id, label, public_key, sign_count)
SELECT %(credential_id)s, %(user_id)s, %(label)s, %(public_key)s, %(sign_count)s
 WHERE (SELECT count(*) FROM account_passkey WHERE user_id = %(user_id)s) < %(passkeys_max)s
    ON CONFLICT DO NOTHING
"""

_PROOF: Final[LiteralString] = """
SELECT user_id, public_key, sign_count FROM account_passkey WHERE credential_id = %(credential_id)s FOR UPDATE
"""

_USE: Final[LiteralString] = """
UPDATE account_passkey SET sign_count = %(sign_count)s, used_at = clock_timestamp()
 WHERE credential_id = %(credential_id)s
"""

_REMOVE: Final[LiteralString] = """
DELETE FROM account_passkey WHERE user_id = %(user_id)s AND credential_id = %(credential_id)s
"""


class AccountPasskeyProof(NamedTuple):
    """What a passkey's signature is checked with."""

    user_id: int
    public_key: bytes
    sign_count: int


async def passkeys_of(connection: AsyncConnection, user_id: int) -> list[PasskeyRow]:
    """An account's passkeys, the oldest first."""
    return [PasskeyRow._make(row) for row in await connection.exec_driver_sql(_OF_ACCOUNT, {"user_id": user_id})]


async def add_passkey(
    connection: AsyncConnection, user_id: int, label: str, credential_id: bytes, public_key: bytes, sign_count: int
) -> bool:
    """Keep a passkey; False where there are as many as there may be, or this one is known."""
    which: dict[str, Any] = {"user_id": user_id, "label": label, "credential_id": credential_id}
    done = await connection.exec_driver_sql(
        _ADD, {**which, "public_key": public_key, "sign_count": sign_count, "passkeys_max": PASSKEYS_MAX}
    )
    return bool(done.rowcount)


async def passkey(connection: AsyncConnection, credential_id: bytes) -> AccountPasskeyProof | None:
    """What proves the passkey with this id, locked until the transaction's end."""
    row = (await connection.exec_driver_sql(_PROOF, {"credential_id": credential_id})).first()
    return None if row is None else AccountPasskeyProof._make(row)


async def use_passkey(connection: AsyncConnection, credential_id: bytes, sign_count: int) -> None:
    """Note that a passkey has signed."""
    await connection.exec_driver_sql(_USE, {"credential_id": credential_id, "sign_count": sign_count})


async def remove_passkey(
    connection: AsyncConnection, user_id: int, credential_id: bytes, issuers: Sequence[str], *, mails: bool
) -> bool:
    """Forget one of an account's passkeys; False where it has no such one.

    Args:
        issuers: those that the site has now.
        mails: whether the site mails links by which a password is set.

    Raises:
        LastWayInError: neither a password, another passkey, the account's address nor an issuer would be left.
    """
    await require_another(connection, user_id, issuers, mails=mails, credential_id=credential_id)
    done = await connection.exec_driver_sql(_REMOVE, {"user_id": user_id, "credential_id": credential_id})
    return bool(done.rowcount)
