"""Keeps the session in which tickets were bought until they end: it is the key to them (ADR 42)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.hall.halls import Halls
from gateway.identity.sessions import Identity, Session
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

KEPT_AFTER_EVENT: Final = dt.timedelta(days=2)


class _OfEvent(msgspec.Struct, rename="camel"):
    event_id: int


_event_of: Final = msgspec.json.Decoder(_OfEvent).decode


class Tickets:
    """The tickets that sessions open."""

    def __init__(self, halls: Halls, identity: Identity) -> None:
        self._halls = halls
        self._identity = identity
        # A PDF takes a tenth of a second of a processor, which the line's streams need more: one is made at a time.
        self.making_pdf = asyncio.Semaphore(1)

    async def keep(self, request: AnyRequest, holder: Session, purchases: Sequence[bytes]) -> None:
        """Have the session live until some time after the last event of these purchases (the contract's JSON).

        Raises:
            ProblemError: ``session_invalid`` for a session that has ended, where all these events are over too.
        """
        events = {_event_of(purchase).event_id for purchase in purchases}
        dates = [(await self._halls.current(event_id)).event.date for event_id in events]
        kept = bool(dates) and self._identity.keep(request, (max(dates) + KEPT_AFTER_EVENT).timestamp())
        if holder.ended and not kept:
            raise ProblemError("session_invalid", headers={"WWW-Authenticate": "Bearer"})
