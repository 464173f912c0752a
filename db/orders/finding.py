"""A fan who has lost the way to the tickets finds them by the mail address that was given with them."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.messages.addresses import hash_of
from db.messages.kinds import MAIL, MessageKind
from db.messages.queue import NO_EVENT_ID, WRITE, message_row, rows_of

LINK_EVERY_MINUTES: Final = 10
FOUND_MAX: Final = 100

_OF_ADDRESS: Final[LiteralString] = """
SELECT p.event_id, p.purchase_id
  FROM order_answers a
  JOIN purchase p ON p.user_id = a.user_id AND p.event_id = a.event_id AND p.reservation_id = a.reservation_id
 WHERE a.address_hash = ANY (%(hashes)s)
 UNION
SELECT p.event_id, p.purchase_id
  FROM contact c
  JOIN purchase p ON p.user_id = c.user_id AND p.event_id = c.event_id
 WHERE c.address_hash = ANY (%(hashes)s) AND c.channel = 'mail'
"""
"""Who gave the address with the answers gave it for that order; who gave it for the event, for all orders there."""

HAS_ORDERS: Final[LiteralString] = f"SELECT EXISTS ({_OF_ADDRESS})"

ORDERS_OF_ADDRESS: Final[LiteralString] = f"""
SELECT p.event_id, e.name, e.venue, e.date, e.time_zone, p.purchase_id, p.user_id, p.order_number, p.status,
       p.purchase_at
  FROM ({_OF_ADDRESS}) AS f
  JOIN purchase p ON p.purchase_id = f.purchase_id AND p.event_id = f.event_id
  JOIN event e ON e.event_id = p.event_id
 ORDER BY e.date DESC, p.order_number DESC
 LIMIT %(found_max)s
"""  # noqa: S608 - of constants alone


class FoundOrder(NamedTuple):
    """An order of an address."""

    event_id: int
    event_name: str
    venue: str
    date: dt.datetime
    time_zone: str
    purchase_id: uuid.UUID
    user_id: int
    order_number: int
    status: str
    purchase_at: dt.datetime


def _hashes(mail: str) -> list[bytes]:
    """An address is the same in small letters, and may have been kept as it was typed."""
    return [hash_of(one) for one in {mail, mail.lower()}]


async def write_link(connection: AsyncConnection, mail: str, language: str, now: dt.datetime) -> None:
    """Write the mail with the link to the orders of an address, if it has any; once in `LINK_EVERY_MINUTES` at most.
    The same statements run in either case.
    """
    found = await connection.exec_driver_sql(HAS_ORDERS, {"hashes": _hashes(mail)})
    message = message_row(
        MessageKind.TICKETS_LINK,
        event_id=NO_EVENT_ID,
        channel=MAIL,
        address=mail,
        user_id=0,
        language=language,
        cause=f"{now:%Y-%m-%dT%H}.{now.minute // LINK_EVERY_MINUTES}",
        payload={},
    )
    await connection.exec_driver_sql(WRITE, rows_of([message] if found.scalar_one() else []))


async def orders_of_address(connection: AsyncConnection, mail: str) -> list[FoundOrder]:
    """The orders of an address, those of the latest events first; `FOUND_MAX` at most."""
    which = {"hashes": _hashes(mail), "found_max": FOUND_MAX}
    return [FoundOrder._make(row) for row in await connection.exec_driver_sql(ORDERS_OF_ADDRESS, which)]
