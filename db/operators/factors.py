"""Second factors of operators: authenticators, recovery codes and passkeys. The caller commits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

PASSKEYS_MAX: Final = 10
PASSKEY_LABEL_CHARS_MAX: Final = 60

_BEGIN_TOTP: Final[LiteralString] = """
INSERT INTO operator_totp (name, secret) VALUES (%(name)s, %(secret)s)
ON CONFLICT (name) DO UPDATE SET secret = excluded.secret, made_at = now(), used_step = 0
 WHERE operator_totp.confirmed_at IS NULL
"""

_WAITING_TOTP: Final[LiteralString] = "SELECT secret FROM operator_totp WHERE name = %(name)s AND confirmed_at IS NULL"

_CONFIRM_TOTP: Final[LiteralString] = """
UPDATE operator_totp SET confirmed_at = now(), used_step = %(step)s WHERE name = %(name)s AND confirmed_at IS NULL
"""

_ALL_TOTPS: Final[LiteralString] = "SELECT name, secret FROM operator_totp FOR UPDATE"

_RESEAL_TOTP: Final[LiteralString] = "UPDATE operator_totp SET secret = %(secret)s WHERE name = %(name)s"

_USE_STEP: Final[LiteralString] = """
UPDATE operator_totp SET used_step = %(step)s WHERE name = %(name)s AND used_step < %(step)s
"""

_REMOVE_TOTP: Final[LiteralString] = "DELETE FROM operator_totp WHERE name = %(name)s"

_REMOVE_CODES: Final[LiteralString] = "DELETE FROM operator_recovery_code WHERE name = %(name)s"

_ADD_CODES: Final[LiteralString] = """
INSERT INTO operator_recovery_code (name, code_hash) SELECT %(name)s, unnest(%(hashes)s::bytea[])
"""

_USE_CODE: Final[LiteralString] = """
DELETE FROM operator_recovery_code WHERE name = %(name)s AND code_hash = ANY(%(code_hashes)s::bytea[])
"""

_FACTORS: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM operator_totp t WHERE t.name = %(name)s AND t.confirmed_at IS NOT NULL),
       (SELECT count(*) FROM operator_recovery_code c WHERE c.name = %(name)s)
"""

_PASSKEYS: Final[LiteralString] = """
SELECT credential_id, label, made_at, used_at FROM operator_passkey WHERE name = %(name)s ORDER BY made_at
"""

_ADD_PASSKEY: Final[LiteralString] = """
INSERT INTO operator_passkey (credential_id, name, label, public_key, sign_count)
SELECT %(credential_id)s, %(name)s, %(label)s, %(public_key)s, %(sign_count)s
 WHERE (SELECT count(*) FROM operator_passkey WHERE name = %(name)s) < %(passkeys_max)s
ON CONFLICT DO NOTHING
"""

_PASSKEY: Final[LiteralString] = """
SELECT name, public_key, sign_count FROM operator_passkey WHERE credential_id = %(credential_id)s FOR UPDATE
"""

_USE_PASSKEY: Final[LiteralString] = """
UPDATE operator_passkey SET sign_count = %(sign_count)s, used_at = now() WHERE credential_id = %(credential_id)s
"""

_REMOVE_PASSKEY: Final[LiteralString] = """
DELETE FROM operator_passkey WHERE name = %(name)s AND credential_id = %(credential_id)s
"""

_REMOVE_PASSKEYS: Final[LiteralString] = "DELETE FROM operator_passkey WHERE name = %(name)s"


class PasskeyRow(NamedTuple):
    """A passkey as its owner sees it."""

    credential_id: bytes
    label: str
    made_at: dt.datetime
    used_at: dt.datetime | None


class PasskeyProof(NamedTuple):
    """What a passkey's signature is checked with."""

    name: str
    public_key: bytes
    sign_count: int


class Factors(NamedTuple):
    """An operator's second factors."""

    has_totp: bool
    recovery_codes: int
    passkeys: tuple[PasskeyRow, ...]


async def factors_of(connection: AsyncConnection, name: str) -> Factors:
    """What an operator has beside the password."""
    has_totp, codes = tuple((await connection.exec_driver_sql(_FACTORS, {"name": name})).one())
    rows = await connection.exec_driver_sql(_PASSKEYS, {"name": name})
    return Factors(bool(has_totp), int(codes), tuple(PasskeyRow._make(row) for row in rows))


