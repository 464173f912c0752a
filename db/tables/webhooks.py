"""The table of webhooks: the endpoints that operators have news sent to."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Identity,
    LargeBinary,
    Text,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class WebhookEndpoint(Base):
    """An endpoint that gets news; a reference table. ``event_id``: it gets news of this event alone; None: of all.

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
