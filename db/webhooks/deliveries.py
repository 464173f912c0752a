"""The deliveries to a webhook endpoint: how each ended, and how they are made again. The caller commits."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.tables.outbox import Delivery, Outbox
from db.webhooks.channel import WEBHOOKS
from db.webhooks.endpoints import endpoint, lock_endpoint, log_endpoint

DELIVERIES_MAX: Final = 200
RESENT_IN_ONE_CALL_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """``due_at`` is when a pending one is tried next; ``status`` the endpoint's last answer, None without one."""

    outbox_id: uuid.UUID
    event_id: int
    kind: str
    state: str
    attempts: int
    created_at: dt.datetime
    due_at: dt.datetime
    ended_at: dt.datetime | None
    status: int | None
    error: str


async def deliveries(
    connection: AsyncConnection, endpoint_id: int, *, state: str | None, limit: int
) -> list[DeliveryRow]:
    """The endpoint's latest deliveries, the newest first; ``limit`` is cut to `DELIVERIES_MAX`.

    Raises:
        UnknownEndpointError: there is no such endpoint.
    """
    await endpoint(connection, endpoint_id)
    query = (
        select(
            Delivery.outbox_id,
            Delivery.event_id,
            Outbox.kind,
            Delivery.state,
            Delivery.attempts,
            Delivery.created_at,
            Delivery.due_at,
            Delivery.ended_at,
            Delivery.status,
            Delivery.error,
        )
        .join(
            Outbox,
            tuple_(Outbox.event_id, Outbox.outbox_id) == tuple_(Delivery.event_id, Delivery.outbox_id),
        )
        .where(Delivery.channel == WEBHOOKS.name, Delivery.recipient_id == endpoint_id)
        .order_by(Delivery.created_at.desc(), Delivery.outbox_id.desc())
        .limit(min(limit, DELIVERIES_MAX))
    )
    if state is not None:
        query = query.where(Delivery.state == state)
    return [DeliveryRow(**row._asdict()) for row in await connection.execute(query)]


async def resend(connection: AsyncConnection, endpoint_id: int, outbox_id: uuid.UUID | None, operator: str) -> int:
    """Make the named delivery due again, however it ended. Without a name, make all due again that were given up,
    `RESENT_IN_ONE_CALL_MAX` at most.

    Returns:
        The number of deliveries that are due anew.

    Raises:
        UnknownEndpointError: there is no such endpoint.
    """
    await lock_endpoint(connection, endpoint_id)
    chosen = select(Delivery.event_id, Delivery.outbox_id).where(
        Delivery.channel == WEBHOOKS.name, Delivery.recipient_id == endpoint_id
    )
    chosen = (
        chosen.where(Delivery.state == "dead").limit(RESENT_IN_ONE_CALL_MAX)
        if outbox_id is None
        else chosen.where(Delivery.outbox_id == outbox_id, Delivery.state != "pending")
    )
    found = chosen.with_for_update().cte("chosen")
    resent = await connection.execute(
        update(Delivery)
        .where(
            Delivery.channel == WEBHOOKS.name,
            Delivery.recipient_id == endpoint_id,
            Delivery.outbox_id == found.c.outbox_id,
            Delivery.event_id == found.c.event_id,
        )
        .values(state="pending", attempts=0, due_at=func.clock_timestamp(), ended_at=None)
    )
    if resent.rowcount:
        what = "all given up" if outbox_id is None else str(outbox_id)
        await log_endpoint(connection, endpoint_id, operator, {"resent": (what, str(resent.rowcount))})
    return resent.rowcount
