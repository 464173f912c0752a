"""The tables of events: ticket types with their counts, and seats."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.booking.states import SeatStatus
from db.events.sale import EventState
from db.payments.states import PROVIDERS
from db.tables.base import UPDATED_OFTEN, Base, one_of


class Event(Base):
    """One performance that is sold. ``version`` goes up by one with each batch that changes its bookings and with each
    change by an operator, ``revision`` with the latter only.

    ``time_zone`` is the venue's, by its IANA name; UTC where it is unknown.
    Sales end at ``off_sale_at``, or at ``date`` where it is null. ``ticket_types_made`` is the highest ticket type id
    ever given, so that none is given twice. ``notice`` is the operators' sentence to the event's fans.

    ``doors_at`` is when one may go in, null where it is unknown. ``picture_alt`` says what the picture shows, for those
    who do not see it.

    ``account_required``: fans join and hold seats with an account alone.

    ``town`` is where the venue lies, and ``tags`` are a few words of what it is, such as jazz; both are searched.

    ``payments`` is the provider that takes its payments (`db.payments.states`); empty: nothing is to be paid here.

    ``asks`` is what a fan answers before buying (`db.orders.asks`); null: nothing.

    ``seller`` is who sells, where that is not the site (`db.invoices.model.Seller`).

    ``rehearsal_of``: it is a copy of that event, for a rehearsal (`db.rehearsals`), which only its own fans know.
    """

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint("seats_per_fan_max BETWEEN 1 AND 1000", name="seats_per_fan"),
        CheckConstraint(one_of("state", tuple(EventState)), name="state"),
        CheckConstraint(one_of("payments", PROVIDERS), name="payments"),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    name: Mapped[str]
    artist: Mapped[str] = mapped_column(server_default="")
    venue: Mapped[str]
    date: Mapped[dt.datetime]
    on_sale_at: Mapped[dt.datetime]
    currency: Mapped[str]
    seats_per_fan_max: Mapped[int] = mapped_column(Integer, server_default="10")
    version: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(server_default="1")
    rehearsal_of: Mapped[int | None]
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    off_sale_at: Mapped[dt.datetime | None]
    state: Mapped[str] = mapped_column(server_default=EventState.PUBLISHED)
    ticket_types_made: Mapped[int] = mapped_column(Integer, server_default="0")
    notice: Mapped[str] = mapped_column(server_default="")
    doors_at: Mapped[dt.datetime | None]
    picture_hash: Mapped[str | None]
    picture_alt: Mapped[str] = mapped_column(server_default="")
    account_required: Mapped[bool] = mapped_column(server_default="false")
    payments: Mapped[str] = mapped_column(server_default="")
    asks: Mapped[dict[str, Any] | None]
    town: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    seller: Mapped[dict[str, Any] | None]


class EventCancellation(Base):
    """That an event was cancelled, and how far what follows has come (`db.events.cancelling`).

    ``told_through`` is the highest id of the purchases that the outside was told of. From ``done_at`` on it was told of
    all, and no hold is open.
    """

    __tablename__ = "event_cancellation"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        Index("ix_event_cancellation_to_do", "cancelled_at", postgresql_where=text("done_at IS NULL")),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cancelled_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    told_through: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    done_at: Mapped[dt.datetime | None]


class Ticket(Base):
    """A ticket type: a price, and the counts of its seats, kept up once per batch.

    ``quantity = available_count + held_count + seats booked``. ``entrance`` is where its fans come in, empty where the
    venue has one for all. The columns from ``fee_amount`` on are its terms (`db.events.terms`).
    """

    __tablename__ = "ticket"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("fee_amount >= 0 AND fee_basis_points BETWEEN 0 AND 10000", name="fee"),
        CheckConstraint("tax_basis_points BETWEEN 0 AND 10000", name="tax"),
        CheckConstraint("sold_from < sold_until", name="sold"),
        CheckConstraint("seats_per_fan_max BETWEEN 1 AND 1000", name="seats_per_fan"),
        CheckConstraint("available_count >= 0 AND held_count >= 0", name="counts_not_negative"),
        CheckConstraint("available_count + held_count <= quantity", name="counts_within_quantity"),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    ticket_type_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    ticket_type: Mapped[str]
    price: Mapped[int]
    quantity: Mapped[int] = mapped_column(Integer)
    available_count: Mapped[int] = mapped_column(Integer)
    held_count: Mapped[int] = mapped_column(Integer, server_default="0")
    entrance: Mapped[str] = mapped_column(server_default="")
    fee_amount: Mapped[int] = mapped_column(server_default="0")
    fee_basis_points: Mapped[int] = mapped_column(Integer, server_default="0")
    tax_basis_points: Mapped[int] = mapped_column(Integer, server_default="0")
    tax_included: Mapped[bool] = mapped_column(server_default="true")
    sold_from: Mapped[dt.datetime | None]
    sold_until: Mapped[dt.datetime | None]
    seats_per_fan_max: Mapped[int | None] = mapped_column(Integer)


class Seat(Base):
    """A numbered seat. ``held_until`` is the hold's end with its grace: past it a reserved seat is free.

    No index on ``status``, so that updates stay HOT.

    The columns from ``x`` on come from the event's hall plan, and are null where it has none (`db.plans`). Seats of a
    row whose ``ordinal`` differs by one are side by side. ``flags`` are those of `db.plans.model.SeatFlag`. A label is
    null where the number is what the row or the seat is called.
    """

    __tablename__ = "seat"
    __table_args__ = (
        ForeignKeyConstraint(
            ["event_id", "ticket_type_id"], ["ticket.event_id", "ticket.ticket_type_id"], ondelete="CASCADE"
        ),
        CheckConstraint(one_of("status", tuple(SeatStatus)), name="status"),
        CheckConstraint(
            "(status = 'reserved') = (reservation_id IS NOT NULL AND held_until IS NOT NULL)", name="held_by"
        ),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    ticket_type_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    row_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    seat_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    status: Mapped[str] = mapped_column(server_default="available")
    reservation_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    held_until: Mapped[dt.datetime | None]
    x: Mapped[int | None] = mapped_column(Integer)
    y: Mapped[int | None] = mapped_column(Integer)
    ordinal: Mapped[int | None] = mapped_column(Integer)
    flags: Mapped[int | None] = mapped_column(SmallInteger)
    row_label: Mapped[str | None]
    seat_label: Mapped[str | None]
    section: Mapped[str | None]
