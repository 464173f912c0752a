"""The tables. Every booking table carries ``event_id`` and has it in its primary key and every unique
constraint, so that the schema distributes by ``event_id`` on Citus unchanged. Where a row is found by an id of its
own, that comes first in the key: an index that begins with ``event_id`` looks as good to a planner who thinks the
table empty, and reads the whole event.

Money is integer minor units, times are ``timestamptz`` written by Postgres' clock.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SEAT_STATUSES = ("available", "reserved", "booked")
RESERVATION_STATES = ("held", "purchased", "released", "lapsed")
PURCHASE_STATUSES = ("confirmed", "cancelled")
DELIVERY_STATES = ("pending", "delivered", "dead")
ROOM_STATES = ("off", "lobby", "open", "paused", "rebuilding", "sold_out", "closed")

# Room on each page keeps updates of a row on its page (HOT); vacuum comes before a fifth of an arena is dead.
_UPDATED_OFTEN = {
    "fillfactor": 70,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.02,
}


def _one_of(column: str, values: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({listed})"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        dt.datetime: DateTime(timezone=True),
        int: BigInteger,
        str: Text,
        dict[str, Any]: JSONB,
    }


class Event(Base):
    """One performance that is sold. ``version`` goes up by one with each batch that changes its bookings and with each
    change by an operator, ``revision`` with the latter only.

    ``rehearsal_of``: it is a copy of that event, for a rehearsal (`db.rehearsals`), which only its own fans know.
    """

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint("seats_per_fan_max BETWEEN 1 AND 1000", name="seats_per_fan"),
        {"postgresql_with": _UPDATED_OFTEN},
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


class Ticket(Base):
    """A ticket type: a price, and the counts of its seats, kept up once per batch.

    ``quantity = available_count + held_count + seats booked``.
    """

    __tablename__ = "ticket"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("available_count >= 0 AND held_count >= 0", name="counts_not_negative"),
        CheckConstraint("available_count + held_count <= quantity", name="counts_within_quantity"),
        {"postgresql_with": _UPDATED_OFTEN},
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    ticket_type_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    ticket_type: Mapped[str]
    price: Mapped[int]
    quantity: Mapped[int] = mapped_column(Integer)
    available_count: Mapped[int] = mapped_column(Integer)
    held_count: Mapped[int] = mapped_column(Integer, server_default="0")


class Seat(Base):
    """A numbered seat. ``held_until`` is the hold's end with its grace: past it a reserved seat is free.

    No index on ``status``, so that updates stay HOT.
    """

    __tablename__ = "seat"
    __table_args__ = (
        ForeignKeyConstraint(
            ["event_id", "ticket_type_id"], ["ticket.event_id", "ticket.ticket_type_id"], ondelete="CASCADE"
        ),
        CheckConstraint(_one_of("status", SEAT_STATUSES), name="status"),
        CheckConstraint(
            "(status = 'reserved') = (reservation_id IS NOT NULL AND held_until IS NOT NULL)", name="held_by"
        ),
        {"postgresql_with": _UPDATED_OFTEN},
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    ticket_type_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    row_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    seat_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    status: Mapped[str] = mapped_column(server_default="available")
    reservation_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    held_until: Mapped[dt.datetime | None]


class Reservation(Base):
    """A hold. Its seats stand in arrays of one length, with the ``amounts`` that were agreed (none of a hold made by
    an older release); ``lifetime_ends_at`` caps any renewal.
    """

    __tablename__ = "reservation"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint(_one_of("state", RESERVATION_STATES), name="state"),
        CheckConstraint("expires_at <= lifetime_ends_at", name="lifetime"),
        PrimaryKeyConstraint("reservation_id", "event_id"),
        Index("ix_reservation_user", "user_id", "event_id"),
        Index("ix_reservation_held_expiry", "expires_at", "event_id", postgresql_where=text("state = 'held'")),
        {"postgresql_with": _UPDATED_OFTEN},
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


class Purchase(Base):
    """A completed checkout. ``total_amount`` equals the sum of its live details' amounts."""

    __tablename__ = "purchase"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"]),
        CheckConstraint(_one_of("status", PURCHASE_STATUSES), name="status"),
        CheckConstraint("total_amount >= 0", name="total"),
        Index("ix_purchase_user", "user_id", "event_id"),
        PrimaryKeyConstraint("purchase_id", "event_id"),
    )

    event_id: Mapped[int]
    purchase_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    user_id: Mapped[int]
    reservation_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    total_amount: Mapped[int]
    currency: Mapped[str]
    purchase_at: Mapped[dt.datetime]
    status: Mapped[str] = mapped_column(server_default="confirmed")