async def begin_totp(connection: AsyncConnection, name: str, secret: bytes) -> bool:
    """Keep an authenticator's sealed secret, to be confirmed by a code; False where there is an authenticator."""
    return bool((await connection.exec_driver_sql(_BEGIN_TOTP, {"name": name, "secret": secret})).rowcount)


async def waiting_totp(connection: AsyncConnection, name: str) -> bytes | None:
    """The sealed secret that waits to be confirmed."""
    found = (await connection.exec_driver_sql(_WAITING_TOTP, {"name": name})).scalar_one_or_none()
    return None if found is None else bytes(found)


async def confirm_totp(connection: AsyncConnection, name: str, step: int, code_hashes: Iterable[bytes]) -> bool:
    """Ask for the authenticator's codes from now on; False where none waits to be confirmed."""
    if not (await connection.exec_driver_sql(_CONFIRM_TOTP, {"name": name, "step": step})).rowcount:
        return False
    await connection.exec_driver_sql(_REMOVE_CODES, {"name": name})
    await connection.exec_driver_sql(_ADD_CODES, {"name": name, "hashes": list(code_hashes)})
    return True


async def reseal_totps(connection: AsyncConnection, sealed_anew: Callable[[str, bytes], bytes]) -> None:
    """Seal all authenticators' secrets anew: ``sealed_anew`` is given an operator's name and what is kept."""
    for row in (await connection.exec_driver_sql(_ALL_TOTPS)).all():
        name, secret = tuple(row)
        await connection.exec_driver_sql(_RESEAL_TOTP, {"name": name, "secret": sealed_anew(name, bytes(secret))})


async def use_step(connection: AsyncConnection, name: str, step: int) -> bool:
    """Take the code of a time step; False where it was taken before, or a later one was."""
    return bool((await connection.exec_driver_sql(_USE_STEP, {"name": name, "step": step})).rowcount)


async def use_recovery_code(connection: AsyncConnection, name: str, code_hashes: Iterable[bytes]) -> bool:
    """Take the recovery code that has one of the hashes; False where there is no such code any more."""
    return bool(
        (await connection.exec_driver_sql(_USE_CODE, {"name": name, "code_hashes": list(code_hashes)})).rowcount
    )


async def remove_totp(connection: AsyncConnection, name: str) -> bool:
    """Ask for no codes any more; False where there is no authenticator."""
    await connection.exec_driver_sql(_REMOVE_CODES, {"name": name})
    return bool((await connection.exec_driver_sql(_REMOVE_TOTP, {"name": name})).rowcount)


async def add_passkey(
    connection: AsyncConnection, name: str, label: str, credential_id: bytes, public_key: bytes, sign_count: int
) -> bool:
    """Keep a passkey; False where it is kept already, or the operator has `PASSKEYS_MAX`."""
    which: dict[str, Any] = {"credential_id": credential_id, "name": name, "label": label, "public_key": public_key}
    done = await connection.exec_driver_sql(
        _ADD_PASSKEY, {**which, "sign_count": sign_count, "passkeys_max": PASSKEYS_MAX}
    )
    return bool(done.rowcount)


async def passkey(connection: AsyncConnection, credential_id: bytes) -> PasskeyProof | None:
    """Whose passkey it is, locked until the transaction's end."""
    row = (await connection.exec_driver_sql(_PASSKEY, {"credential_id": credential_id})).first()
    return None if row is None else PasskeyProof._make(row)


async def use_passkey(connection: AsyncConnection, credential_id: bytes, sign_count: int) -> None:
    """Note that a passkey was used."""
    await connection.exec_driver_sql(_USE_PASSKEY, {"credential_id": credential_id, "sign_count": sign_count})


async def remove_passkey(connection: AsyncConnection, name: str, credential_id: bytes) -> bool:
    """Forget one of an operator's passkeys; False where the operator has no such one."""
    which = {"name": name, "credential_id": credential_id}
    return bool((await connection.exec_driver_sql(_REMOVE_PASSKEY, which)).rowcount)


async def remove_factors(connection: AsyncConnection, name: str) -> None:
    """Forget all second factors of an operator, for example of one who has lost the telephone."""
    await remove_totp(connection, name)
    await connection.exec_driver_sql(_REMOVE_PASSKEYS, {"name": name})
