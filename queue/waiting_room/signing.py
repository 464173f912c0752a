"""Compact JWTs (RFC 7519) of one kind: HS256, one fixed header, a key a purpose.

The algorithm is never a token's to choose: its header must be ours to the letter, and its signature, compared as
text, the one we would have written. So little is left to check that PyJWT, which can read every token there is,
took a quarter of a gateway's time for it (ADR 9).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, Final, Generic, TypeVar

import msgspec

from .errors import TokenInvalid

HEADER: Final = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
"""``{"alg":"HS256","typ":"JWT"}``, as PyJWT too writes it."""
TOKEN_CHARS_MAX: Final = 1024

Claims = TypeVar("Claims", bound=msgspec.Struct)


class _Life(msgspec.Struct):
    # What no clock reaches does not fit a float either, and callers reckon with it.
    exp: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


_life = msgspec.json.Decoder(_Life).decode


class Signer(Generic[Claims]):
    """Signs and verifies claims of one type, which has no ``exp`` of its own.

    Args:
        purpose: goes into the key, so that a token of one purpose is no token of another.
        now: the clock that ends tokens (Unix time, seconds).
    """

    def __init__(self, secret: str, purpose: str, kind: type[Claims], *, now: Callable[[], float] = time.time) -> None:
        self.key = hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)
        self._decode = msgspec.json.Decoder(kind).decode
        self._now = now

    def sign(self, claims: Claims, ends_at_seconds: int) -> str:
        """A token good until then (Unix time)."""
        payload = msgspec.json.encode({**msgspec.structs.asdict(claims), "exp": ends_at_seconds})
        signed = f"{HEADER}.{urlsafe_b64encode(payload).rstrip(b'=').decode()}"
        return f"{signed}.{self._signature(signed.encode()).decode()}"

    def verify(self, token: str) -> tuple[Claims, int]:
        """The claims of a token of ours and its end (Unix time, seconds).

        Raises:
            TokenInvalid: ``malformed``, ``signature`` or ``expired``.
        """
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        if not payload or len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise TokenInvalid("malformed")
        if header != HEADER or not hmac.compare_digest(self._signature(signed.encode()), signature.encode()):
            raise TokenInvalid("signature")
        try:
            decoded = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
            ends_at_seconds = _life(decoded).exp
            claims = self._decode(decoded)
        except (ValueError, msgspec.MsgspecError):
            raise TokenInvalid("malformed") from None
        if ends_at_seconds <= self._now():
            raise TokenInvalid("expired")
        return claims, ends_at_seconds

    def _signature(self, signed: bytes) -> bytes:
        return urlsafe_b64encode(hmac.digest(self.key, signed, "sha256")).rstrip(b"=")
