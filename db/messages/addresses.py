"""Addresses as Postgres keeps them: sealed, beside the hash by which they are found and compared (ADR 71)."""

from __future__ import annotations

from typing import NamedTuple

from db.sealing.keyring import SealedField, keyring


class StoredAddress(NamedTuple):
    """A sealed address, which differs each time, and the hash, which is the same for the same address."""

    sealed: str
    hash: bytes


def stored(address: str) -> StoredAddress:
    """An address as it is written."""
    keys = keyring()
    return StoredAddress(keys.seal(SealedField.ADDRESS, address), hash_of(address))


def hash_of(address: str) -> bytes:
    """By what an address is found."""
    return keyring().lookup(SealedField.ADDRESS, address)


def opened(stored_address: str) -> str:
    """The address itself.

    Raises:
        SealError: no key of this site opens it.
    """
    return keyring().open(SealedField.ADDRESS, stored_address)
