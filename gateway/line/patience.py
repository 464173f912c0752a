"""Tickets of patience: a fan without scripts, who can solve no captcha, waits a while instead, and then joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import KeyGroup, Secret
from waiting_room.signing import Signer

GOOD_SECONDS: Final = 3600


class _Claims(msgspec.Struct, frozen=True):
    event: int
    fan: int
    good_from: int


class Patience:
    """Signs and verifies the tickets.

    Args:
        now: the clock of Redis (Unix time, seconds).
    """

    def __init__(self, secret: Secret, now: Callable[[], float]) -> None:
        self._signer = Signer(secret, KeyGroup.FANS, "admitone patience v1", _Claims, now=now)
        self._now = now

    def ticket(self, event_id: int, user_id: int, wait_seconds: int) -> str:
        """A ticket that this fan can join with in ``wait_seconds``, and for an hour after."""
        good_from = int(self._now()) + wait_seconds
        return self._signer.sign(_Claims(event_id, user_id, good_from), good_from + GOOD_SECONDS)

    def has_waited(self, ticket: str | None, event_id: int, user_id: int) -> bool:
        """Whether the fan waited with this ticket."""
        return ticket is not None and self.seconds_left(ticket, event_id, user_id) == 0

    def seconds_left(self, ticket: str, event_id: int, user_id: int) -> int | None:
        """How long the fan has to wait still; None for a ticket that is not good here."""
        try:
            claims, _ = self._signer.verify(ticket)
        except TokenInvalid:
            return None
        if (claims.event, claims.fan) != (event_id, user_id):
            return None
        return max(0, claims.good_from - int(self._now()))
