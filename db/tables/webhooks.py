"""The tables of webhooks: where operators have news sent, and each delivery."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import UPDATED_OFTEN, Base, one_of

DELIVERY_STATES = ("pending", "delivered", "dead")


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


class WebhookDelivery(Base):
    """An outbox row on its way to an endpoint. ``due_at``: not before then; while an attempt is under way, when
    others may take it for lost. Where the endpoint was removed its deliveries stay until their outbox row goes.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "outbox_id"], ["outbox.event_id", "outbox.outbox_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("state", DELIVERY_STATES), name="state"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ended"),
        PrimaryKeyConstraint("outbox_id", "event_id", "endpoint_id"),
        Index("ix_webhook_delivery_due", "endpoint_id", "due_at", postgresql_where=text("state = 'pending'")),
        Index("ix_webhook_delivery_dead", "endpoint_id", postgresql_where=text("state = 'dead'")),
        Index("ix_webhook_delivery_latest", "endpoint_id", "created_at"),
        {"postgresql_with": UPDATED_OFTEN},
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
