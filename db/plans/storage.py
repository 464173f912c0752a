"""Reading the hall plan that an operator gave."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.plans.model import HallPlan
from db.tables.plans import StoredPlan

_decode = msgspec.json.Decoder(HallPlan).decode


async def plan_document(connection: AsyncConnection, event_id: int) -> bytes | None:
    """The event's plan as it is stored; None where it has none."""
    row = (await connection.execute(select(StoredPlan.document).where(StoredPlan.event_id == event_id))).one_or_none()
    return None if row is None else bytes(row[0])


def plan_of(document: bytes) -> HallPlan:
    """The plan that a stored document holds."""
    return _decode(document)


def document_of(plan: HallPlan) -> bytes:
    """The plan as it is stored."""
    return msgspec.json.encode(plan)
