"""Seals single fields with AES-GCM, so that a dump of the database does not show them, and opens them again.

A sealed text is ``sealed:`` and base64 of the key's id, a nonce and the ciphertext; sealed bytes are the same without
base64. The name of the field is bound to it as associated data: a value that is moved into another field does not open.
What was stored before fields were sealed has no such beginning, and is read as it is.

Like the tracer, a process has one keyring, which it takes into use when it starts (ADR 71).
"""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from db.settings import SiteSettings

PREFIX: Final = "sealed:"
PREFIX_BYTES: Final = PREFIX.encode()
ID_BYTES: Final = 6
"""A multiple of three, so that the id is a part of its own in base64, which SQL can compare."""
NONCE_BYTES: Final = 12
LOOKUP_BYTES: Final = 16


class SealedField(StrEnum):
    """What is sealed. Addresses have one name in all tables, because SQL copies them from table to table."""

    ADDRESS = "address"
    PUSH_KEY = "push key"
    RECEIVER = "alarm receiver"
    WEBHOOK_SECRET = "webhook secret"  # noqa: S105 - a name
    DRAW_KEY = "draw key"
    TICKET_CODE = "ticket code"
    PAYMENT_SECRET = "payment secret"  # noqa: S105 - a name
    ORDER = "order"
    INVOICE = "invoice"
    AUTHENTICATOR = "authenticator"


class SealError(ValueError):
    """No key of this site opens it: the key is missing in ADMITONE_DATA_KEYS, or the value was changed."""


class KeyringMissingError(RuntimeError):
    """The process has taken no keyring into use (`db.sealing.keyring.use`)."""


class Keyring:
    """The keys of a site.

    Args:
        secrets: the first one seals, all of them open.
        lookup_secret: makes the hashes by which sealed fields are found. It stays the same when ``secrets`` change.
    """

    def __init__(self, secrets: Iterable[str], lookup_secret: str) -> None:
        keys = [hmac.digest(secret.encode(), b"admitone data key v1", "sha256") for secret in secrets]
        self._ciphers = {_id_of(key): AESGCM(key) for key in reversed(keys)}
        self._newest_id = _id_of(keys[0])
        self._newest = self._ciphers[self._newest_id]
        self._lookup_key = hmac.digest(lookup_secret.encode(), b"admitone data lookup v1", "sha256")
        self.mark = PREFIX + urlsafe_b64encode(self._newest_id).decode()
        """What a text begins with that the newest key sealed."""
        self.mark_bytes = PREFIX_BYTES + self._newest_id

    @classmethod
    def of(cls, site: SiteSettings) -> Keyring:
        """The keyring of a site: the keys of the setting, and then the one that is made of the site's secret."""
        return cls([*site.data_keys.split(), site.secret], site.secret)

    def seal(self, field: SealedField, text: str) -> str:
        """The text as it may be stored."""
        return PREFIX + urlsafe_b64encode(self._sealed(field, text.encode())).decode()

    def open(self, field: SealedField, stored: str) -> str:
        """The text that was sealed; one that was not is returned as it is.

        Raises:
            SealError: no key opens it.
        """
        if not stored.startswith(PREFIX):
            return stored
        try:
            return self._opened(field, urlsafe_b64decode(stored[len(PREFIX) :])).decode()
        except ValueError as error:
            raise SealError(SealError.__doc__) from error

    def seal_bytes(self, field: SealedField, content: bytes) -> bytes:
        """The bytes as they may be stored."""
        return PREFIX_BYTES + self._sealed(field, content)

    def open_bytes(self, field: SealedField, stored: bytes) -> bytes:
        """As `open`, for bytes.

        Raises:
            SealError: no key opens it.
        """
        if not stored.startswith(PREFIX_BYTES):
            return bytes(stored)
        return self._opened(field, stored[len(PREFIX_BYTES) :])

    def lookup(self, field: SealedField, text: str) -> bytes:
        """The hash of 16 bytes by which a sealed text is found; without the site's secret nobody can guess at it."""
        # A keyed BLAKE2 takes a quarter of the time of an HMAC, and the engine makes one for each ticket.
        return blake2b(f"{field}\n{text}".encode(), digest_size=LOOKUP_BYTES, key=self._lookup_key).digest()

    def _sealed(self, field: SealedField, content: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return self._newest_id + nonce + self._newest.encrypt(nonce, content, field.encode())

    def _opened(self, field: SealedField, sealed: bytes) -> bytes:
        cipher = self._ciphers.get(bytes(sealed[:ID_BYTES]))
        nonce, content = sealed[ID_BYTES : ID_BYTES + NONCE_BYTES], sealed[ID_BYTES + NONCE_BYTES :]
        if cipher is None or len(nonce) < NONCE_BYTES:
            raise SealError(SealError.__doc__)
        try:
            return cipher.decrypt(nonce, content, field.encode())
        except InvalidTag:
            raise SealError(SealError.__doc__) from None


def _id_of(key: bytes) -> bytes:
    return hmac.digest(key, b"admitone data key id", "sha256")[:ID_BYTES]


class _InUse:
    keyring: Keyring | None = None


def use(keyring: Keyring) -> None:
    """Seal and open with these keys from now on, in the whole process."""
    _InUse.keyring = keyring


def keyring() -> Keyring:
    """The keys of this process.

    Raises:
        KeyringMissingError: `use` was not called.
    """
    if _InUse.keyring is None:
        raise KeyringMissingError(KeyringMissingError.__doc__)
    return _InUse.keyring
