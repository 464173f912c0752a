"""Finds fans by what they can tell an operator, and reads what an event has of one. The caller commits."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.messages.addresses import opened
from db.sealing.keyring import SealError

FOUND_MAX: Final = 20
LISTED_MAX: Final = 50
SENT_AGAIN_HOURS: Final = 24

_EVENT: Final[LiteralString] = "(%(event_id)s::bigint IS NULL OR f.event_id = %(event_id)s::bigint)"

_FOUND: Final[LiteralString] = f"""
SELECT DISTINCT f.event_id, e.name, f.user_id, f.found_by
  FROM found f
  JOIN event e USING (event_id)
 WHERE {_EVENT} AND (%(event_ids)s::bigint[] IS NULL OR f.event_id = ANY (%(event_ids)s))
 ORDER BY f.event_id DESC, f.user_id
 LIMIT {FOUND_MAX}
"""  # noqa: S608 - of constants alone

FIND_BY_ID: Final[LiteralString] = f"""
WITH found AS (
    SELECT event_id, user_id, 'order' AS found_by FROM purchase WHERE purchase_id = %(sought)s::uuid
     UNION ALL
    SELECT event_id, user_id, 'hold' FROM reservation WHERE reservation_id = %(sought)s::uuid
)
{_FOUND}"""  # noqa: S608 - of constants alone

FIND_BY_ADDRESS: Final[LiteralString] = f"""
WITH found AS (
    SELECT event_id, user_id, 'address' AS found_by FROM contact WHERE address_hash = %(sought)s
)
{_FOUND}"""  # noqa: S608 - of constants alone

FIND_BY_TICKET: Final[LiteralString] = f"""
WITH found AS (
    SELECT p.event_id, p.user_id, 'ticket' AS found_by
      FROM purchase_detail d
      JOIN purchase p USING (event_id, purchase_id)
     WHERE left(d.ticket_code, 16) = ANY (%(sought)s)
)
{_FOUND}"""  # noqa: S608 - of constants alone

FIND_BY_FAN: Final[LiteralString] = f"""
WITH found AS (
    SELECT event_id, user_id, 'session' AS found_by FROM purchase WHERE user_id = %(sought)s::bigint
     UNION
    SELECT event_id, user_id, 'session' FROM reservation WHERE user_id = %(sought)s::bigint
)
{_FOUND}"""  # noqa: S608 - of constants alone

_HOLDS: Final[LiteralString] = """
SELECT reservation_id, state, cardinality(seat_numbers), total_amount, created_at, expires_at, network
  FROM reservation
 WHERE user_id = %(user_id)s AND event_id = %(event_id)s
 ORDER BY created_at DESC
 LIMIT %(listed_max)s
"""

_PURCHASES: Final[LiteralString] = """
SELECT p.purchase_id, p.status, p.total_amount, p.currency, p.purchase_at,
       (SELECT count(*) FROM purchase_detail d
         WHERE d.purchase_id = p.purchase_id AND d.event_id = p.event_id AND d.cancelled_at IS NULL)
  FROM purchase p
 WHERE p.user_id = %(user_id)s AND p.event_id = %(event_id)s
 ORDER BY p.purchase_at DESC
 LIMIT %(listed_max)s
"""

_MESSAGES: Final[LiteralString] = """
SELECT m.message_id, m.kind, m.channel, m.address, m.state, m.created_at, m.ended_at, m.error
  FROM message m
 WHERE m.event_id = %(event_id)s AND m.user_id = %(user_id)s
 ORDER BY m.created_at DESC
 LIMIT %(listed_max)s
"""

_SEND_AGAIN: Final[LiteralString] = """
INSERT INTO message (event_id, message_id, kind, channel, address, address_hash, user_id, language, dedup_key, payload,
                     urgency, due_at, useful_until)
SELECT m.event_id, %(new_id)s, m.kind, m.channel, m.address, m.address_hash, m.user_id, m.language,
       m.dedup_key || ':again:' || %(new_id)s::text, m.payload, m.urgency, clock_timestamp(),
       clock_timestamp() + make_interval(hours => %(hours)s)
  FROM message m
 WHERE m.message_id = %(message_id)s AND m.event_id = %(event_id)s AND m.user_id = %(user_id)s
   AND m.state <> 'queued'
