"""Signed tokens: the place token, which restores a place that Redis lost, and the admission pass.

Each has a key of its own, so that neither a place token nor a session is accepted as a pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from .errors import TokenInvalid
from .key_ring import KeyGroup, Secret, ring_of
from .signing import Signer

HOLD_MARGIN_SECONDS: Final = 60
"""A live hold keeps its fan's pass alive until this long after the hold's end."""

PLACE_TOKEN_SECONDS: Final = 7 * 24 * 3600
"""A place token is valid for so long after its fan joined."""


class PlaceToken(msgspec.Struct, frozen=True, kw_only=True):
    """A fan's place in line, and the session in which it was told. With ``lobby`` the place is still to be drawn, with
    ``priority`` it belongs to the priority class.
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
    """A fan's admission. ``until_ms`` is its nominal end; in Redis a hold may have extended it."""

    event: int
    fan: int
    until_ms: int


Claims = TypeVar("Claims", PlaceToken, AdmissionPass)


class Tokens:
    """Signs and verifies place tokens and passes.

    ``place_seconds`` is how long a place token is valid after the fan joined. ``hold_seconds`` is the longest life of a
    hold: a pass is valid for that and `HOLD_MARGIN_SECONDS` after its nominal end, because Redis may have extended it
    until then. ``now`` is the clock that ends tokens (Unix time, seconds).
    """

    def __init__(
        self, secret: Secret, *, place_seconds: int, hold_seconds: int, now: Callable[[], float] = time.time
    ) -> None:
        ring = ring_of(secret)
        self._places = Signer(ring, KeyGroup.PLACES, "admitone place token v1", PlaceToken, now=now)
        self._passes = Signer(ring, KeyGroup.PLACES, "admitone admission pass v1", AdmissionPass, now=now)
        self._place_seconds = place_seconds
        self._pass_margin_seconds = hold_seconds + HOLD_MARGIN_SECONDS

    def sign_place(self, place: PlaceToken) -> str:
        return self._places.sign(place, place.joined_at_ms // 1000 + self._place_seconds)

    def sign_handover(self, place: PlaceToken, until: int) -> str:
        """A place token for another device of the same person, valid until then (Unix time, seconds)."""
        return self._places.sign(place, until)

    def verify_place(self, token: str, *, event: int) -> PlaceToken:
        """The place, if we signed the token for this event. The caller must compare the fan.

        Raises:
            TokenInvalid: the token is not valid; the error has the reason.
        """
        return _of(self._places.verify(token)[0], event)

    def sign_pass(self, admission: AdmissionPass) -> str:
        return self._passes.sign(admission, admission.until_ms // 1000 + self._pass_margin_seconds)

    def verify_pass(self, token: str, *, event: int, fan: int) -> AdmissionPass:
        """The pass, if we signed the token for this event and fan. Whether it is still alive, `Line.admitted_until`
        reads from Redis.

        Raises:
            TokenInvalid: the token is not valid; the error has the reason.
        """
        admission = _of(self._passes.verify(token)[0], event)
        if admission.fan != fan:
            raise TokenInvalid("fan")
        return admission


def _of(claims: Claims, event: int) -> Claims:
    if claims.event != event:
        raise TokenInvalid("event")
    return claims
