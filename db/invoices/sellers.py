"""Who sells an event, where that is not the site: set by an operator, and read as invoices are written."""

from __future__ import annotations

from typing import Final, LiteralString

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.change_log.changes import Change, Subject, insert_changes
from db.invoices.model import Seller

_READ: Final[LiteralString] = "SELECT seller FROM event WHERE event_id = %(event_id)s AND rehearsal_of IS NULL"

_LOCK: Final[LiteralString] = f"{_READ} FOR NO KEY UPDATE"

_WRITE: Final[LiteralString] = "UPDATE event SET seller = %(seller)s::jsonb WHERE event_id = %(event_id)s"


class NoSuchEventError(LookupError):
    """There is no such event, or it is a rehearsal's copy."""


async def seller_of(connection: AsyncConnection, event_id: int) -> Seller | None:
    """The event's own seller; None where the site sells.

    Raises:
        NoSuchEventError
    """
    return await _read(connection, event_id, _READ)


async def set_seller(
    connection: AsyncConnection, event_id: int, seller: Seller | None, operator: str, why: str
) -> None:
    """Set who sells the event, for the invoices to come, and log it. Invoices that were written stay as they are.

    Raises:
        NoSuchEventError
        sqlalchemy.exc.OperationalError: bookings keep the event for too long.
    """
    before = await _read(connection, event_id, _LOCK)
    if before == seller:
        return
    text = None if seller is None else msgspec.json.encode(seller).decode()
    await connection.exec_driver_sql(_WRITE, {"event_id": event_id, "seller": text})
    change = Change("seller", _in_words(before), _in_words(seller))
    await connection.exec_driver_sql(*insert_changes(Subject.EVENT, event_id, [change], operator, why=why))


async def _read(connection: AsyncConnection, event_id: int, statement: LiteralString) -> Seller | None:
    row = (await connection.exec_driver_sql(statement, {"event_id": event_id})).first()
    if row is None:
        raise NoSuchEventError(event_id)
    return None if row[0] is None else msgspec.convert(row[0], Seller)


def _in_words(seller: Seller | None) -> str:
    """The seller, for the log."""
    if seller is None:
        return ""
    return "; ".join(filter(None, (seller.name, seller.address, seller.tax_id, seller.series, seller.credit_series)))
