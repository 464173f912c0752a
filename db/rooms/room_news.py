"""News of rooms that is not made by an operator: a room opens as time passes, and sells out by its last booking.

The transaction that writes news into the outbox also notes it in the room's row. So each piece is written once, however
many dispatchers look for it.
"""

from __future__ import annotations

from typing import Any, Final, LiteralString

import psycopg

from db.outbox.kinds import OutboxKind, RoomOpened, RoomSoldOut
from db.outbox.writer import insert_news

ROOMS_MAX: Final = 100

MARK_OPENED: Final[LiteralString] = """
WITH due AS (
    SELECT m.event_id, e.on_sale_at
      FROM room m
      JOIN event e USING (event_id)
      LEFT JOIN draw d USING (event_id)
     WHERE m.state = 'open'
       AND e.state = 'published'
       AND e.on_sale_at <= statement_timestamp()
       AND m.opened_for IS DISTINCT FROM e.on_sale_at
       AND (d.event_id IS NULL OR d.drawn_at IS NOT NULL)
     LIMIT %(rooms_max)s
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE room m
   SET opened_for = due.on_sale_at
  FROM due
 WHERE m.event_id = due.event_id
RETURNING m.event_id, to_jsonb(due.on_sale_at) #>> '{}'
"""

MARK_SOLD_OUT: Final[LiteralString] = """
WITH due AS (
    SELECT m.event_id
      FROM room m
     WHERE m.state IN ('open', 'paused')
       AND m.sold_out_at IS NULL
       AND EXISTS (SELECT FROM ticket t WHERE t.event_id = m.event_id AND t.quantity > 0)
       AND NOT EXISTS (SELECT FROM ticket t WHERE t.event_id = m.event_id AND t.available_count + t.held_count > 0)
     LIMIT %(rooms_max)s
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE room m
   SET sold_out_at = clock_timestamp()
  FROM due
 WHERE m.event_id = due.event_id
RETURNING m.event_id
"""

UNMARK_SOLD_OUT: Final[LiteralString] = """
UPDATE room m
   SET sold_out_at = NULL
 WHERE m.sold_out_at IS NOT NULL
   AND EXISTS (SELECT FROM ticket t WHERE t.event_id = m.event_id AND t.available_count + t.held_count > 0)
"""


async def write_room_news(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
    """Write news of the rooms that opened or sold out since the last call, `ROOMS_MAX` of each at most.

    Raises:
        psycopg.Error: Postgres is away; nothing is written.
    """
    async with connection.transaction():
        rows = await connection.execute(MARK_OPENED, {"rooms_max": ROOMS_MAX}, prepare=True)
        opened = [RoomOpened(event_id=row[0], on_sale_at=row[1]) for row in await rows.fetchall()]
        await _write(connection, OutboxKind.ROOM_OPENED, opened)
        await connection.execute(UNMARK_SOLD_OUT, prepare=True)
        rows = await connection.execute(MARK_SOLD_OUT, {"rooms_max": ROOMS_MAX}, prepare=True)
        sold_out = [RoomSoldOut(event_id=row[0]) for row in await rows.fetchall()]
        await _write(connection, OutboxKind.ROOM_SOLD_OUT, sold_out)


async def _write(
    connection: psycopg.AsyncConnection[tuple[Any, ...]],
    kind: OutboxKind,
    payloads: list[RoomOpened] | list[RoomSoldOut],
) -> None:
    if payloads:
        await connection.execute(*insert_news(kind, payloads))
