"""Finds a fan's place in a line, and enters, claims and leaves it.

A fan whom Redis does not know is first looked up in Postgres (`gateway.line.restoring`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from gateway.hall.hall import UnknownEventError
from gateway.hall.halls import Halls
from gateway.identity.rehearsals import refuse_stranger
from gateway.identity.sessions import Session, refuse_without_account
from gateway.line.counts import AskedCounts, Counts
from gateway.line.moving import Moving
from gateway.line.places import room_state
from gateway.line.registry import NO_ROOM, RoomRegistry
from gateway.line.restoring import Restoring
from gateway.wire.problems import ProblemError
from waiting_room.errors import NotCalled, RetryLater, RoomClosed, RoomError, RoomOff, RoomSoldOut, RoomUnknown
from waiting_room.line import Line
from waiting_room.model import RoomCounts, Standing
from waiting_room.tokens import AdmissionPass, PlaceToken

REBUILDING_RETRY_SECONDS: Final = 2


class Finding:
    """Does for a fan all that a line offers. The rules of joining are in `gateway.line.joining`."""

    def __init__(
        self, line: Line, rooms: RoomRegistry, counts: Counts, restoring: Restoring, moving: Moving, halls: Halls
    ) -> None:
        self._line = line
        self._rooms = rooms
        self._counts = counts
        self._restoring = restoring
        self._moving = moving
        self._halls = halls

    def knows_room(self, event_id: int) -> bool:
        """Whether this process knows the event's room without asking Postgres."""
        return event_id in self._rooms.rows

    def places_in_all(self, event_id: int) -> int:
        """How many fans the event's room has places for, in the line and inside; 0 if it is not known."""
        row = self._rooms.rows.get(event_id)
        return 0 if row is None else row.capacity + row.line_cap

    async def require_room(self, event_id: int, fan: Session) -> None:
        """Return if the event has a room that the fan may know of.

        Raises:
            ProblemError: ``unknown_event`` if the event does not exist, has no room, or is the copy of a rehearsal that
                the fan does not belong to; ``session_invalid`` for a rehearsal's fan at another event.
        """
        row = await self._rooms.row(event_id)
        refuse_stranger(row is not None and row.rehearsal_of is not None, event_id, fan)
        if row is None:
            await self._refuse_roomless(event_id)

    async def require_account(self, event_id: int, fan: Session) -> None:
        """Return unless the event requires an account and the fan has none; to be called after `require_room`.

        Raises:
            ProblemError: ``account_required``.
        """
        row = await self._rooms.row(event_id)
        refuse_without_account(row is not None and row.account_required, fan)

    async def _refuse_roomless(self, event_id: int) -> NoReturn:
        try:
            await self._halls.hall(event_id)
        except UnknownEventError:
            raise ProblemError("unknown_event") from None
        raise ProblemError("unknown_event", NO_ROOM)

    def begin_counts(self, event_id: int) -> AskedCounts:
        """See `Counts.begin`."""
        return self._counts.begin(event_id)

    async def counts(self, event_id: int, begun: AskedCounts = None) -> RoomCounts:
        """The counts of the event's room; see `Counts.of`.

        Raises:
            ProblemError: ``unknown_event``.
        """
        counts = await self._counts.of(event_id, begun)
        if counts is None:
            await self._refuse_roomless(event_id)
        return counts

    async def standing(self, event_id: int, fan: Session) -> Standing:
        """The fan's standing in Redis. Reading it counts as the fan's heartbeat.

        Raises:
            ProblemError: ``rebuilding`` if Redis lost the room; ``unknown_event``.
        """
        return await self._of_room(event_id, fan, lambda: self._line.standing(event_id, fan.user_id))

    async def _of_room(
        self, event_id: int, fan: Session, operation: Callable[[], Awaitable[Standing]], *, again: bool = True
    ) -> Standing:
        """Run the operation on the room. If Redis has lost the room, configure it anew, and run the operation
        ``again``.

        Raises:
            ProblemError: ``rebuilding`` if Redis has lost the room, and the operation is not run again or fails again.
        """
        try:
            return await operation()
        except RoomUnknown:
            await self.require_room(event_id, fan)
            await self._rooms.configure(self._rooms.rows[event_id])
        if again:
            return await self._of_room(event_id, fan, operation, again=False)
        raise ProblemError("rebuilding", retry_after_seconds=REBUILDING_RETRY_SECONDS)

    async def move(self, event_id: int, fan: Session, place: PlaceToken, address: str) -> Standing | None:
        """See `Moving.move`."""
        standing = await self._moving.move(event_id, fan.user_id, place, address)
        if standing is not None:
            self._rooms.mark_stale(event_id)
        return standing

    async def find(
        self, event_id: int, fan: Session, place: PlaceToken | None, admission: AdmissionPass | None, address: str
    ) -> tuple[Standing, RoomCounts]:
        """The fan's standing, and the counts of the room. Reading them counts as the fan's heartbeat, and the tokens
        restore a place or slot that Redis has lost, or bring a place from a session that has ended.

        Raises:
            ProblemError: ``not_in_line``, ``rebuilding``, ``line_full``, ``rate_limited``, and what `require_room`
                raises.
        """
        await self.require_room(event_id, fan)
        begun = self.begin_counts(event_id)
        standing = await self.standing(event_id, fan)
        counts = await self.counts(event_id, begun)
        if place is not None and place.fan != fan.user_id:
            if standing.state == "none":
                standing = await self.move(event_id, fan, place, address) or standing
            place = None
        if standing.state == "none" and (place is not None or admission is not None):
            place = await self._restoring.restore(event_id, fan.user_id, place, admission)
            if place is not None:
                return await self.enter(event_id, fan, place), counts
            if admission is not None:
                standing = await self.standing(event_id, fan)
        if standing.state == "none":
            if standing.room_state == "rebuilding":
                raise ProblemError("rebuilding", retry_after_seconds=REBUILDING_RETRY_SECONDS)
            if {standing.room_state, room_state(counts)}.isdisjoint(("off", "closed", "sold_out")):
                raise ProblemError("not_in_line")
        return standing, counts

    async def enter(
        self,
        event_id: int,
        fan: Session,
        place: PlaceToken | None,
        *,
        redeemed: bool = False,
        standing: Standing | None = None,
    ) -> Standing:
        """Have the fan join the line, or find the place that the fan holds already.

        Args:
            place: the place to restore, if there is one.
            redeemed: the fan has redeemed an access code, and gets a place in the priority class.
            standing: the fan's standing, if it was just read.

        Returns:
            The fan's new standing; if the line takes nobody, the standing that the fan has anyway.

        Raises:
            ProblemError: ``line_full`` or ``rebuilding``.
        """

        async def join() -> Standing:
            return await self._line.join(event_id, fan.user_id, place, redeemed=redeemed)

        try:
            # After a loss Redis does not know whether the place has ended. So a join with a place is not run again: the
            # fan's next request looks the place up in Postgres first.
            entered = await self._of_room(event_id, fan, join, again=place is None)
        except RetryLater as later:
            # If every seat is sold, the fan gains nothing by trying again later.
            if room_state(await self.counts(event_id)) != "sold_out":
                raise ProblemError(later.code, retry_after_seconds=later.retry_after_seconds) from None
        except (RoomOff, RoomClosed, RoomSoldOut):
            pass
        else:
            if entered.joined != "known":
                self._rooms.mark_stale(event_id)
            return entered
        return standing or await self.standing(event_id, fan)

    async def claim(self, event_id: int, fan: Session) -> Standing:
        """Claim the call: the fan is admitted.

        Raises:
            ProblemError: ``not_called``, ``account_required``, and what `require_room` raises.
        """
        await self.require_room(event_id, fan)
        await self.require_account(event_id, fan)
        try:
            return await self._line.claim(event_id, fan.user_id)
        except NotCalled as refused:
            raise ProblemError("not_called", state=refused.state) from None
        except RoomError as refused:
            raise ProblemError("not_called", str(refused)) from None

    async def act(self, event_id: int, fan: Session) -> None:
        """Note that the fan is choosing seats, and have a fan called again who lost the pass by doing nothing.

        Raises:
            ProblemError: what `require_room` raises.
        """
        await self.require_room(event_id, fan)
        # If Redis has lost the room, the fan's next look restores place and pass.
        with contextlib.suppress(RoomUnknown):
            await self._line.act(event_id, fan.user_id, tries=False)

    async def leave(self, event_id: int, fan: Session) -> None:
        """Give up the fan's place or slot.

        Raises:
            ProblemError: what `require_room` raises.
        """
        await self.require_room(event_id, fan)
        await self._line.leave(event_id, fan.user_id)
