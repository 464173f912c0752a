"""Tells fans that their turn is near or has come, and keeps the places of those who are not there for it."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from db.messages import fan_out as sql
from db.messages.kinds import MessageKind
from db.patience import Turns
from messages.settings import MessageSettings
from waiting_room.errors import RoomUnknown
from waiting_room.eta import eta_in
from waiting_room.line import Line
from waiting_room.model import InFront, RoomCounts
from waiting_room.tokens import PlaceToken, Tokens
from workers.channels.channel import Connection
from workers.messages.fan_out import FanOut, ToFan

JUST_JOINED_SECONDS: Final = 60
"""A fan who joined a short line reads on the page how near the turn is."""
REMEMBERED_MAX: Final = 200_000
MINUTE_SECONDS: Final = 60
KEPT: Final = "kept"


class Fronts:
    """Looks at the front of each line."""

    def __init__(self, line: Line, fan_out: FanOut, tokens: Tokens, settings: MessageSettings) -> None:
        self._line = line
        self._fan_out = fan_out
        self._tokens = tokens
        self._settings = settings
        self._told: OrderedDict[tuple[int, int, int, int, str], None] = OrderedDict()

    async def look(self, connection: Connection) -> None:
        """Look at every line in which somebody waits whom we can tell."""
        found = await connection.execute(sql.LINES_WITH_CONTACTS, prepare=True)
        turns = Turns("the look at a line's front", self._line.room_errors, others=False)
        for event_id, _ in await found.fetchall():
            with turns.of(f"event {event_id}"), contextlib.suppress(RoomUnknown):
                await self._look_at(connection, event_id)
        turns.end()

    async def _look_at(self, connection: Connection, event_id: int) -> None:
        front = await self._line.front(event_id)
        near = [*front.line, *front.priority]
        everybody = [one.fan for one in (*near, *front.called, *front.away)]
        if not everybody:
            return
        found = await connection.execute(sql.FANS_REACHED, {"event_id": event_id, "user_ids": everybody}, prepare=True)
        reached = {user_id for (user_id,) in await found.fetchall()}
        if not reached:
            return
        counts = await self._line.counts(event_id)
        turn = [one for one in (*front.called, *front.away) if one.fan in reached]
        await self._tell(connection, event_id, MessageKind.TURN, turn, self._settings.turn_minutes)
        await self._near(connection, event_id, front.line, reached, counts, priority=False)
        await self._near(connection, event_id, front.priority, reached, counts, priority=True)
        waiting = [one.fan for one in near if one.fan in reached]
        absent = {one.fan for one in front.away}
        told = [one.fan for one in turn if one.fan in absent and self._is_to_keep(event_id, one)]
        await self._line.keep(event_id, waiting, told, self._settings.turn_minutes * MINUTE_SECONDS)

    async def _near(
        self,
        connection: Connection,
        event_id: int,
        line: Sequence[InFront],
        reached: set[int],
        counts: RoomCounts,
        *,
        priority: bool,
    ) -> None:
        soon_ms = (time.time() - JUST_JOINED_SECONDS) * 1000
        for rank, one in enumerate(line):
            estimate = eta_in(counts, rank, priority=priority)
            if estimate is None or estimate.eta_seconds > self._settings.near_minutes * MINUTE_SECONDS:
                return
            if one.fan in reached and one.joined_at_ms < soon_ms:
                minutes = max(1, round(estimate.eta_seconds / MINUTE_SECONDS))
                await self._tell(connection, event_id, MessageKind.TURN_NEAR, [one], minutes)

    async def _tell(
        self, connection: Connection, event_id: int, kind: MessageKind, fans: Sequence[InFront], minutes: int
    ) -> None:
        new = [one for one in fans if (event_id, one.fan, one.epoch, one.number, kind) not in self._told]
        if not new:
            return
        found = await connection.execute(
            sql.FANS_WITH_ADDRESS, {"event_id": event_id, "user_ids": [one.fan for one in new]}, prepare=True
        )
        with_address = {user_id for (user_id,) in await found.fetchall()}
        told = []
        for one in new:
            payload: dict[str, object] = {"minutes": minutes}
            if one.fan in with_address:
                payload["place"] = self._place(event_id, one)
            told.append(ToFan(one.fan, f"{one.fan}.{one.epoch}.{one.number}", payload))
        await self._fan_out.to_fans(connection, kind, event_id, told)
        for one in new:
            self._told[event_id, one.fan, one.epoch, one.number, kind] = None
        while len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)

    def _place(self, event_id: int, one: InFront) -> str:
        """A token that brings the place to the device on which the link is opened (ADR 56)."""
        minutes = self._settings.near_minutes + self._settings.turn_minutes
        place = PlaceToken(
            event=event_id,
            fan=one.fan,
            epoch=one.epoch,
            number=one.number,
            joined_at_ms=one.joined_at_ms,
            session="",  # None was told of this token.
            priority=one.priority,
        )
        return self._tokens.sign_handover(place, int(time.time()) + minutes * MINUTE_SECONDS)

    def _is_to_keep(self, event_id: int, one: InFront) -> bool:
        """Whether the fan's place is still to be kept for longer: that is done once for each place."""
        key = (event_id, one.fan, one.epoch, one.number, KEPT)
        if key in self._told:
            return False
        self._told[key] = None
        return True
