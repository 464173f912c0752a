"""Signed tokens: the place in line, which restores it where Redis lost it, and the admission pass.

Each purpose has a key of its own, so that neither a place nor a session can pass for an admission.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from .errors import TokenInvalid
from .signing import Signer

HOLD_MARGIN_SECONDS: Final = 60
"""A live hold keeps a pass alive until the hold's end plus this."""


class PlaceToken(msgspec.Struct, frozen=True, kw_only=True):
    """A fan's place in line, bound to the fan's session; with ``lobby`` it is one to be drawn, with ``priority`` one of
    the priority class.
    """

    event: int
    fan: int
    epoch: int
    number: int
    joined_at_ms: int
    session: str
    lobby: bool = False
    priority: bool = False


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
    Redis may have extended it. ``now`` is the clock that ends tokens (Unix time, seconds).
    """

    def __init__(
        self, secret: str, *, place_seconds: int, hold_seconds: int, now: Callable[[], float] = time.time
    ) -> None:
        self._places = Signer(secret, "admitone place token v1", PlaceToken, now=now)
        self._passes = Signer(secret, "admitone admission pass v1", AdmissionPass, now=now)
        self._place_seconds = place_seconds
        self._pass_margin_seconds = hold_seconds + HOLD_MARGIN_SECONDS

    def sign_place(self, place: PlaceToken) -> str:
        return self._places.sign(place, place.joined_at_ms // 1000 + self._place_seconds)

    def verify_place(self, token: str, *, event: int, fan: int) -> PlaceToken:
        """The place, if the token is ours and for this event and fan; the session is the caller's to compare.

        Raises:
            TokenInvalid: with the reason.
        """
        return _of(self._places.verify(token)[0], event, fan)

    def sign_pass(self, admission: AdmissionPass) -> str:
        return self._passes.sign(admission, admission.until_ms // 1000 + self._pass_margin_seconds)

    def verify_pass(self, token: str, *, event: int, fan: int) -> AdmissionPass:
        """The pass, if the token is ours and for this event and fan. Whether it still lives Redis knows:
        `Line.admitted_until`.

        Raises:
            TokenInvalid: with the reason.
        """
        return _of(self._passes.verify(token)[0], event, fan)


def _of(claims: Claims, event: int, fan: int) -> Claims:
    if claims.event != event:
        raise TokenInvalid("event")
    if claims.fan != fan:
        raise TokenInvalid("fan")
    return claims
