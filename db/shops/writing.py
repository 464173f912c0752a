"""Makes a room before a shop, and changes how the shop is protected. The caller commits.

The room is that of an event without ticket types, so that all a room has is kept by its event id as everywhere: line,
dials, draw, codes, receipts, audit. What else stands in ``room`` is steered as ever (`db.rooms.steering`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.change_log.changes import Change, Subject, as_text, insert_changes
from db.draws.draws import commit_seed
from db.rooms.dials import DIALS, DialValue
from db.rooms.rooms import RoomRow, room
from db.rooms.states import RoomState
from db.rooms.steering import Ask, has_lobby, locked_room, refuse_stale, steer
from db.shops.model import Shop, ShopRefusedError, shop_of
from db.tables.events import Event
from db.tables.rooms import Room
from db.tables.shops import ShopRow
from db.texts import tidy

NAME_CHARS_MAX: Final = 200
ENDS_AT: Final = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
"""A shop's room has no last evening; an event has a date."""
NO_CURRENCY: Final = "XXX"
"""ISO 4217's code for transactions without a currency."""
DIALS_AT_START: Final[Mapping[str, DialValue]] = {
    "rate_per_minute": 300,
    "capacity": 500,
    "line_cap": 100_000,
    "pass_seconds": 300,
    "pass_life_seconds": 3600,
    "lobby_minutes": 0,
}
"""A room before a shop starts so. ``pass_seconds`` is how long a pass lives without being used, ``pass_life_seconds``
how long it lives at most.
"""


class NoShopError(LookupError):
    """The event is no shop's."""

    def __init__(self) -> None:
        super().__init__("there is no shop behind this room")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopPlan:
    """A room to be made. ``dials`` takes the place of `DIALS_AT_START`, dial by dial; fans are let in from ``opens_at``
    on, at once where it is None.
    """

    name: str
    shop: Shop
    dials: Mapping[str, DialValue] = field(default_factory=dict)
    opens_at: dt.datetime | None = None
    time_zone: str = "UTC"


async def make_shop(connection: AsyncConnection, plan: ShopPlan, operator: str, why: str = "") -> RoomRow:
    """Make the room, open, and log it.

    Raises:
        ShopRefusedError: the name or a dial cannot be so.
    """
    name = tidy(plan.name)
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise ShopRefusedError(f"a shop's name has 1 to {NAME_CHARS_MAX} characters", "name")
    dials = {**DIALS_AT_START, **plan.dials}
    for dial, value in dials.items():
        refusal = DIALS[dial].refusal_of(value)
        if refusal is not None:
            raise ShopRefusedError(refusal, dial)
    now: dt.datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    opens_at = plan.opens_at or now
    if opens_at >= ENDS_AT:
        raise ShopRefusedError("a shop's room opens before the year 2100", "opens_at")
    lobby = has_lobby(int(str(dials["lobby_minutes"])), opens_at, now)
    if not lobby:
        dials["lobby_minutes"] = 0
    facts = {
        "name": name,
        "venue": urlsplit(plan.shop.origin).netloc,
        "date": ENDS_AT,
        "on_sale_at": opens_at,
        "currency": NO_CURRENCY,
        "time_zone": plan.time_zone,
    }
    event_id: int = (await connection.execute(insert(Event).values(facts).returning(Event.event_id))).scalar_one()
    await connection.execute(insert(Room).values(event_id=event_id, state=RoomState.OPEN, **dials))
    await connection.execute(insert(ShopRow).values(event_id=event_id, **msgspec.to_builtins(plan.shop)))
    if lobby:
        await commit_seed(connection, event_id)
    made = [Change("shop", "", plan.shop.origin)]
    await connection.exec_driver_sql(*insert_changes(Subject.ROOM, event_id, made, operator, why=why, revision=1))
    return await room(connection, event_id)


async def change_shop(
    connection: AsyncConnection,
    event_id: int,
    asked: Mapping[str, Any],
    operator: str,
    why: str = "",
    *,
    dials: Mapping[str, DialValue] | None = None,
    revision: int | None = None,
) -> RoomRow:
    """Change how the shop is protected, and log each field that differs. The room's revision goes up with it, so that
    every gateway learns of it at once.

    Args:
        asked: new values of fields of `Shop`.
        dials: of the room, which are steered along with it.
        revision: the room's revision that the change is meant for; None: any.

    Raises:
        UnknownRoomError: the event has no room.
        NoShopError: the event is no shop's.
        ShopRefusedError: the shop cannot be so.
        SteeringRefusedError: a dial cannot be so.
        RoomChangedError: the room has another ``revision``.
    """
    after = await _change_shop(connection, event_id, asked, operator, why, revision)
    return await steer(connection, event_id, Ask(dials=dials), operator, why) if dials else after


async def _change_shop(
    connection: AsyncConnection,
    event_id: int,
    asked: Mapping[str, Any],
    operator: str,
    why: str,
    revision: int | None,
) -> RoomRow:
    before, _ = await locked_room(connection, event_id)
    if before.shop is None:
        raise NoShopError
    await refuse_stale(connection, before, revision)
    was = msgspec.structs.asdict(before.shop)
    will = msgspec.structs.asdict(shop_of(**{**was, **asked}))
    changed = {name: value for name, value in will.items() if value != was[name]}
    if not changed:
        return before
    after = before.revision + 1
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}
    await connection.execute(update(ShopRow).where(ShopRow.event_id == event_id).values(values))
    await connection.execute(update(Room).where(Room.event_id == event_id).values(revision=after))
    lines = [Change(name, as_text(was[name]), as_text(value)) for name, value in changed.items()]
    logged = insert_changes(Subject.ROOM, event_id, lines, operator, why=why, revision=after)
    await connection.exec_driver_sql(*logged)
    return await room(connection, event_id)
