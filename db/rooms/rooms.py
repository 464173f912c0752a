"""Rooms as their operators set them. Nothing commits here: the caller's transaction does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.draws.draws import commit_seed
from db.outbox.kinds import OutboxKind, RoomSteered
from db.outbox.writer import insert_news
from db.tables.booking import Purchase, Reservation
from db.tables.change_log import RoomLog
from db.tables.codes import CodeRedemption
from db.tables.draws import Draw
from db.tables.events import Event
from db.tables.rooms import DepartedPlace, Room

ROOMS_MAX = 1000
LOG_ROWS_MAX = 1000
CHANGES_TOLD_MAX = 50
HOLDS_MAX = 10_000

_FIELD_TYPES: Mapping[str, type] = {
    "state": str,
    "rate_per_minute": int,
    "capacity": int,
    "line_cap": int,
    "claim_window_seconds": int,
    "pass_seconds": int,
    "autopilot": bool,
    "lobby_minutes": int,
    "message": str,
    "priority_share": int,
}


class UnknownRoomError(LookupError):
    """The event has no room."""


class RoomChangedError(Exception):
    """Somebody changed the room since the revision that a change was meant for.

    ``revision`` is where it stands; ``since`` what changed meanwhile, the oldest first.
    """

    def __init__(self, revision: int, since: list[RoomLogRow]) -> None:
        super().__init__(f"the room stands at revision {revision}")
        self.revision = revision
        self.since = since


@dataclass(frozen=True, slots=True)
class RoomRow:
    """A room's configuration; ``revision`` goes up by one with each change, ``epoch`` is the line's.

    ``has_draw``: a seed was committed to, so there is a lobby to be drawn at ``on_sale_at``.
    """

    event_id: int
    state: str
    rate_per_minute: int
    capacity: int
    line_cap: int
    claim_window_seconds: int
    pass_seconds: int
    autopilot: bool
    revision: int
    epoch: int
    lobby_minutes: int
    on_sale_at: dt.datetime
    has_draw: bool
    message: str = ""
    rehearsal_of: int | None = None
    """The event that this room's is a copy of."""
    priority_share: int = 50


@dataclass(frozen=True, slots=True)
class FanRecord:
    """What Postgres knows of a fan's part in an event, whatever Redis forgot. None: there is no such thing."""

    departed: tuple[int, int] | None
    """(epoch, number) of the last place that ended."""
    departed_at: dt.datetime | None
    bought_at: dt.datetime | None
    hold_ends_at: dt.datetime | None
    """Of holds that live."""
    redeemed_at: dt.datetime | None = None
    """Of the last access code."""


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A fan's live holds: from the first one's beginning to the last one's end."""

    user_id: int
    began_at: dt.datetime
    ends_at: dt.datetime


@dataclass(frozen=True, slots=True)
class RoomLogRow:
    """One field of one change, its values as text (``true``, ``300``, ``open``)."""

    log_id: int
    at: dt.datetime
    operator: str
    field: str
    before: str
    after: str
    why: str
    revision: int


_LIVE = (Reservation.state == "held", Reservation.expires_at > func.clock_timestamp())
_ROOMS = (
    select(
        *(Room.__table__.c[field.name] for field in fields(RoomRow) if field.name in Room.__table__.c),
        Event.on_sale_at,
        Event.rehearsal_of,
        Draw.event_id.is_not(None).label("has_draw"),
    )
    .join(Event, Event.event_id == Room.event_id)
    .outerjoin(Draw, Draw.event_id == Room.event_id)
)
_LOG = select(*(RoomLog.__table__.c[field.name] for field in fields(RoomLogRow)))


async def room(connection: AsyncConnection, event_id: int) -> RoomRow:
    """The event's room.

    Raises:
        UnknownRoomError: it has none.
    """
    return await _one(connection, _ROOMS.where(Room.event_id == event_id))


async def rooms(connection: AsyncConnection) -> list[RoomRow]:
    """All rooms, the newest event's first, `ROOMS_MAX` at most."""
    found = await connection.execute(_ROOMS.order_by(Room.event_id.desc()).limit(ROOMS_MAX))
    return [RoomRow(**row._asdict()) for row in found]


async def fan_record(connection: AsyncConnection, event_id: int, user_id: int) -> FanRecord:
    """The fan's departure, latest purchase, live hold and access code."""
    departure = (
        await connection.execute(
            select(DepartedPlace.epoch, DepartedPlace.number, DepartedPlace.departed_at).where(
                DepartedPlace.event_id == event_id, DepartedPlace.user_id == user_id
            )
        )
    ).one_or_none()
    bought_at = select(func.max(Purchase.purchase_at)).where(Purchase.event_id == event_id, Purchase.user_id == user_id)
    hold_ends_at = select(func.max(Reservation.expires_at)).where(
        Reservation.event_id == event_id, Reservation.user_id == user_id, *_LIVE
    )
    redeemed_at = select(func.max(CodeRedemption.redeemed_at)).where(
        CodeRedemption.event_id == event_id, CodeRedemption.user_id == user_id
    )
    booked = (
        await connection.execute(
            select(bought_at.scalar_subquery(), hold_ends_at.scalar_subquery(), redeemed_at.scalar_subquery())
        )
    ).one()
    return FanRecord(
        departed=None if departure is None else (departure.epoch, departure.number),
        departed_at=None if departure is None else departure.departed_at,
        bought_at=booked[0],
        hold_ends_at=booked[1],
        redeemed_at=booked[2],
    )


