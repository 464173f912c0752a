"""Verifies passes of Admit One by its public keys, without asking it. Copy this file; it needs `cryptography` alone.

    keys = key_set["keys"]                            # GET https://wait.example/.well-known/jwks.json, once an hour
    fan = verify(token, keys, room=7, agent=request.headers["User-Agent"], now=time.time())

A pass that verifies is good until its end, unless it was called back since: only the check at `/gate/7` knows that.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TOKEN_CHARS_MAX = 1024


class PassInvalid(Exception):  # noqa: N818 - it says what is the case
    """The reason is its text: malformed, key, signature, audience, expired or agent."""


def verify(token: str, keys: Iterable[Mapping[str, Any]], *, room: int, agent: str, now: float) -> dict[str, Any]:
    """The claims of a pass to this room, given to a browser with this User-Agent.

    Args:
        keys: of the JSON Web Key Set.
        now: Unix time, seconds.

    Raises:
        PassInvalid
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > TOKEN_CHARS_MAX or not token.isascii():
        raise PassInvalid("malformed")
    try:
        header, claims = (json.loads(_bytes(part)) for part in parts[:2])
        signature = _bytes(parts[2])
    except ValueError:
        raise PassInvalid("malformed") from None
    if not isinstance(header, dict) or not isinstance(claims, dict) or _text(signature) != parts[2]:
        raise PassInvalid("malformed")
    named = [key for key in keys if key.get("kid") == header.get("kid") and key.get("crv") == "Ed25519"]
    if header.get("alg") != "EdDSA" or not named:
        raise PassInvalid("key")
    try:
        public = Ed25519PublicKey.from_public_bytes(_bytes(named[0]["x"]))
        public.verify(signature, f"{parts[0]}.{parts[1]}".encode())
    except InvalidSignature:
        raise PassInvalid("signature") from None
    if claims.get("aud") != f"shop:{room}":
        raise PassInvalid("audience")
    if not isinstance(claims.get("exp"), int) or claims["exp"] <= now:
        raise PassInvalid("expired")
    if claims.get("ua") != _text(hashlib.sha256(agent.encode("latin-1", "replace")).digest()[:9]):
        raise PassInvalid("agent")
    return claims


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
