"""What Postgres knows of fans in a room, for what Redis may have lost."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.tables.booking import Purchase, Reservation
from db.tables.codes import CodeRedemption
from db.tables.rooms import DepartedPlace

HOLDS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class FanRecord:
    """A fan's part in an event; None: there is no such thing.

    Attributes:
        departed: (epoch, number) of the last place that ended.
        hold_ends_at: when the last of the fan's live holds ends.
        redeemed_at: when the fan last redeemed an access code.
    """

    departed: tuple[int, int] | None
    departed_at: dt.datetime | None
    bought_at: dt.datetime | None
    hold_ends_at: dt.datetime | None
    redeemed_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A fan's live holds: from the first one's beginning to the last one's end."""

    user_id: int
    began_at: dt.datetime
    ends_at: dt.datetime


_LIVE: Final = (Reservation.state == "held", Reservation.expires_at > func.clock_timestamp())


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
            select(
                bought_at.scalar_subquery().label("bought_at"),
                hold_ends_at.scalar_subquery().label("hold_ends_at"),
                redeemed_at.scalar_subquery().label("redeemed_at"),
            )
        )
    ).one()
    return FanRecord(
        departed=None if departure is None else (departure.epoch, departure.number),
        departed_at=None if departure is None else departure.departed_at,
        **booked._asdict(),
    )


async def live_holds(connection: AsyncConnection, event_id: int) -> list[HoldRow]:
    """The fans who hold seats of the event now, `HOLDS_MAX` at most."""
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
