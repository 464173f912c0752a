"""What a fan without an account has comes along when the fan signs in.

A waiting place moves into the account by the script that moves places between sessions (ADR 42), where the account has
none in that line. What was bought stays the earlier fan's, and is shown with the account's own. Seats that are held and
a pass do not move: who has them is asked to finish first.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from db.accounts.accounts import bring_contacts, note_earlier
from db.accounts.holds import events_with_holds
from gateway.line.moving import Moving
from gateway.line.places import MOVABLE, Places
from gateway.line.registry import RoomRegistry
from waiting_room.errors import RoomError, RoomUnknown
from waiting_room.line import Line
from waiting_room.model import FanState

logger = logging.getLogger(__name__)

STATES_WITHOUT_LINE: Final = frozenset({"off", "closed"})


class Bringing:
    """Brings along what an earlier fan has.

    Args:
        rooms_max: how many open lines are looked through.
    """

    def __init__(self, engine: AsyncEngine, line: Line, rooms: RoomRegistry, moving: Moving, rooms_max: int) -> None:
        self._engine = engine
        self._line = line
        self._rooms = rooms
        self._moving = moving
        self._rooms_max = rooms_max

    async def unfinished(self, earlier: int) -> list[int]:
        """The events at which the earlier fan holds seats, or is let in to choose some without an account.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        async with self._engine.connect() as connection:
            found = set(await events_with_holds(connection, earlier))
        for event_id in await self.lines_of(earlier):
            row = self._rooms.rows.get(event_id)
            # Where an account is required, nothing can be bought without one, so nothing is lost.
            if row is None or row.account_required:
                continue
            with contextlib.suppress(RoomError):
                standing = await self._line.standing(event_id, earlier, touch=False)
                if standing.state == FanState.ADMITTED:
                    found.add(event_id)
        return sorted(found)

    async def bring(self, user_id: int, earlier: int, session: str) -> list[int]:
        """Bring along what the earlier fan has; return the events whose places moved.

        Args:
            user_id: the account's.
            session: the id of the earlier fan's session.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        moved = []
        for event_id in await self.lines_of(earlier):
            with contextlib.suppress(RoomUnknown):
                standing = await self._line.standing(event_id, earlier, touch=False)
                place = Places.place_token(event_id, standing, earlier, session)
                if place is None or standing.state not in MOVABLE:
                    continue
                if await self._moving.into_account(event_id, user_id, place):
                    self._rooms.mark_stale(event_id)
                    moved.append(event_id)
        async with self._engine.begin() as connection:
            await note_earlier(connection, user_id, earlier)
            for event_id in moved:
                await bring_contacts(connection, event_id, user_id, earlier)
        if moved:
            logger.info("places of fan %d moved into the account %d: events %s", earlier, user_id, moved)
        return moved

    async def lines_of(self, fan: int) -> list[int]:
        """The events with an open line in which the fan has a place or a slot.

        Raises:
            redis.exceptions.RedisError: Redis does not answer.
        """
        open_lines = [
            row.event_id
            for row in self._rooms.rows.values()
            if row.state not in STATES_WITHOUT_LINE and row.rehearsal_of is None
        ]
        return await self._line.lines_of(fan, sorted(open_lines, reverse=True)[: self._rooms_max])
