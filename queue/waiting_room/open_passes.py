"""Passes that a shop beside us verifies by itself: JWTs signed by EdDSA (RFC 8037) with a key that is made of those for
places. Their public halves are published (RFC 7517), so that no shop ever holds what could sign.

Our own pages and gateways use the other kind (`waiting_room.tokens`), whose verifying costs a twentieth.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .key_ring import KeyGroup, Secret, ring_of

PASS_SECONDS_MAX: Final = 300
"""Nobody can call such a pass back, so it is short, and a shop asks for another."""
ALGORITHM: Final = "EdDSA"
_PURPOSE: Final = b"admitone open pass v1"


class OpenPasses:
    """Signs passes, and gives the keys to verify them with."""

    def __init__(self, secret: Secret) -> None:
        self._ring = ring_of(secret)

    def sign(self, event: int, fan: int, *, issuer: str, now: int, until: int) -> tuple[str, int]:
        """A pass of the fan at the event, and its end (Unix time, seconds): ``until``, or sooner.

        Args:
            issuer: the site's address.
            until: when the fan's own pass ends.
        """
        key = self._keys[0]
        ends_at = min(until, now + PASS_SECONDS_MAX)
        header = {"alg": ALGORITHM, "kid": _public(key)["kid"], "typ": "JWT"}
        claims = {"iss": issuer, "aud": f"event:{event}", "sub": str(fan), "iat": now, "exp": ends_at}
        signed = f"{_text(msgspec.json.encode(header))}.{_text(msgspec.json.encode(claims))}"
        return f"{signed}.{_text(key.sign(signed.encode()))}", ends_at

    def key_set(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set, the one that signs in front. A new one is in it before it signs."""
        return key_set_of(self._keys)

    @property
    def _keys(self) -> list[Ed25519PrivateKey]:
        derived = self._ring.derived(KeyGroup.PLACES, _PURPOSE)
        return [Ed25519PrivateKey.from_private_bytes(key.secret) for key in derived]


def key_set_of(keys: Iterable[Ed25519PrivateKey]) -> dict[str, Any]:
    """The public halves of the keys as a JSON Web Key Set (RFC 7517)."""
    return {"keys": [{**_public(key), "use": "sig", "alg": ALGORITHM} for key in keys]}


def _public(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public key, whose id is its thumbprint (RFC 7638): that of the members below, in the order of their names."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _text(key.public_key().public_bytes_raw())}
    return {**members, "kid": _text(hashlib.sha256(msgspec.json.encode(members)).digest())}


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
