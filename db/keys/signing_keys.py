"""The rows of signing keys. The caller commits.

`READ_KEYS` is a statement of its own, because commands run it by SQLAlchemy, and gateways and workers by psycopg.
"""

from __future__ import annotations

import datetime as dt
from typing import Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

KEYS_OF_A_GROUP_MAX: Final = 20
"""A purchase's link names no key, so that each one is tried."""

READ_KEYS: Final[LiteralString] = """
SELECT key_group, key_id, sealed, made_by, made_at, signs_at
  FROM signing_key
 ORDER BY key_group, signs_at DESC NULLS LAST, made_at DESC
"""

_LOCK: Final[LiteralString] = "LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE"

_ADD_FIRST: Final[LiteralString] = """
INSERT INTO signing_key (key_group, key_id, made_by, signs_at) VALUES (%(key_group)s, '', '', 'epoch')
"""

_ADD: Final[LiteralString] = """
INSERT INTO signing_key (key_group, key_id, sealed, made_by)
VALUES (%(key_group)s, %(key_id)s, %(sealed)s, %(made_by)s)
"""

_SIGN: Final[LiteralString] = """
UPDATE signing_key SET signs_at = clock_timestamp()
 WHERE key_group = %(key_group)s AND key_id = %(key_id)s AND signs_at IS NULL
"""

_REMOVE: Final[LiteralString] = """
DELETE FROM signing_key WHERE key_group = %(key_group)s AND key_id = %(key_id)s
"""


class KeyRow(NamedTuple):
    """A key of a group. Of several the first in `READ_KEYS` with a ``signs_at`` signs."""

    key_group: str
    key_id: str
    sealed: bytes | None
    made_by: str
    made_at: dt.datetime
    signs_at: dt.datetime | None


async def read_keys(connection: AsyncConnection) -> tuple[KeyRow, ...]:
    """All keys, those of a group together and the one that signs in front."""
    return tuple(KeyRow._make(row) for row in await connection.exec_driver_sql(READ_KEYS))


async def lock_keys(connection: AsyncConnection) -> None:
    """Have other commands that change keys wait until this transaction ends."""
    await connection.exec_driver_sql(_LOCK)


async def add_first(connection: AsyncConnection, key_group: str) -> None:
    """Note the first key of a group, which signed until now."""
    await connection.exec_driver_sql(_ADD_FIRST, {"key_group": key_group})


async def add_key(connection: AsyncConnection, key_group: str, key_id: str, sealed: bytes, made_by: str) -> None:
    """Add a key that only verifies."""
    await connection.exec_driver_sql(
        _ADD, {"key_group": key_group, "key_id": key_id, "sealed": sealed, "made_by": made_by}
    )


async def let_sign(connection: AsyncConnection, key_group: str, key_id: str) -> None:
    """Have the key sign from now on, in place of the one that did."""
    await connection.exec_driver_sql(_SIGN, {"key_group": key_group, "key_id": key_id})


async def remove_key(connection: AsyncConnection, key_group: str, key_id: str) -> None:
    """Forget a key: what it signed is refused."""
    await connection.exec_driver_sql(_REMOVE, {"key_group": key_group, "key_id": key_id})