class PurchaseDetail(Base):
    """A seat of a purchase. The partial unique index makes a seat sold twice impossible in any code."""

    __tablename__ = "purchase_detail"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "purchase_id"], ["purchase.event_id", "purchase.purchase_id"]),
        CheckConstraint("amount >= 0", name="amount"),
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
    )

    event_id: Mapped[int]
    purchase_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    ticket_type_id: Mapped[int] = mapped_column(Integer)
    row_number: Mapped[int] = mapped_column(Integer)
    seat_number: Mapped[int] = mapped_column(Integer)
    amount: Mapped[int]
    ticket_code: Mapped[str]
    cancelled_at: Mapped[dt.datetime | None]


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


class Outbox(Base):
    """What is to be told to the outside, written by the transaction that made it true.

    ``sent_at``: when it was handed to the webhook endpoints that ask for its kind, each of which then has a delivery.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        Index("ix_outbox_unsent", "outbox_id", postgresql_where=text("sent_at IS NULL")),
        Index("ix_outbox_sent", "sent_at", postgresql_where=text("sent_at IS NOT NULL")),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    outbox_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]
    sent_at: Mapped[dt.datetime | None]


class WebhookEndpoint(Base):
    """Where operators have news sent; a reference table. ``event_id``: of this event alone; None: of all.

    Signatures are made with ``secret``, and until ``secret_before_until`` also with the one it replaced.
    ``failing_since``: the first failure since the last success.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("cardinality(kinds) > 0", name="kinds"),
        CheckConstraint("(disabled_at IS NULL) = (disabled_why = '')", name="disabled"),
        CheckConstraint("(secret_before IS NULL) = (secret_before_until IS NULL)", name="secret_before"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    endpoint_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    url: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    event_id: Mapped[int | None]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    secret_before: Mapped[bytes | None] = mapped_column(LargeBinary)
    secret_before_until: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    delivered_at: Mapped[dt.datetime | None]
    failing_since: Mapped[dt.datetime | None]
    disabled_at: Mapped[dt.datetime | None]
    disabled_why: Mapped[str] = mapped_column(server_default="")


class WebhookLog(Base):
    """Who changed what of a webhook endpoint, when; it outlives the endpoint and never holds a secret."""

    __tablename__ = "webhook_log"
    __table_args__ = (Index("ix_webhook_log_endpoint", "endpoint_id", "log_id"),)

    log_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    operator: Mapped[str]
    endpoint_id: Mapped[int]
    field: Mapped[str]
    before: Mapped[str] = mapped_column(server_default="")
    after: Mapped[str] = mapped_column(server_default="")


class WebhookDelivery(Base):
    """An outbox row on its way to an endpoint. ``due_at``: not before then; while an attempt is under way, when
    others may take it for lost. Where the endpoint was removed its deliveries stay until their outbox row goes.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "outbox_id"], ["outbox.event_id", "outbox.outbox_id"], ondelete="CASCADE"),
        CheckConstraint(_one_of("state", DELIVERY_STATES), name="state"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ended"),
        PrimaryKeyConstraint("outbox_id", "event_id", "endpoint_id"),
        Index("ix_webhook_delivery_due", "endpoint_id", "due_at", postgresql_where=text("state = 'pending'")),
        Index("ix_webhook_delivery_dead", "endpoint_id", postgresql_where=text("state = 'dead'")),
        Index("ix_webhook_delivery_latest", "endpoint_id", "created_at"),
        {"postgresql_with": _UPDATED_OFTEN},
    )

    event_id: Mapped[int]
    outbox_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    endpoint_id: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    due_at: Mapped[dt.datetime]
    created_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(server_default="")


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
        CheckConstraint(_one_of("state", ROOM_STATES), name="state"),
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


class Draw(Base):
    """The draw of an event's lobby. ``seed`` is secret until ``drawn_at``, committed to by ``seed_hash`` from the
    first; ``fan_key`` is always secret. ``epoch`` is that of the places drawn.
    """

    __tablename__ = "draw"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint("(drawn_at IS NULL) = (participants IS NULL)", name="drawn"),
        CheckConstraint("(drawn_at IS NULL) = (epoch IS NULL)", name="epoch"),
    )

    event_id: Mapped[int] = mapped_column(primary_key=True)
    seed: Mapped[bytes] = mapped_column(LargeBinary)
    seed_hash: Mapped[bytes] = mapped_column(LargeBinary)
    fan_key: Mapped[bytes] = mapped_column(LargeBinary)
    committed_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    drawn_at: Mapped[dt.datetime | None]
    participants: Mapped[int | None] = mapped_column(Integer)
    epoch: Mapped[int | None]


class DrawEntry(Base):
    """A fan of the lobby, and the number drawn."""

    __tablename__ = "draw_entry"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["draw.event_id"], ondelete="CASCADE"),
        PrimaryKeyConstraint("user_id", "event_id"),
        UniqueConstraint("event_id", "number"),
    )

    event_id: Mapped[int]
    user_id: Mapped[int]
    number: Mapped[int] = mapped_column(Integer)
    fan_hash: Mapped[bytes] = mapped_column(LargeBinary)


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


class CodeIssue(Base):
    """Access codes that an operator issued in one go, for one window of time; each is good ``uses_max`` times."""

    __tablename__ = "code_issue"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        CheckConstraint("codes > 0 AND uses_max > 0", name="counts"),
        CheckConstraint("starts_at < ends_at", name="window"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name="revoked"),
        PrimaryKeyConstraint("issue_id", "event_id"),
        Index("ix_code_issue_event_id", "event_id"),
    )

    event_id: Mapped[int]
    issue_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    label: Mapped[str]
    codes: Mapped[int] = mapped_column(Integer)
    uses_max: Mapped[int] = mapped_column(Integer)
    starts_at: Mapped[dt.datetime | None]
    ends_at: Mapped[dt.datetime | None]
    issued_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    issued_by: Mapped[str]
    revoked_at: Mapped[dt.datetime | None]
    revoked_by: Mapped[str | None]


class AccessCode(Base):
    """A code that lets its fan wait in the priority class, known by its keyed hash only."""

    __tablename__ = "access_code"
    __table_args__ = (
        ForeignKeyConstraint(
            ["issue_id", "event_id"], ["code_issue.issue_id", "code_issue.event_id"], ondelete="CASCADE"
        ),
        CheckConstraint("uses >= 0", name="uses"),
        PrimaryKeyConstraint("code_hash", "event_id"),
        Index("ix_access_code_issue_id", "issue_id"),
    )

    event_id: Mapped[int]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    issue_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    uses: Mapped[int] = mapped_column(Integer, server_default="0")


class CodeRedemption(Base):
    """A code that a fan redeemed: the fan's again and again, and one use of it."""

    __tablename__ = "code_redemption"
    __table_args__ = (
        ForeignKeyConstraint(
            ["code_hash", "event_id"], ["access_code.code_hash", "access_code.event_id"], ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("user_id", "event_id", "code_hash"),
        Index("ix_code_redemption_code_hash", "code_hash"),
    )

    event_id: Mapped[int]
    user_id: Mapped[int]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    redeemed_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())


class RoomLog(Base):
    """Who changed what of a room, when, from what to what; ``revision`` is the one that the change made, 0 where an
    older release did not note it.
    """

    __tablename__ = "room_log"
    __table_args__ = (ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),)

    event_id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    operator: Mapped[str]
    field: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    why: Mapped[str] = mapped_column(server_default="")
    revision: Mapped[int] = mapped_column(server_default="0")


class EventLog(Base):
    """Who changed what of an event's definition, when, from what to what; ``revision`` is the one it made."""

    __tablename__ = "event_log"
    __table_args__ = (ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),)

    event_id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    operator: Mapped[str]
    field: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    why: Mapped[str] = mapped_column(server_default="")
    revision: Mapped[int]


class Operator(Base):
    """Somebody who may steer the door; the password is kept as an Argon2id hash."""

    __tablename__ = "operator"

    name: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
