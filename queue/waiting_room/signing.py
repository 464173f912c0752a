"""Compact JWTs (RFC 7519) of one kind: HS256, one fixed header, and one key for each purpose.

A token cannot choose its algorithm: its header must equal ours exactly, and its signature, compared as text, must be
the one that we would write. So few checks are needed that a general library is not worth its cost: PyJWT took a quarter
of a gateway's time (ADR 9).
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
"""The header ``{"alg":"HS256","typ":"JWT"}``, encoded as PyJWT encodes it too."""
TOKEN_CHARS_MAX: Final = 1024

Claims = TypeVar("Claims", bound=msgspec.Struct)


class _Life(msgspec.Struct):
    # Callers calculate with the end as a float, which is exact up to this bound.
    exp: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


_life = msgspec.json.Decoder(_Life).decode


class Signer(Generic[Claims]):
    """Signs and verifies claims of one type, which must not have a field ``exp``.

    Args:
        purpose: a part of the key, so that a token for one purpose is not valid for another.
        now: the clock that ends tokens (Unix time, seconds).
    """

    def __init__(self, secret: str, purpose: str, kind: type[Claims], *, now: Callable[[], float] = time.time) -> None:
        self.key = hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)
        self._decode = msgspec.json.Decoder(kind).decode
        self._now = now

    def sign(self, claims: Claims, ends_at_seconds: int) -> str:
        """A token that is valid until ``ends_at_seconds`` (Unix time)."""
        payload = msgspec.json.encode({**msgspec.structs.asdict(claims), "exp": ends_at_seconds})
        signed = f"{HEADER}.{urlsafe_b64encode(payload).rstrip(b'=').decode()}"
        return f"{signed}.{self._signature(signed.encode()).decode()}"

    def verify(self, token: str, *, late_seconds: float = 0) -> tuple[Claims, int]:
        """The claims of a token that we signed, and its end (Unix time, seconds), which may be so long ago.

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
        if ends_at_seconds + late_seconds <= self._now():
            raise TokenInvalid("expired")
        return claims, ends_at_seconds

    def _signature(self, signed: bytes) -> bytes:
        return urlsafe_b64encode(hmac.digest(self.key, signed, "sha256")).rstrip(b"=")