RETURNING kind, channel, address
"""

_FORGET_DEPARTURE: Final[LiteralString] = """
DELETE FROM departed_place WHERE event_id = %(event_id)s AND user_id = %(user_id)s
"""


class FoundFan(NamedTuple):
    """A fan of an event. ``found_by`` is ``order``, ``hold``, ``address``, ``ticket`` or ``session``."""

    event_id: int
    event_name: str
    user_id: int
    found_by: str


class HoldRow(NamedTuple):
    """A hold, whatever became of it; ``seats`` is their number, ``network`` the prefix that it came from, or empty."""

    reservation_id: uuid.UUID
    state: str
    seats: int
    total_amount: int
    made_at: dt.datetime
    expires_at: dt.datetime
    network: str


class PurchaseRow(NamedTuple):
    """A purchase; ``seats`` is the number of those that were not given back."""

    purchase_id: uuid.UUID
    status: str
    total_amount: int
    currency: str
    purchase_at: dt.datetime
    seats: int


class MessageRow(NamedTuple):
    """A message to the fan."""

    message_id: uuid.UUID
    kind: str
    channel: str
    address: str
    state: str
    created_at: dt.datetime
    ended_at: dt.datetime | None
    error: str


class FanRows(NamedTuple):
    """What Postgres has of a fan in an event, the newest first."""

    holds: tuple[HoldRow, ...]
    purchases: tuple[PurchaseRow, ...]
    messages: tuple[MessageRow, ...]


async def find_fans(
    connection: AsyncConnection,
    statement: LiteralString,
    sought: str | bytes | list[str],
    event_id: int | None,
    event_ids: frozenset[int] | None,
) -> list[FoundFan]:
    """The fans that one of this module's statements finds, at most `FOUND_MAX`.

    Args:
        event_id: of this event alone.
        event_ids: of these events alone; None: of all.
    """
    which = {
        "sought": sought,
        "event_id": event_id,
        "event_ids": None if event_ids is None else list(event_ids),
    }
    return [FoundFan._make(row) for row in await connection.exec_driver_sql(statement, which)]


async def fan_rows(connection: AsyncConnection, event_id: int, user_id: int) -> FanRows:
    """What an event has of a fan."""
    which = {"event_id": event_id, "user_id": user_id, "listed_max": LISTED_MAX}
    holds = await connection.exec_driver_sql(_HOLDS, which)
    purchases = await connection.exec_driver_sql(_PURCHASES, which)
    messages = await connection.exec_driver_sql(_MESSAGES, which)
    return FanRows(
        tuple(HoldRow._make(row) for row in holds),
        tuple(PurchaseRow._make(row) for row in purchases),
        tuple(MessageRow._make(row)._replace(address=_opened(row.address)) for row in messages),
    )


def _opened(stored_address: str) -> str:
    """The address; empty where no key opens it."""
    try:
        return opened(stored_address)
    except SealError:
        return ""


async def send_again(
    connection: AsyncConnection, event_id: int, user_id: int, message_id: uuid.UUID, new_id: uuid.UUID
) -> str | None:
    """Write a fan's message once more; returns what it is, or None where the fan has no such message, or it is still
    on its way.
    """
    which: dict[str, Any] = {"event_id": event_id, "user_id": user_id, "message_id": message_id, "new_id": new_id}
    row = (await connection.exec_driver_sql(_SEND_AGAIN, {**which, "hours": SENT_AGAIN_HOURS})).first()
    return None if row is None else f"{row.kind} by {row.channel}"


async def forget_departure(connection: AsyncConnection, event_id: int, user_id: int) -> None:
    """Forget that the fan's place ended, so that its token restores the place that the fan was given back."""
    await connection.exec_driver_sql(_FORGET_DEPARTURE, {"event_id": event_id, "user_id": user_id})
