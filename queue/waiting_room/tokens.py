"""Signed tokens: the place in line, which restores it where Redis lost it, and the admission pass.

Compact JWTs, HS256 only. Each purpose has a key of its own, derived from the secret, so that neither a place
nor a session can pass for an admission.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final, TypeVar

import jwt
import msgspec

from .errors import TokenInvalid

ALGORITHM: Final = "HS256"
TOKEN_CHARS_MAX: Final = 1024
HOLD_MARGIN_SECONDS: Final = 60
"""A live hold keeps a pass alive until the hold's end plus this."""


class PlaceToken(msgspec.Struct, frozen=True, kw_only=True):
    """A fan's place in line, bound to the fan's session."""

    event: int
    fan: int
    epoch: int
    number: int
    joined_at_ms: int
    session: str


class AdmissionPass(msgspec.Struct, frozen=True, kw_only=True):
    """A fan's admission; ``until_ms`` is its nominal end, which a hold may extend in Redis' admitted set."""

    event: int
    fan: int
    until_ms: int


Claims = TypeVar("Claims", PlaceToken, AdmissionPass)


class Tokens:
    """Signs and verifies both kinds.

    ``place_seconds`` is a place token's life from the joining on, ``hold_seconds`` the longest life of a
    hold: a pass token ends for good at its nominal end plus that plus `HOLD_MARGIN_SECONDS`, since until then
    Redis may have extended it.
    """

    def __init__(self, secret: str, *, place_seconds: int, hold_seconds: int) -> None:
        self._place_key = _derived(secret, "admitone place token v1")
        self._pass_key = _derived(secret, "admitone admission pass v1")
        self._place_seconds = place_seconds
        self._pass_margin_seconds = hold_seconds + HOLD_MARGIN_SECONDS

    def sign_place(self, place: PlaceToken) -> str:
        return _sign(place, place.joined_at_ms // 1000 + self._place_seconds, self._place_key)

    def verify_place(self, token: str, *, event: int, fan: int) -> PlaceToken:
        """The place, if the token is ours and for this event and fan; the session is the caller's to compare.

        Raises:
            TokenInvalid: with the reason.
        """
        return _verified(token, self._place_key, PlaceToken, event, fan)

    def sign_pass(self, admission: AdmissionPass) -> str:
        return _sign(admission, admission.until_ms // 1000 + self._pass_margin_seconds, self._pass_key)

    def verify_pass(self, token: str, *, event: int, fan: int) -> AdmissionPass:
        """The pass, if the token is ours and for this event and fan. Whether it still lives Redis knows:
        `Line.admitted_until`.

        Raises:
            TokenInvalid: with the reason.
        """
        return _verified(token, self._pass_key, AdmissionPass, event, fan)


def _derived(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)


def _sign(claims: PlaceToken | AdmissionPass, ends_s: int, key: bytes) -> str:
    return jwt.encode({**msgspec.structs.asdict(claims), "exp": ends_s}, key, algorithm=ALGORITHM)


def _verified(token: str, key: bytes, kind: type[Claims], event: int, fan: int) -> Claims:
    if len(token) > TOKEN_CHARS_MAX:
        raise TokenInvalid("malformed")
    try:
        payload: dict[str, Any] = jwt.decode(token, key, algorithms=[ALGORITHM], options={"require": ["exp"]})
        claims = msgspec.convert(payload, kind)
    except jwt.ExpiredSignatureError:
        raise TokenInvalid("expired") from None
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
        raise TokenInvalid("signature") from None
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise TokenInvalid("malformed") from None
    if claims.event != event:
        raise TokenInvalid("event")
    if claims.fan != fan:
        raise TokenInvalid("fan")
    return claims
