"""The tables of waiting rooms: how operators set them, and the places that ended."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from db.languages import Texts
from db.rooms.dials import DIALS, Dial, DialValue
from db.rooms.states import RoomState
from db.tables.base import Base, one_of


class TextsType(TypeDecorator[Texts]):
    """`Texts` as JSON."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Texts | None, dialect: Dialect) -> object:
        return None if value is None else msgspec.to_builtins(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Texts | None:
        return None if value is None else Texts.known_of(value)


_TYPES: Final[Mapping[type[DialValue], type[TypeEngine[Any]]]] = {int: Integer, str: Text, Texts: TextsType}


def _column_of(dial: Dial) -> Column[Any]:
    if isinstance(dial.default, bool):
        return Column(dial.name, Boolean, server_default=text(str(dial.default).lower()), nullable=False)
    return Column(dial.name, _TYPES[dial.type], server_default=str(dial.default), nullable=False)


def _checks_of_dials() -> list[CheckConstraint]:
    conditions: dict[str, list[str]] = {}
    for dial in DIALS.values():
        if dial.check is not None:
            name, condition = dial.check
        elif dial.type is bool:
            continue
        elif dial.type is str:
            name, condition = dial.name, f"char_length({dial.name}) <= {dial.most}"
        elif dial.type is Texts:
            name, condition = dial.name, _holds_texts(dial)
        else:
            name, condition = dial.name, f"{dial.name} BETWEEN {dial.least} AND {dial.most}"
        conditions.setdefault(name, []).append(condition)
    return [CheckConstraint(" AND ".join(parts), name=name) for name, parts in conditions.items()]


def _holds_texts(dial: Dial) -> str:
    """An object of strings that are not empty. A pattern of Postgres repeats a sign at most 255 times."""
    half = dial.most // 2
    text = f'@ like_regex "^.{{1,{half}}}.{{0,{dial.most - half}}}$" flag "s"'
    no_text = f'strict $.* ? (@.type() != "string" || !({text}))'
    return f"jsonb_typeof({dial.name}) = 'object' AND NOT {dial.name} @? '{no_text}'"


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
        Index("ix_room_waiting_list", "event_id", postgresql_where=text("waiting_list")),
    )

    if TYPE_CHECKING:
        event_id: Mapped[int]
        revision: Mapped[int]


class RoomStep(Base):
    """What an operator scheduled for a moment to come. ``asks`` has the new values by the names of the dials."""

    __tablename__ = "room_step"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["room.event_id"], ondelete="CASCADE"),
        PrimaryKeyConstraint("step_id", "event_id"),
        Index("ix_room_step_event_id", "event_id"),
        Index("ix_room_step_at", "at"),
    )

    event_id: Mapped[int]
    step_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    at: Mapped[dt.datetime]
    asks: Mapped[dict[str, Any]]
    scheduled_by: Mapped[str]
    scheduled_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    why: Mapped[str] = mapped_column(server_default="")


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
