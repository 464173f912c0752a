"""The keys of browsers that take web push, as Postgres keeps them: whoever has them can write to the browser."""

from __future__ import annotations

from db.sealing.keyring import SealedField, keyring


def seal_push_key(key: str) -> str:
    """A key as it is stored."""
    return keyring().seal(SealedField.PUSH_KEY, key)


def open_push_key(stored: str) -> str:
    """Raises:
    SealError: no key of this site opens it.
    """
    return keyring().open(SealedField.PUSH_KEY, stored)
