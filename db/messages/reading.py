"""Messages as operators and the mailbox of a development site read them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.alarms.receivers import opened_receiver
from db.messages.addresses import hash_of, opened
from db.sealing.keyring import SealError

_COLUMNS: Final[LiteralString] = """m.event_id, m.message_id, m.kind, m.channel, m.address, m.language, m.state,
       m.tries, m.error, m.provider, m.created_at, m.ended_at, m.copy, m.address_hash"""

_ALL: Final[LiteralString] = f"""
SELECT {_COLUMNS}
  FROM message m
 UNION ALL
SELECT DISTINCT ON (n.message_id)
       0, n.message_id, 'alarm', r.channel, r.address, 'en', n.state, n.tries, n.error, '', n.created_at, n.ended_at,
       n.copy, NULL::bytea
  FROM alarm_notice n
  JOIN alarm_receiver r USING (receiver_id)
 WHERE n.message_id IS NOT NULL
"""  # noqa: S608 - of constants alone
"""Messages to fans, and alarms to operators."""

_NEWEST: Final[LiteralString] = f"""
SELECT *
  FROM ({_ALL}) AS m
 WHERE %(address)s = '' OR m.address_hash = %(hash)s OR m.address = %(address)s OR m.kind = 'alarm'
 ORDER BY m.created_at DESC
 LIMIT %(messages_max)s
"""  # noqa: S608 - of constants alone

_ONE: Final[LiteralString] = f"""
SELECT * FROM ({_ALL}) AS m WHERE m.message_id = %(message_id)s
"""  # noqa: S608 - of constants alone

_DEAD: Final[LiteralString] = f"""
SELECT {_COLUMNS}
  FROM message m
 WHERE m.state = 'dead'
 ORDER BY m.ended_at DESC
 LIMIT %(messages_max)s
"""  # noqa: S608 - of constants alone

_COUNT_DEAD: Final[LiteralString] = "SELECT count(*) FROM message WHERE state = 'dead'"

_RESEND: Final[LiteralString] = """
UPDATE message
   SET state = 'queued', ended_at = NULL, tries = 0, due_at = clock_timestamp(),
       useful_until = greatest(useful_until, clock_timestamp() + interval '1 hour')
 WHERE state = 'dead' AND (%(message_id)s::uuid IS NULL OR message_id = %(message_id)s::uuid)
"""


class MessageRow(NamedTuple):
    """A message and where it stands."""

    event_id: int
    message_id: uuid.UUID
    kind: str
    channel: str
    address: str
    language: str
    state: str
    tries: int
    error: str
    provider: str
    created_at: dt.datetime
    ended_at: dt.datetime | None
    copy: str | None


def _row(row: Sequence[Any]) -> MessageRow:
    """A row whose address is opened; that of a lost key is left out."""
    found = MessageRow._make(row[: len(MessageRow._fields)])
    try:
        return found._replace(
            address=opened_receiver(found.address) if found.kind == "alarm" else opened(found.address)
        )
    except SealError:
        return found._replace(address="")


async def newest_messages(connection: AsyncConnection, messages_max: int, *, address: str = "") -> list[MessageRow]:
    """The newest messages, those to one address alone if it is given. It reads the whole table: for development."""
    rows = await connection.exec_driver_sql(
        _NEWEST, {"messages_max": messages_max, "address": address, "hash": hash_of(address)}
    )
    found = [_row(row) for row in rows]
    return [row for row in found if not address or row.address == address]


async def message_with_copy(connection: AsyncConnection, message_id: uuid.UUID) -> MessageRow | None:
    row = (await connection.exec_driver_sql(_ONE, {"message_id": message_id})).first()
    return None if row is None else _row(row)


async def dead_letters(connection: AsyncConnection, messages_max: int) -> tuple[int, list[MessageRow]]:
    """How many messages were tried too often, and the newest of them."""
    rows = await connection.exec_driver_sql(_DEAD, {"messages_max": messages_max})
    found = [_row(row) for row in rows]
    count = (await connection.exec_driver_sql(_COUNT_DEAD)).scalar_one()
    return int(count), found


async def resend(connection: AsyncConnection, message_id: uuid.UUID | None) -> int:
    """Try a dead letter again from the beginning, or all of them; returns how many."""
    done = await connection.exec_driver_sql(_RESEND, {"message_id": message_id})
    return done.rowcount
