"""The draw of a lobby. Any gateway may do it, and another one goes on where it stopped.

A tick of the door says that a draw is due. Redis lists the lobby's fans and closes the list. Postgres draws their order
by the secret seed, in one transaction that is never repeated. Then the fans move to their places in line, in chunks
that keep Redis busy for only a few milliseconds. The door stays shut until all fans have their places.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.draws.draws import DrawRow, drawn_fans, record_draw
from waiting_room.errors import RoomUnknown
from waiting_room.line import Line
from waiting_room.operations import chunks

logger = logging.getLogger(__name__)

LISTED_AT_ONCE: Final = 250
PLACED_AT_ONCE: Final = 50
"""How many fans one script moves: each takes Redis about 13 µs with 100,000 fans in the lobby."""
READ_AT_ONCE: Final = 5_000
AWAY_SECONDS: Final = 1.0
YIELD_SECONDS: Final = 0.2
"""A gateway that sees another one move the fans waits this long, and goes on if the other one has stopped."""


class Draws:
    """The draws that this process is doing, in one task for each event."""

    def __init__(self, engine: AsyncEngine, line: Line) -> None:
        self._engine = engine
        self._line = line
        self._under_way: dict[int, asyncio.Task[None]] = {}

    def begin(self, event_id: int) -> None:
        """Begin the event's draw, unless this process is doing it already."""
        if event_id not in self._under_way:
            task = asyncio.get_running_loop().create_task(self._draw(event_id))
            self._under_way[event_id] = task
            task.add_done_callback(lambda _: self._under_way.pop(event_id))

    async def _draw(self, event_id: int) -> None:
        try:
            fans = await self._listed(event_id)
            if fans is None:
                return
            async with self._engine.begin() as connection:
                drawn = await record_draw(connection, event_id, b",".join(fans).decode())
            if drawn is None:
                # Another gateway is drawing, or Postgres' clock is behind the clock of Redis.
                await asyncio.sleep(YIELD_SECONDS)
            elif await self._placed(event_id, drawn):
                logger.info("event %d: %d fans of the lobby have drawn their places", event_id, drawn.participants)
        except RoomUnknown:
            logger.warning("event %d: Redis lost the room during the draw", event_id)
        except (RedisError, SQLAlchemyError, OSError) as error:
            logger.warning("event %d: the draw is interrupted: %s", event_id, error)
            await asyncio.sleep(AWAY_SECONDS)

    async def _listed(self, event_id: int) -> list[bytes] | None:
        """All fans in the lobby, which is closed from then on; None if no draw is due."""
        fans: list[bytes] = []
        after = 0
        while (page := await self._line.lobby_page(event_id, after, LISTED_AT_ONCE)) is not None:
            fans += page.fans
            if page.last:
                return fans
            after = page.after
        return None

    async def _placed(self, event_id: int, drawn: DrawRow) -> bool:
        """Move every drawn fan to the fan's place; return whether the draw came to its end."""
        assert drawn.participants is not None
        assert drawn.epoch is not None
        next_number = 1
        while True:
            async with self._engine.connect() as connection:
                fans = await drawn_fans(connection, event_id, next_number, READ_AT_ONCE)
            for chunk in list(chunks(fans, PLACED_AT_ONCE)) or [[]]:
                first, after = next_number, next_number + len(chunk)
                progress = await self._line.place_drawn(
                    event_id, drawn.epoch, first, chunk, last=after > drawn.participants
                )
                if progress is None or progress.done:
                    return progress is not None
                next_number = progress.next_number
                if next_number != after:
                    await asyncio.sleep(YIELD_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - spreads gateways
                    break
