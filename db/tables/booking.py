"""The tables of bookings: holds, purchases, and the recorded outcomes of commands."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.booking.charges import CHARGED
from db.booking.conduct import BOUGHT_UNPROVEN, UNPROVEN
from db.booking.holds import OPEN
from db.booking.states import HoldState, PurchaseStatus
from db.tables.base import UPDATED_OFTEN, Base, one_of


class Reservation(Base):
    """A hold (`db.booking.holds`).

    Its seats stand in arrays of one length, with the ``amounts`` that were agreed (none of a hold made by
    an older release), and ``charges`` has price, fee, tax and rate of each where there is a fee or tax
    (`db.booking.charges`); ``lifetime_ends_at`` caps any renewal. ``network`` is the address prefix that it was made
    from (empty: none counts it), ``proven`` whether its fan proved to be a person, and ``ended_at`` when it was bought,
    given back or swept. ``merged_from`` are the accounts whose it was before they were joined, the first one first:
    within the limit was each of them.
    """

    __tablename__ = "reservation"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("state", tuple(HoldState)), name="state"),
        CheckConstraint("expires_at <= lifetime_ends_at", name="lifetime"),
        PrimaryKeyConstraint("reservation_id", "event_id"),
        Index("ix_reservation_user", "user_id", "event_id"),
        Index("ix_reservation_network", "event_id", "network", postgresql_where=text(UNPROVEN)),
        Index("ix_reservation_bought_unproven", "event_id", postgresql_where=text(BOUGHT_UNPROVEN)),
        Index("ix_reservation_open_expiry", "expires_at", "event_id", postgresql_where=text(OPEN)),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int]
    reservation_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    user_id: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="held")
    ticket_type_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    row_numbers: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    seat_numbers: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    total_amount: Mapped[int]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    lifetime_ends_at: Mapped[dt.datetime]
    amounts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    network: Mapped[str] = mapped_column(server_default="")
    proven: Mapped[bool] = mapped_column(server_default="false")
    ended_at: Mapped[dt.datetime | None]
    charges: Mapped[list[list[int]] | None] = mapped_column(ARRAY(BigInteger))
    merged_from: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")


class Purchase(Base):
    """A completed checkout. ``total_amount`` equals the sum of its live details' amounts.

    ``cancel_until`` is the time until which its fan was promised to be able to cancel; null for a purchase of an older
    release, to which the event's date applies (`db.booking.purchases`). ``voucher_hash`` names the voucher that it was
    bought with. ``order_number`` is what its code says (`db.booking.order_codes`). ``given_by`` is who gave it away
    as complimentary; null where it was bought.
    """

    __tablename__ = "purchase"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"]),
        CheckConstraint(one_of("status", tuple(PurchaseStatus)), name="status"),
        CheckConstraint("total_amount >= 0", name="total"),
        Index("ix_purchase_user", "user_id", "event_id"),
        PrimaryKeyConstraint("purchase_id", "event_id"),
        Index("uq_purchase_order", "event_id", "order_number", unique=True),
    )

    event_id: Mapped[int]
    purchase_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    user_id: Mapped[int]
    reservation_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    total_amount: Mapped[int]
    currency: Mapped[str]
    purchase_at: Mapped[dt.datetime]
    status: Mapped[str] = mapped_column(server_default="confirmed")
    cancel_until: Mapped[dt.datetime | None]
    voucher_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    order_number: Mapped[int] = mapped_column(Identity(always=False))
    given_by: Mapped[str | None]


class PurchaseDetail(Base):
    """A seat of a purchase. The partial unique index makes a seat sold twice impossible in any code.

    ``issue_number`` rises each time the ticket is handed on, and ``holder_user_id`` is the fan who has it then; null:
    the fan who bought.
    ``cancel_fee`` is what is kept of the amount of a cancelled seat; the rest is owed to the fan.

    ``amount`` is what the fan paid. ``price`` is null where that is the price alone, and otherwise stands beside
    discount, fee and tax as they were charged at the sale (`db.booking.charges`); nothing computes them anew.
    """

    __tablename__ = "purchase_detail"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "purchase_id"], ["purchase.event_id", "purchase.purchase_id"]),
        CheckConstraint("amount >= 0", name="amount"),
        CheckConstraint(
            "cancel_fee BETWEEN 0 AND amount AND (cancel_fee = 0 OR cancelled_at IS NOT NULL)", name="cancel_fee"
        ),
        CheckConstraint(CHARGED, name="charged"),
        PrimaryKeyConstraint("purchase_id", "event_id", "ticket_type_id", "row_number", "seat_number"),
        Index(
            "uq_purchase_detail_live_seat",
            "ticket_type_id",
            "row_number",
            "seat_number",
            "event_id",
            unique=True,
            postgresql_where=text("cancelled_at IS NULL"),
        ),
        Index("ix_purchase_detail_code", text("left(ticket_code, 16)")),
        Index(
            "ix_purchase_detail_holder",
            "holder_user_id",
            "event_id",
            postgresql_where=text("holder_user_id IS NOT NULL"),
        ),
    )

    event_id: Mapped[int]
    purchase_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    ticket_type_id: Mapped[int] = mapped_column(Integer)
    row_number: Mapped[int] = mapped_column(Integer)
    seat_number: Mapped[int] = mapped_column(Integer)
    amount: Mapped[int]
    ticket_code: Mapped[str]
    cancelled_at: Mapped[dt.datetime | None]
    cancel_fee: Mapped[int] = mapped_column(server_default="0")
    price: Mapped[int | None]
    fee: Mapped[int] = mapped_column(server_default="0")
    tax: Mapped[int] = mapped_column(server_default="0")
    tax_basis_points: Mapped[int] = mapped_column(Integer, server_default="0")
    discount: Mapped[int] = mapped_column(server_default="0")
    issue_number: Mapped[int] = mapped_column(Integer, server_default="1")
    holder_user_id: Mapped[int | None]


class TicketIssue(Base):
    """The log of tickets that were handed on: from when on a fan had which issue. The first issue has no row."""

    __tablename__ = "ticket_issue"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "purchase_id"], ["purchase.event_id", "purchase.purchase_id"]),
        PrimaryKeyConstraint("purchase_id", "event_id", "ticket_type_id", "row_number", "seat_number", "issue_number"),
        Index("ix_ticket_issue_user", "user_id", "event_id"),
    )

    event_id: Mapped[int]
    purchase_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    ticket_type_id: Mapped[int] = mapped_column(Integer)
    row_number: Mapped[int] = mapped_column(Integer)
    seat_number: Mapped[int] = mapped_column(Integer)
    issue_number: Mapped[int] = mapped_column(Integer)
    user_id: Mapped[int]
    issued_at: Mapped[dt.datetime]


class BookingCommand(Base):
    """The recorded outcome of a command: what makes a batch's second run repeat the first's answers."""

    __tablename__ = "booking_command"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        PrimaryKeyConstraint("command_id", "event_id"),
        Index("ix_booking_command_recorded_at", "recorded_at"),
    )

    event_id: Mapped[int]
    command_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    kind: Mapped[str]
    user_id: Mapped[int]
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    outcome: Mapped[dict[str, Any]]
    recorded_at: Mapped[dt.datetime]
