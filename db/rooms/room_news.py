"""News of rooms that is not made by an operator: a room opens as time passes, and sells out by its last booking.

The transaction that writes news into the outbox also notes it in the room's row. So each piece is written once, however
many dispatchers look for it.
"""

from __future__ import annotations

from typing import Any, Final, LiteralString

import psycopg

from db.citus.walking import Work, execute
from db.outbox.kinds import OutboxKind, RoomOpened, RoomSoldOut
from db.outbox.writer import insert_news

ROOMS_MAX: Final = 100

_OPENED: Final[LiteralString] = """
      FROM room m
      JOIN event e USING (event_id)
      LEFT JOIN draw d USING (event_id)
     WHERE m.state = 'open'
       AND e.state = 'published'
       AND e.on_sale_at <= now()
       AND m.opened_for IS DISTINCT FROM e.on_sale_at
       AND (d.event_id IS NULL OR d.drawn_at IS NOT NULL)
       /* of one event: AND m.event_id = @ */
     LIMIT %(rows_max)s"""

MARK_OPENED: Final[LiteralString] = f"""
WITH due AS (
    SELECT m.event_id, e.on_sale_at, to_jsonb(e.on_sale_at) #>> '{{}}' AS told
    {_OPENED}
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE room m
   SET opened_for = due.on_sale_at
  FROM due
 WHERE m.event_id = due.event_id /* of one event: AND m.event_id = @ */
RETURNING m.event_id, due.told
"""  # noqa: S608 - of constants alone
EVENTS_OPENED: Final[LiteralString] = f"SELECT m.event_id {_OPENED}"

_SOLD_OUT: Final[LiteralString] = """
      FROM room m
     WHERE m.state IN ('open', 'paused')
       AND m.sold_out_at IS NULL
       AND EXISTS (SELECT
                     FROM ticket t
                    WHERE t.event_id = m.event_id AND t.quantity > 0 /* of one event: AND t.event_id = @ */)
       AND NOT EXISTS (SELECT
                         FROM ticket t
                        WHERE t.event_id = m.event_id AND t.available_count + t.held_count > 0
                              /* of one event: AND t.event_id = @ */)
       /* of one event: AND m.event_id = @ */
     LIMIT %(rows_max)s"""

MARK_SOLD_OUT: Final[LiteralString] = f"""
WITH due AS (
    SELECT m.event_id
    {_SOLD_OUT}
       FOR UPDATE OF m SKIP LOCKED
)
UPDATE room m
   SET sold_out_at = now()
  FROM due
 WHERE m.event_id = due.event_id /* of one event: AND m.event_id = @ */
RETURNING m.event_id
"""  # noqa: S608 - of constants alone
EVENTS_SOLD_OUT: Final[LiteralString] = f"SELECT m.event_id {_SOLD_OUT}"

UNMARK_SOLD_OUT: Final[LiteralString] = """
UPDATE room m
   SET sold_out_at = NULL
 WHERE m.sold_out_at IS NOT NULL
   AND EXISTS (SELECT FROM ticket t WHERE t.event_id = m.event_id AND t.available_count + t.held_count > 0)
"""


async def write_room_news(connection: psycopg.AsyncConnection[tuple[Any, ...]], *, is_citus: bool = False) -> None:
    """Write news of the rooms that opened or sold out since the last call, `ROOMS_MAX` of each at most.

    Raises:
        psycopg.Error: Postgres is away; nothing is written.
    """
    async with connection.transaction():
        marked = await execute(connection, Work(MARK_OPENED, EVENTS_OPENED), {"rows_max": ROOMS_MAX}, is_citus=is_citus)
        opened = [RoomOpened(event_id=row[0], on_sale_at=row[1]) for rows in marked for row in await rows.fetchall()]
        await _write(connection, OutboxKind.ROOM_OPENED, opened)
        await connection.execute(UNMARK_SOLD_OUT, prepare=True)
        work = Work(MARK_SOLD_OUT, EVENTS_SOLD_OUT)
        marked = await execute(connection, work, {"rows_max": ROOMS_MAX}, is_citus=is_citus)
        sold_out = [RoomSoldOut(event_id=row[0]) for rows in marked for row in await rows.fetchall()]
        await _write(connection, OutboxKind.ROOM_SOLD_OUT, sold_out)


async def _write(
    connection: psycopg.AsyncConnection[tuple[Any, ...]],
    kind: OutboxKind,
    payloads: list[RoomOpened] | list[RoomSoldOut],
) -> None:
    if payloads:
        await connection.execute(*insert_news(kind, payloads))
