"""Authenticator apps (TOTP, RFC 6238), and the recovery codes for those who have lost theirs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

STEP_SECONDS: Final = 30
STEPS_AROUND: Final = 1
"""A code of the step before or after is taken too, since clocks differ."""
CODES: Final = 10
CODE_BYTES: Final = 8
NONCE_BYTES: Final = 12
ISSUER: Final = "Admit One"


class Enrolment(NamedTuple):
    """A new authenticator: its secret in base32, the same as an ``otpauth`` address, and encrypted as it is kept."""

    secret: str
    uri: str
    kept: bytes


class Authenticators:
    """Makes and checks authenticators' secrets, and recovery codes.

    Args:
        secret: the site's, whose own keys encrypt the secrets: a dump of the database opens nothing.
    """

    def __init__(self, secret: str, now: Callable[[], float]) -> None:
        self._cipher = AESGCM(hmac.digest(secret.encode(), b"admitone totp v1", "sha256"))
        self._code_key = hmac.digest(secret.encode(), b"admitone recovery code v1", "sha256")
        self._now = now

    def begin(self, name: str) -> Enrolment:
        """A new authenticator for the operator."""
        secret = pyotp.random_base32()
        nonce = secrets.token_bytes(NONCE_BYTES)
        kept = nonce + self._cipher.encrypt(nonce, secret.encode(), name.encode())
        return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER), kept)

    def step_of(self, name: str, kept: bytes, code: str) -> int | None:
        """The time step that the code is of; None where it is wrong. A secret of another site's key has no right code.

        The caller takes a step once.
        """
        try:
            secret = self._cipher.decrypt(kept[:NONCE_BYTES], kept[NONCE_BYTES:], name.encode()).decode()
        except InvalidTag:
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
        typed = "".join(one for one in code.upper() if one.isalnum())
        return hmac.digest(self._code_key, f"{name}\n{typed}".encode(), hashlib.sha256)


def _grouped(letters: str) -> str:
    return "-".join(letters[at : at + 5] for at in range(0, len(letters), 5))
