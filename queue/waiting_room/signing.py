"""Compact JWTs (RFC 7519) of one kind: HS256, one fixed header a key, and keys of their own for each purpose.

A token cannot choose its algorithm: its header must be one of ours exactly, and its signature, compared as text, must
be the one that we would write. So few checks are needed that a general library is not worth its cost: PyJWT took a
quarter of a gateway's time (ADR 9).
"""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, Final, Generic, TypeVar

import msgspec

from .errors import TokenInvalid
from .key_ring import FIRST, KeyGroup, Secret, ring_of

HEADER: Final = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
"""The header ``{"alg":"HS256","typ":"JWT"}``, encoded as PyJWT encodes it too: that of a group's first key."""
TOKEN_CHARS_MAX: Final = 1024

Claims = TypeVar("Claims", bound=msgspec.Struct)


class _Life(msgspec.Struct):
    # Callers calculate with the end as a float, which is exact up to this bound.
    exp: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


_life = msgspec.json.Decoder(_Life).decode


class Signer(Generic[Claims]):
    """Signs and verifies claims of one type, which must not have a field ``exp``.

    Args:
        group: whose keys sign.
        purpose: a part of the key, so that a token for one purpose is not valid for another.
        now: the clock that ends tokens (Unix time, seconds).
    """

    def __init__(
        self,
        secret: Secret,
        group: KeyGroup,
        purpose: str,
        kind: type[Claims],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ring = ring_of(secret)
        self._group = group
        self._purpose = purpose.encode()
        self._take_keys()
        self._decode = msgspec.json.Decoder(kind).decode
        self._now = now

    def sign(self, claims: Claims, ends_at_seconds: int) -> str:
        """A token that is valid until ``ends_at_seconds`` (Unix time)."""
        payload = msgspec.json.encode({**msgspec.structs.asdict(claims), "exp": ends_at_seconds})
        if self._taken is not self._ring.keys:
            self._take_keys()
        header, key = self._signing
        signed = f"{header}.{urlsafe_b64encode(payload).rstrip(b'=').decode()}"
        return f"{signed}.{_signature(key, signed.encode()).decode()}"

    def verify(self, token: str, *, late_seconds: float = 0) -> tuple[Claims, int]:
        """The claims of a token that we signed, and its end (Unix time, seconds), which may be so long ago.

        Raises:
            TokenInvalid: ``malformed``, ``signature`` or ``expired``.
        """
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        if not payload or len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise TokenInvalid("malformed")
        if self._taken is not self._ring.keys:
            self._take_keys()
        key = self._by_header.get(header)
        if key is None or not hmac.compare_digest(_signature(key, signed.encode()), signature.encode()):
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

    def _take_keys(self) -> None:
        # The ring's keys are one object for as long as they are the same, so that a token costs no call to the ring.
        self._taken = self._ring.keys
        keys = self._ring.derived(self._group, self._purpose)
        self._by_header = {header_of(key.key_id): key.secret for key in keys}
        self._signing = header_of(keys[0].key_id), keys[0].secret


def header_of(key_id: str) -> str:
    """The header of tokens that the key signs."""
    if key_id == FIRST:
        return HEADER
    header = msgspec.json.encode({"alg": "HS256", "kid": key_id, "typ": "JWT"})
    return urlsafe_b64encode(header).rstrip(b"=").decode()


def _signature(key: bytes, signed: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(key, signed, "sha256")).rstrip(b"=")
