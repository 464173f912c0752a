"""Authenticator apps (TOTP, RFC 6238), and the recovery codes for those who have lost theirs."""

from __future__ import annotations

import base64
import contextlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from db.sealing.keyring import PREFIX_BYTES, SealedField, SealError, keyring
from waiting_room.key_ring import KeyGroup, Secret, ring_of

STEP_SECONDS: Final = 30
STEPS_AROUND: Final = 1
"""A code of the step before or after is taken too, since clocks differ."""
CODES: Final = 10
CODE_BYTES: Final = 8
NONCE_BYTES: Final = 12
ISSUER: Final = "Admit One"


class Enrolment(NamedTuple):
    """A new authenticator: its secret in base32, the same as an ``otpauth`` address, and sealed as it is kept."""

    secret: str
    uri: str
    kept: bytes


class Authenticators:
    """Makes and checks authenticators' secrets, and recovery codes.

    The process' keyring seals the secrets, so they follow ``admitone data rotate`` (ADR 116). Earlier releases
    encrypted them with the keys that sign for operators; these are still read.

    Args:
        secret: the site's keys that sign; those of operators make the hashes of recovery codes.
    """

    def __init__(self, secret: Secret, now: Callable[[], float]) -> None:
        self._ring = ring_of(secret)
        self._now = now

    def begin(self, name: str) -> Enrolment:
        """A new authenticator for the operator."""
        secret = pyotp.random_base32()
        uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)
        return Enrolment(secret, uri, self._sealed(name, secret))

    @staticmethod
    def _sealed(name: str, secret: str) -> bytes:
        # Who can write to the database must not be able to give one operator another's authenticator.
        return keyring().seal_bytes(SealedField.AUTHENTICATOR, f"{name}\n{secret}".encode())

    def _opened(self, name: str, kept: bytes) -> str | None:
        if not kept.startswith(PREFIX_BYTES):
            return self._opened_of_earlier_release(name, kept)
        try:
            owner, _, secret = keyring().open_bytes(SealedField.AUTHENTICATOR, kept).decode().rpartition("\n")
        except SealError:
            return None
        return secret if owner == name else None

    def _opened_of_earlier_release(self, name: str, kept: bytes) -> str | None:
        nonce, content = kept[:NONCE_BYTES], kept[NONCE_BYTES:]
        for key in self._ring.derived(KeyGroup.OPERATORS, b"admitone totp v1"):
            with contextlib.suppress(InvalidTag, ValueError):
                return AESGCM(key.secret).decrypt(nonce, content, name.encode()).decode()
        return None

    def sealed_anew(self, name: str, kept: bytes) -> bytes:
        """The authenticator sealed with the newest key, so that older ones may go; one that no key opens stays as it
        is.
        """
        secret = self._opened(name, kept)
        return kept if secret is None else self._sealed(name, secret)

    def step_of(self, name: str, kept: bytes, code: str) -> int | None:
        """The time step that the code is of; None where it is wrong. A secret of another site's key has no right code.

        The caller takes a step once.
        """
        secret = self._opened(name, kept)
        if secret is None:
            return None
        totp = pyotp.TOTP(secret)
        typed = "".join(code.split())
        now = int(self._now())
        steps = [
            now // STEP_SECONDS + offset
            for offset in range(-STEPS_AROUND, STEPS_AROUND + 1)
            if hmac.compare_digest(totp.at(now, counter_offset=offset).encode(), typed.encode())
        ]
        return steps[-1] if steps else None

    def recovery_codes(self) -> list[str]:
        """Codes of 64 random bits, for a person to keep on paper."""
        return [_grouped(base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().rstrip("=")) for _ in range(CODES)]

    def hash_of(self, name: str, code: str) -> bytes:
        """How a recovery code is kept."""
        return self.hashes_of(name, code)[0]

    def hashes_of(self, name: str, code: str) -> tuple[bytes, ...]:
        """How a recovery code may be kept: by each key that the site has."""
        typed = "".join(one for one in code.upper() if one.isalnum())
        message = f"{name}\n{typed}".encode()
        keys = self._ring.derived(KeyGroup.OPERATORS, b"admitone recovery code v1")
        return tuple(hmac.digest(key.secret, message, "sha256") for key in keys)


def _grouped(letters: str) -> str:
    return "-".join(letters[at : at + 5] for at in range(0, len(letters), 5))
