"""The operators: their names, and Argon2id hashes of their passwords."""

from __future__ import annotations

import asyncio
import functools
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.connections import primary
from db.tables.operators import Operator

NAME_CHARS_MAX = 64
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 1024

_hasher = PasswordHasher()
# A hash takes 64 MiB: the pool bounds how many are under way, however many log in at once.
_hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


def add_operator(database_url: str, name: str, password: str) -> None:
    """Create the operator, or give an existing one a new password.

    Raises:
        ValueError: the name or the password is too short or too long.
    """
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise ValueError(f"an operator's name has 1 to {NAME_CHARS_MAX} characters")
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise ValueError(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    with primary.connect(database_url, "admitone-operator") as connection:
        connection.execute(
            """
            INSERT INTO operator (name, password_hash) VALUES (%(name)s, %(password_hash)s)
            ON CONFLICT (name) DO UPDATE SET password_hash = EXCLUDED.password_hash
            """,
            {"name": name, "password_hash": _hasher.hash(password)},
        )


async def verify_operator(database: AsyncConnection | AsyncEngine, name: str, password: str) -> bool:
    """Whether the operator exists and has this password; an unknown name costs the same work."""
    if len(name) > NAME_CHARS_MAX or len(password) > PASSWORD_CHARS_MAX:
        return False
    query = select(Operator.password_hash).where(Operator.name == name)
    if isinstance(database, AsyncEngine):
        # The connection goes back to the pool before the hashing, which takes long.
        async with database.connect() as connection:
            found = await connection.scalar(query)
    else:
        found = await database.scalar(query)
    return await asyncio.get_running_loop().run_in_executor(_hashing, _matches, found, password)


def _matches(password_hash: str | None, password: str) -> bool:
    nobody = _nobody()
    try:
        _hasher.verify(nobody if password_hash is None else password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@functools.cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))
