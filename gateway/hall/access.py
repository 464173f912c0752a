"""Decides which events a request may read and book: only a rehearsal's own fans may see its copy of an event."""

from __future__ import annotations

from gateway.hall.hall import Hall, UnknownEventError
from gateway.hall.halls import Halls
from gateway.identity.rehearsals import refuse_stranger
from gateway.identity.sessions import Identity, refuse_without_account
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest


class HallAccess:
    """Gives a request the hall that it names, if it may see it."""

    def __init__(self, halls: Halls, identity: Identity) -> None:
        self._halls = halls
        self._identity = identity

    async def to_read(self, request: AnyRequest, event_id: int, *, version_min: int = 0) -> Hall:
        """The event's hall, at ``version_min`` or later if Postgres has reached it (`Halls.current`).

        Raises:
            ProblemError: ``unknown_event``.
        """
        try:
            hall = await self._halls.current(event_id, version_min=version_min)
        except UnknownEventError:
            raise ProblemError("unknown_event") from None
        if hall.rehearsal_of is not None:
            refuse_stranger(True, event_id, self._identity.known(request))
        return hall

    def require_account(self, request: AnyRequest, hall: Hall) -> None:
        """Return unless the event requires an account and the request's session has none.

        Raises:
            ProblemError: ``account_required``.
        """
        if hall.event.account_required:
            refuse_without_account(True, self._identity.known(request))

    async def to_book(self, request: AnyRequest, event_id: int) -> Hall:
        """The event's hall, for a fan who wants to book or give back seats.

        Raises:
            ProblemError: ``unknown_event``; ``session_invalid`` for a rehearsal's fan at another event.
        """
        try:
            hall = await self._halls.hall(event_id)
        except UnknownEventError:
            raise ProblemError("unknown_event") from None
        refuse_stranger(hall.rehearsal_of is not None, event_id, self._identity.known(request))
        return hall
