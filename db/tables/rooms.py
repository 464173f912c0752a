"""The tables of waiting rooms: how operators set them, and the places that ended."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Boolean, CheckConstraint, ForeignKeyConstraint, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base, one_of

ROOM_STATES = ("off", "lobby", "open", "paused", "rebuilding", "sold_out", "closed")
MESSAGE_MAX = 280
"""Characters of a room's message to its line."""


class Room(Base):
    """An event's waiting room as its operator set it: the truth that Redis holds a copy of.

    ``epoch`` is the line's own latest, recorded by the worker; 0 before the room was first opened. The room opens as
    a lobby ``lobby_minutes`` before the on-sale; 0: without one. The priority class has ``priority_share`` percent of
    the calls while both classes wait. Who moves ``event.on_sale_at`` raises ``revision``.

    ``opened_for`` is the on-sale whose opening was told to the outside, ``sold_out_at`` when it was told that nothing
    is left; the worker's (`workers.webhooks`), no configuration.
    """

    __tablename__ = "room"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("state", ROOM_STATES), name="state"),
        CheckConstraint("rate_per_minute >= 0 AND capacity >= 0 AND line_cap >= 0", name="limits"),
        CheckConstraint("claim_window_seconds > 0 AND pass_seconds > 0", name="lifetimes"),
        CheckConstraint("lobby_minutes >= 0", name="lobby"),
        CheckConstraint("priority_share BETWEEN 0 AND 100", name="priority_share"),
        CheckConstraint(f"char_length(message) <= {MESSAGE_MAX}", name="message"),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="open")
    rate_per_minute: Mapped[int] = mapped_column(Integer, server_default="300")
    capacity: Mapped[int] = mapped_column(Integer, server_default="500")
    line_cap: Mapped[int] = mapped_column(Integer, server_default="5000")
    claim_window_seconds: Mapped[int] = mapped_column(Integer, server_default="60")
    pass_seconds: Mapped[int] = mapped_column(Integer, server_default="900")
    autopilot: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    revision: Mapped[int] = mapped_column(server_default="1")
    epoch: Mapped[int] = mapped_column(server_default="0")
    lobby_minutes: Mapped[int] = mapped_column(Integer, server_default="0")
    message: Mapped[str] = mapped_column(server_default="")
    opened_for: Mapped[dt.datetime | None]
    sold_out_at: Mapped[dt.datetime | None]
    priority_share: Mapped[int] = mapped_column(Integer, server_default="50")


class DepartedPlace(Base):
    """The last place of a fan that ended: after Redis lost the line, no token brings it or one before it back."""

    __tablename__ = "departed_place"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        Index("ix_departed_place_at", "departed_at"),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    epoch: Mapped[int]
    number: Mapped[int]
    departed_at: Mapped[dt.datetime]
