"""Argon2id hashes of passwords, for operators and for fans with an account."""

from __future__ import annotations

import functools
import secrets
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PASSWORD_CHARS_MIN: Final = 8
PASSWORD_CHARS_MAX: Final = 1024

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """The Argon2id hash of a password, which takes some tens of milliseconds and 64 MiB.

    Raises:
        ValueError: the password is too short or too long.
    """
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise ValueError(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    return _hasher.hash(_composed(password))


def is_password_of(password_hash: str | None, password: str) -> bool:
    """Whether the hash is of this password. It takes as long where there is no hash, because there is no account."""
    if len(password) > PASSWORD_CHARS_MAX:
        return False
    against = password_hash or _nobody()
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
