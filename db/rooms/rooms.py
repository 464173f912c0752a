"""Rooms as their operators set them, read from Postgres."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import Final

from sqlalchemy import case, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.events.sale import EventState, sale_end
from db.rooms.dials import RoomDials
from db.rooms.states import RoomState
from db.shops.model import Shop
from db.tables.draws import Draw
from db.tables.events import Event
from db.tables.rooms import Room
from db.tables.shops import ShopRow, ShopType


class UnknownRoomError(LookupError):
    """The event has no room."""

    def __init__(self) -> None:
        super().__init__("the event has no waiting room")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRow(RoomDials):
    """A room's configuration.

    Attributes:
        revision: goes up by one with each change.
        epoch: the line's, as the worker recorded it last; 0 before the room was first opened.
        on_sale_at, off_sale_at, event_state: what the event's sale depends on (`db.events.sale`).
        has_draw: a seed was committed to, so there is a lobby to be drawn at ``on_sale_at``.
        rehearsal_of: the event that this room's is a copy of.
        account_required: fans join with an account alone.
        shop: the site of somebody else's that the room stands before; None for a room of an event with seats.
    """

    event_id: int
    state: RoomState
    revision: int
    epoch: int
    on_sale_at: dt.datetime
    off_sale_at: dt.datetime
    has_draw: bool
    event_state: EventState = EventState.PUBLISHED
    rehearsal_of: int | None = None
    account_required: bool = False
    shop: Shop | None = None

    def __post_init__(self) -> None:
        # Postgres gives text.
        object.__setattr__(self, "state", RoomState(self.state))
        object.__setattr__(self, "event_state", EventState(self.event_state))


ROOMS: Final = (
    select(
        *(Room.__table__.c[field.name] for field in fields(RoomRow) if field.name in Room.__table__.c),
        Event.on_sale_at,
        literal_column(sale_end()).label("off_sale_at"),
        Event.state.label("event_state"),
        Event.rehearsal_of,
        Event.account_required,
        Draw.event_id.is_not(None).label("has_draw"),
        literal_column("to_jsonb(shop)", ShopType).label("shop"),
    )
    .join(Event, Event.event_id == Room.event_id)
    .outerjoin(Draw, Draw.event_id == Room.event_id)
    # A join and no subquery of the column: a Citus cluster would lock no row by that (`db.rooms.steering.locked_room`).
    .outerjoin(ShopRow, ShopRow.event_id == Room.event_id)
)
"""Every room, each row with the fields of `RoomRow`."""


async def room(connection: AsyncConnection, event_id: int) -> RoomRow:
    """The event's room.

    Raises:
        UnknownRoomError: it has none.
    """
    row = (await connection.execute(ROOMS.where(Room.event_id == event_id))).one_or_none()
    if row is None:
        raise UnknownRoomError
    return RoomRow(**row._asdict())


async def rooms(connection: AsyncConnection, rooms_max: int) -> list[RoomRow]:
    """The rooms: those that are off last, and of either kind the newest event's first; ``rooms_max`` at most."""
    is_off = case((Room.__table__.c.state == RoomState.OFF, 1), else_=0)
    found = await connection.execute(ROOMS.order_by(is_off, Room.event_id.desc()).limit(rooms_max))
    return [RoomRow(**row._asdict()) for row in found]