async def live_holds(connection: AsyncConnection, event_id: int) -> list[HoldRow]:
    """Who holds seats of the event now, `HOLDS_MAX` fans at most."""
    found = await connection.execute(
        select(
            Reservation.user_id,
            func.min(Reservation.created_at).label("began_at"),
            func.max(Reservation.expires_at).label("ends_at"),
        )
        .where(Reservation.event_id == event_id, *_LIVE)
        .group_by(Reservation.user_id)
        .limit(HOLDS_MAX)
    )
    return [HoldRow(**row._asdict()) for row in found]


async def holds_end_at(connection: AsyncConnection, event_id: int) -> dt.datetime | None:
    """When the last live hold of the event ends; None: there is none."""
    held = select(func.max(Reservation.expires_at)).where(Reservation.event_id == event_id, *_LIVE)
    return (await connection.execute(held)).scalar_one()


async def change_room(
    connection: AsyncConnection,
    event_id: int,
    changes: Mapping[str, object],
    operator: str,
    why: str,
    *,
    revision: int | None = None,
) -> RoomRow:
    """Set the named fields and log each that differs; where none does, nothing is written.

    Args:
        revision: the one that the change is meant for; None: whichever it is.

    Returns:
        The room as it now stands.

    Raises:
        UnknownRoomError: the event has no room.
        RoomChangedError: it stands at another ``revision``.
        ValueError: no such field, or a value of another type.
        sqlalchemy.exc.IntegrityError: a value out of the bounds that the table sets.
    """
    for field, value in changes.items():
        if type(value) is not _FIELD_TYPES.get(field):
            raise ValueError(f"a room's {field} cannot be set to {value!r}")
    before = await _one(connection, _ROOMS.where(Room.event_id == event_id).with_for_update(of=Room))
    if revision is not None and revision != before.revision:
        raise RoomChangedError(before.revision, await _changes_since(connection, event_id, revision))
    changed = {field: value for field, value in changes.items() if value != getattr(before, field)}
    if not changed:
        return before
    if changed.get("lobby_minutes"):
        await commit_seed(connection, event_id)
    if "state" in changed and before.state in ("closed", "off"):
        # That it opens again is told once its on-sale is there (`db.rooms.room_news`).
        changed["opened_for"] = None
    await connection.execute(
        update(Room).where(Room.event_id == event_id).values(**changed, revision=Room.revision + 1)
    )
    changed.pop("opened_for", None)
    kind = _kind_of_news(before.state, str(changed["state"])) if "state" in changed else None
    if kind is not None:
        steered = RoomSteered(event_id=event_id, state=str(changed["state"]), revision=before.revision + 1)
        await connection.exec_driver_sql(*insert_news(kind, [steered]))
    await connection.execute(
        insert(RoomLog),
        [
            {
                "event_id": event_id,
                "operator": operator,
                "field": field,
                "before": _as_text(getattr(before, field)),
                "after": _as_text(value),
                "why": why,
                "revision": before.revision + 1,
            }
            for field, value in changed.items()
        ],
    )
    return await room(connection, event_id)


def _kind_of_news(before: str, after: str) -> OutboxKind | None:
    """The news that an operator's change of state is to the outside, if it is any."""
    if after == "open":
        return OutboxKind.ROOM_RESUMED if before == "paused" else None
    return {"paused": OutboxKind.ROOM_PAUSED, "closed": OutboxKind.ROOM_CLOSED}.get(after)


async def room_log(connection: AsyncConnection, event_id: int, limit: int) -> list[RoomLogRow]:
    """The latest changes, newest first; ``limit`` is cut to `LOG_ROWS_MAX`."""
    found = await connection.execute(
        _LOG.where(RoomLog.event_id == event_id).order_by(RoomLog.log_id.desc()).limit(min(limit, LOG_ROWS_MAX))
    )
    return [RoomLogRow(**row._asdict()) for row in found]


async def _changes_since(connection: AsyncConnection, event_id: int, revision: int) -> list[RoomLogRow]:
    found = await connection.execute(
        _LOG.where(RoomLog.event_id == event_id, RoomLog.revision > revision)
        .order_by(RoomLog.log_id.desc())
        .limit(CHANGES_TOLD_MAX)
    )
    return [RoomLogRow(**row._asdict()) for row in found][::-1]


async def _one(connection: AsyncConnection, query: Select[*tuple[Any, ...]]) -> RoomRow:
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise UnknownRoomError("the event has no waiting room")
    return RoomRow(**row._asdict())


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
