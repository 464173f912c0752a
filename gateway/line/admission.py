"""Lets a booking pass if its fan has a slot: the request must carry a pass for this event and fan, and the slot must be
alive in Redis.
"""

from __future__ import annotations

from typing import Final

from db.events.sale import PROBLEMS, EventState, SaleState
from db.rooms.states import RoomState
from gateway.line.passes import Passes
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.wire.addresses import below
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from waiting_room.errors import RoomUnknown, TokenInvalid
from waiting_room.line import Line
from waiting_room.model import Acted

IDLE: Final = (
    "Few seats are left, and you did nothing for a while, so the admission pass has ended. You kept your place in "
    "front of the line, and are called again."
)


class Admission:
    """Checks the passes of requests."""

    def __init__(self, line: Line, rooms: RoomRegistry, restoring: Restoring, passes: Passes) -> None:
        self._line = line
        self._rooms = rooms
        self._restoring = restoring
        self._passes = passes

    async def require(self, request: AnyRequest, event_id: int, user_id: int) -> None:
        """Return if the fan is admitted, or if the event has no room, or if its room is off. The fan tries to book, and
        so is at work; one who lost the pass by doing nothing is called again.

        Raises:
            ProblemError: ``not_admitted``; ``event_cancelled``, for every pass of it has ended.
        """
        row = await self._rooms.row(event_id)
        if row is None or row.state == RoomState.OFF:
            return
        if row.event_state is EventState.CANCELLED:
            raise ProblemError(PROBLEMS[SaleState.CANCELLED])
        reason = "There is no admission pass with this request."
        try:
            admission = self._passes.admission(request, event_id, user_id)
            if admission is not None:
                acted = await self._act(event_id, user_id)
                if acted is not None and acted.pass_until_ms is not None:
                    return
                if acted is not None and acted.was_idle:
                    raise ProblemError("not_admitted", IDLE, href=below(f"/api/queue/{event_id}"))
                # Redis may have lost the slot. If it has not, restoring changes nothing.
                await self._restoring.restore(event_id, user_id, None, admission)
                if await self._line.admitted_until(event_id, user_id) is not None:
                    return
                reason = "The admission pass has ended."
        except TokenInvalid as error:
            reason = f"The admission pass is not valid: {error.reason}."
        raise ProblemError("not_admitted", reason, href=below(f"/api/queue/{event_id}"))

    async def _act(self, event_id: int, user_id: int) -> Acted | None:
        try:
            return await self._line.act(event_id, user_id, tries=True)
        except RoomUnknown:
            return None
