"""The tables of waiting rooms: how operators set them, and the places that ended."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.rooms.dials import DIALS, Dial
from db.rooms.states import RoomState
from db.tables.base import Base, one_of


def _column_of(dial: Dial) -> Column[Any]:
    if isinstance(dial.default, bool):
        return Column(dial.name, Boolean, server_default=text(str(dial.default).lower()), nullable=False)
    return Column(dial.name, Text if dial.type is str else Integer, server_default=str(dial.default), nullable=False)


def _checks_of_dials() -> list[CheckConstraint]:
    conditions: dict[str, list[str]] = {}
    for dial in DIALS.values():
        if dial.check is not None:
            name, condition = dial.check
        elif dial.type is bool:
            continue
        elif dial.type is str:
            name, condition = dial.name, f"char_length({dial.name}) <= {dial.most}"
        else:
            name, condition = dial.name, f"{dial.name} BETWEEN {dial.least} AND {dial.most}"
        conditions.setdefault(name, []).append(condition)
    return [CheckConstraint(" AND ".join(parts), name=name) for name, parts in conditions.items()]


def _columns() -> list[Column[Any]]:
    """The dials' columns in the order of the table, the others where the migrations made them."""
    after: dict[str, tuple[Column[Any], ...]] = {
        "autopilot": (
            Column("revision", BigInteger, server_default="1", nullable=False),
            Column("epoch", BigInteger, server_default="0", nullable=False),
        ),
        "message": (
            Column("opened_for", DateTime(timezone=True)),
            Column("sold_out_at", DateTime(timezone=True)),
        ),
    }
    columns: list[Column[Any]] = [
        Column("event_id", BigInteger, primary_key=True, autoincrement=False),
        Column("state", Text, server_default=RoomState.OPEN, nullable=False),
    ]
    for dial in DIALS.values():
        columns += _column_of(dial), *after.get(dial.name, ())
    return columns


class Room(Base):
    """An event's waiting room as its operator set it. Redis holds a copy of it.

    Beside its dials (`db.rooms.dials`) a room has an ``epoch``, the line's own latest, recorded by the worker; 0 before
    the room was first opened. Each change of a dial, of the state or of ``event.on_sale_at`` raises ``revision``.

    The dispatcher of news (`db.rooms.room_news`) keeps two columns that are no configuration: ``opened_for`` is the
    on-sale whose opening was published, ``sold_out_at`` when it was published that nothing is left.
    """

    __table__ = Table(
        "room",
        Base.metadata,
        *_columns(),
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("state", tuple(RoomState)), name="state"),
        *_checks_of_dials(),
    )

    if TYPE_CHECKING:
        event_id: Mapped[int]
        revision: Mapped[int]


class DepartedPlace(Base):
    """The last place of a fan that ended. If Redis loses the line, no token restores this place or an earlier one."""

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
