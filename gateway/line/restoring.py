"""Restores a fan's place or slot that Redis lost, from Postgres and the fan's signed tokens."""

from __future__ import annotations

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from db.draws.draws import draw_row, drawn_number
from db.rooms.fans import FanRecord, fan_record
from gateway.line.moments import to_ms
from gateway.line.registry import RoomRegistry
from waiting_room.line import Line
from waiting_room.model import Slot
from waiting_room.tokens import HOLD_MARGIN_SECONDS, AdmissionPass, PlaceToken


class Restoring:
    """Restores places and slots.

    Args:
        hold_seconds: the longest life of a hold.
    """

    def __init__(self, engine: AsyncEngine, line: Line, rooms: RoomRegistry, hold_seconds: int) -> None:
        self._engine = engine
        self._line = line
        self._rooms = rooms
        self._hold_ms = (hold_seconds + HOLD_MARGIN_SECONDS) * 1000

    async def restore(
        self, event_id: int, fan: int, place: PlaceToken | None, admission: AdmissionPass | None
    ) -> PlaceToken | None:
        """Restore the slot of a fan whom Redis does not know, and find the place with which the fan is to join.

        Args:
            place, admission: verified tokens of this event and fan. A pass gets its slot back if its nominal end, or
                the end of the fan's live hold, is still to come.

        Returns:
            The place to join with; None if there is none, if it ended, or if the fan has bought since.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        record, place = await self._recorded(event_id, fan, place)
        if admission is not None:
            await self._retake(event_id, fan, admission, record)
        return place

    async def movable(self, event_id: int, place: PlaceToken) -> PlaceToken | None:
        """The place of another fan's token as it may move to a new session; None if it ended, or if that fan holds
        seats or has bought: seats stay with the fan who took them.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: Postgres does not answer.
        """
        record, returning = await self._recorded(event_id, place.fan, place)
        return None if record.hold_ends_at is not None else returning

    async def _recorded(self, event_id: int, fan: int, place: PlaceToken | None) -> tuple[FanRecord, PlaceToken | None]:
        """What Postgres knows of the fan, and the fan's place as that changes it: None if it ended."""
        async with self._engine.connect() as connection:
            record = await fan_record(connection, event_id, fan)
            if place is not None and place.lobby:
                # If the lobby was drawn with this fan, the fan's place is the drawn one.
                number = await drawn_number(connection, event_id, fan)
                drawn = await draw_row(connection, event_id) if number is not None else None
                if number is not None and drawn is not None and drawn.epoch is not None:
                    place = msgspec.structs.replace(place, epoch=drawn.epoch, number=number, lobby=False)
        if place is None or not may_return(place, record):
            return record, None
        if record.redeemed_at is not None and to_ms(record.redeemed_at) >= place.joined_at_ms:
            # The code was redeemed for this place after the token was signed.
            place = msgspec.structs.replace(place, priority=True)
        return record, place

    async def _retake(self, event_id: int, fan: int, admission: AdmissionPass, record: FanRecord) -> None:
        row = await self._rooms.row(event_id)
        # A pass has only its end. A purchase or departure before this moment was of an earlier admission.
        since_ms = admission.until_ms - max(self._hold_ms, row.pass_seconds * 1000 if row else 0)
        ended = [to_ms(at) for at in (record.departed_at, record.bought_at) if at is not None]
        until_ms = admission.until_ms
        if record.hold_ends_at is not None:
            until_ms = max(until_ms, to_ms(record.hold_ends_at) + HOLD_MARGIN_SECONDS * 1000)
        if all(at_ms < since_ms for at_ms in ended):
            await self._line.retake(event_id, [Slot(fan, until_ms, since_ms)])


def may_return(place: PlaceToken, record: FanRecord) -> bool:
    """Whether the place may be restored: the fan has neither departed from it nor bought since joining."""
    if record.departed is not None and record.departed >= (place.epoch, place.number):
        return False
    return record.bought_at is None or to_ms(record.bought_at) < place.joined_at_ms
