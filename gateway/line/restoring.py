"""What Redis lost of one fan, given back from Postgres and the fan's signed tokens."""

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
        """Undo the loss for a fan whom Redis does not know; the tokens are verified ones.

        A pass takes its slot again where its nominal end, or the end of the fan's live hold, is still to come. Returns
        the place to join with: None without one, and for a place that ended or whose fan has bought.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError
        """
        async with self._engine.connect() as connection:
            record = await fan_record(connection, event_id, fan)
            if place is not None and place.lobby:
                # A fan who has drawn stands at the number drawn; any other is still to draw.
                number = await drawn_number(connection, event_id, fan)
                drawn = await draw_row(connection, event_id) if number is not None else None
                if number is not None and drawn is not None and drawn.epoch is not None:
                    place = msgspec.structs.replace(place, epoch=drawn.epoch, number=number, lobby=False)
        if place is not None and not lives(place, record):
            place = None
        if place is not None and record.redeemed_at is not None and to_ms(record.redeemed_at) >= place.joined_at_ms:
            # The code was redeemed for this place, and the token is an older one.
            place = msgspec.structs.replace(place, priority=True)
        if admission is not None:
            await self._retake(event_id, fan, admission, record)
        return place

    async def _retake(self, event_id: int, fan: int, admission: AdmissionPass, record: FanRecord) -> None:
        row = await self._rooms.row(event_id)
        # A pass names its end only. No purchase or departure of its admission is older than this.
        since_ms = admission.until_ms - max(self._hold_ms, row.pass_seconds * 1000 if row else 0)
        ended = [to_ms(at) for at in (record.departed_at, record.bought_at) if at is not None]
        until_ms = admission.until_ms
        if record.hold_ends_at is not None:
            until_ms = max(until_ms, to_ms(record.hold_ends_at) + HOLD_MARGIN_SECONDS * 1000)
        if all(at_ms < since_ms for at_ms in ended):
            await self._line.retake(event_id, [Slot(fan, until_ms, since_ms)])


def lives(place: PlaceToken, record: FanRecord) -> bool:
    """Whether the place may come back: no later departure nor purchase speaks against it."""
    if record.departed is not None and record.departed >= (place.epoch, place.number):
        return False
    return record.bought_at is None or to_ms(record.bought_at) < place.joined_at_ms
