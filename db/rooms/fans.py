"""What Postgres knows of a fan in a room, from which it is restored if Redis lost it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.holds import live
from db.tables.booking import Purchase, Reservation
from db.tables.codes import CodeRedemption
from db.tables.rooms import DepartedPlace


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
        Reservation.event_id == event_id, Reservation.user_id == user_id, text(live())
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
