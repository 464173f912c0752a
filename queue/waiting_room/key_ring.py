"""The keys that a site signs with, which change while processes run.

Keys stand in groups, so that one leaked key opens one kind of thing. A group's first key is made of the site's secret
and has no id; each later one is random, has an id, and is sealed with the secret as Postgres keeps it
(`db.keys.signing_keys`). Of a group's keys one signs, and all verify.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from db.keys.signing_keys import KeyRow

FIRST: Final = ""
"""The id of the key that is made of the site's secret; tokens that it signs name no key."""
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SEAL: Final = b"admitone signing keys v1"


class KeyGroup(StrEnum):
    """What keys are for. ``links`` are those in mails, which never end: purchases, and the end of messages. ``tickets``
    sign what a ticket's QR code says.
    """

    FANS = "fans"
    OPERATORS = "operators"
    PLACES = "places"
    CODES = "codes"
    LINKS = "links"
    TICKETS = "tickets"


_GROUPS: Final = frozenset(KeyGroup)


class SealedElsewhereError(Exception):
    """A key was sealed with another secret than this site's."""


class Key(NamedTuple):
    """A key of a group, or one derived from it for a purpose."""

    key_id: str
    secret: bytes


class KeyRing:
    """The keys of all groups.

    Args:
        secret: the site's, of which the first keys are made.
    """

    def __init__(self, secret: str | bytes) -> None:
        self.secret = secret.encode() if isinstance(secret, str) else secret
        self._rows: Sequence[KeyRow] = ()
        self._derived: dict[tuple[KeyGroup, bytes], tuple[Key, ...]] = {}
        self.keys: dict[KeyGroup, tuple[Key, ...]] = {}
        self._set({})

    def take(self, rows: Sequence[KeyRow]) -> None:
        """Use the keys of these rows, as `db.keys.signing_keys.READ_KEYS` orders them. ``keys`` is a new object
        afterwards if they changed.

        Raises:
            SealedElsewhereError: one was sealed with another secret; the keys stay as they are.
        """
        if rows == self._rows:
            return
        found: dict[KeyGroup, list[Key]] = {}
        for row in rows:
            if row.key_group in _GROUPS:
                found.setdefault(KeyGroup(row.key_group), []).append(self._opened(row))
        self._set(found)
        self._rows = rows

    def _set(self, found: dict[KeyGroup, list[Key]]) -> None:
        first = Key(FIRST, self.secret)
        self._derived = {}
        self.keys = {group: tuple(found.get(group, (first,))) for group in KeyGroup}

    def derived(self, group: KeyGroup, purpose: bytes) -> tuple[Key, ...]:
        """The group's keys for one purpose, the one that signs in front: a token for one purpose is not valid for
        another.
        """
        known = self._derived.get((group, purpose))
        if known is None:
            known = tuple(Key(key.key_id, hmac.digest(key.secret, purpose, hashlib.sha256)) for key in self.keys[group])
            self._derived[group, purpose] = known
        return known

    @property
    def names(self) -> tuple[str, ...]:
        """The keys by group and id, for other processes to compare: ``places:3f09c2d1``."""
        return tuple(sorted(f"{group}:{key.key_id}" for group, keys in self.keys.items() for key in keys))

    def new_key(self, group: KeyGroup) -> tuple[str, bytes]:
        """The id of a new random key, and the key as Postgres keeps it."""
        key_id, nonce = secrets.token_hex(4), secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secrets.token_bytes(KEY_BYTES), _about(group, key_id))
        return key_id, nonce + sealed

    def _opened(self, row: KeyRow) -> Key:
        if row.sealed is None:
            return Key(row.key_id, self.secret)
        sealed = bytes(row.sealed)
        try:
            about = _about(row.key_group, row.key_id)
            return Key(row.key_id, self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about))
        except InvalidTag:
            raise SealedElsewhereError(f"the key {row.key_group}:{row.key_id} is sealed with another secret") from None

    @property
    def _cipher(self) -> AESGCM:
        return AESGCM(hmac.digest(self.secret, _SEAL, hashlib.sha256))


Secret = str | bytes | KeyRing
"""A ring, or a secret that stands for a ring of first keys alone."""


def ring_of(secret: Secret) -> KeyRing:
    return secret if isinstance(secret, KeyRing) else KeyRing(secret)


def equals_one(keys: Iterable[Key], message: bytes, mac: bytes, mac_bytes: int = 32) -> bool:
    """Whether ``mac`` is the beginning of the HMAC of the message by one of the keys."""
    return any(hmac.compare_digest(hmac.digest(key.secret, message, "sha256")[:mac_bytes], mac) for key in keys)


def _about(group: str, key_id: str) -> bytes:
    return f"{group}:{key_id}".encode()
