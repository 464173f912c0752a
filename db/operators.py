"""The operators: their names, and Argon2id hashes of their passwords."""

from __future__ import annotations

import asyncio
import functools
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.connections import primary
from db.tables.operators import Operator
from db.texts import fault_of_name, tidy

NAME_CHARS_MAX = 64
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 1024

_hasher = PasswordHasher()
# A hash takes 64 MiB: the pool bounds how many are under way, however many log in at once.
_hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


def add_operator(database_url: str, name: str, password: str) -> str:
    """Create the operator, or give an existing one a new password; returns the name as it is stored.

    Raises:
        ValueError: no operator may have this name, or the password is too short or too long.
    """
    name = tidy(name)
    fault = fault_of_name(name, NAME_CHARS_MAX)
    if fault is not None:
        raise ValueError(f"an operator's name: {fault}")
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise ValueError(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    with primary.connect(database_url, "admitone-operator") as connection:
        connection.execute(
            """
            INSERT INTO operator (name, password_hash) VALUES (%(name)s, %(password_hash)s)
            ON CONFLICT (name) DO UPDATE SET password_hash = EXCLUDED.password_hash
            """,
            {"name": name, "password_hash": _hasher.hash(_composed(password))},
        )
    return name


async def verify_operator(database: AsyncConnection | AsyncEngine, name: str, password: str) -> bool:
    """Whether the operator exists and has this password; an unknown name costs the same work.

    Name and password are the same however a keyboard composes them: one machine sends ``é`` as one character, another
    as two.
    """
    if len(name) > NAME_CHARS_MAX or len(password) > PASSWORD_CHARS_MAX:
        return False
    # Names of earlier releases may be stored in another form.
    stored = func.pg_catalog.normalize(Operator.name, "NFC")
    composed = tidy(name)
    query = (
        select(Operator.password_hash).where(stored == composed).order_by((Operator.name == composed).desc()).limit(1)
    )
    if isinstance(database, AsyncEngine):
        # The connection goes back to the pool before the hashing, which takes long.
        async with database.connect() as connection:
            found = await connection.scalar(query)
    else:
        found = await database.scalar(query)
    return await asyncio.get_running_loop().run_in_executor(_hashing, _matches, found, password)


def _matches(password_hash: str | None, password: str) -> bool:
    against = _nobody() if password_hash is None else password_hash
    # The hash of an earlier release may be of the password as it was typed.
    typed = dict.fromkeys((_composed(password), password))
    return any(_is_of(against, one) for one in typed) and password_hash is not None


def _is_of(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _composed(password: str) -> str:
    return unicodedata.normalize("NFC", password)


@functools.cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))
