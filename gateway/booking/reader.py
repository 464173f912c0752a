"""Hot reads past SQLAlchemy: psycopg's own connections, statements prepared once, and reads that share one."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

import msgspec

from db.booking import reading_sql as sql
from db.booking.backlog import READ_BACKLOG, Backlog
from db.connections import primary

PURCHASES_MAX: Final = 200
READS_UNDER_WAY_MAX: Final = 2
GATHERED_MAX: Final = 256
COUNTED_MAX: Final = 100_000

# Every read here goes by keys, and the tables were empty when the plan was made.
_BY_KEYS: Final = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}

_Asked = tuple[int, uuid.UUID, "asyncio.Future[bytes | None]"]


class Reader:
    """Reads bookings, never writes one. Reads of single purchases gather while others are under way.

    Args:
        grace_seconds: how long past its end a hold keeps its seats.

    Raises (every read):
        psycopg.OperationalError: Postgres is away, or (psycopg_pool.PoolTimeout) no connection came free in time.
    """

    def __init__(self, database_url: str, connections_max: int, grace_seconds: int) -> None:
        self._grace_seconds = grace_seconds
        # A fan looks for what was bought a moment ago, so the primary is read.
        self._pool = primary.pool(database_url, "admitone-gateway", connections_max, session=_BY_KEYS)
        self._asked: list[_Asked] = []
        self._reading: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def purchases(self, user_id: int) -> list[bytes]:
        """The fan's purchases as the contract's JSON, the newest first."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                sql.PURCHASES_OF_FAN, {"user_id": user_id, "purchases_max": PURCHASES_MAX}, prepare=True
            )
            return [row[0].encode() for row in await rows.fetchall()]

    async def backlog(self) -> Backlog:
        """What is to be done, as far as `COUNTED_MAX` of each."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                READ_BACKLOG, {"counted_max": COUNTED_MAX, "grace_seconds": self._grace_seconds}, prepare=True
            )
            row = await rows.fetchone()
        assert row is not None
        return Backlog(*row)

    def connections(self) -> tuple[int, int]:
        """How many are at work, and how many may be."""
        stats = self._pool.get_stats()
        return stats["pool_size"] - stats["pool_available"], self._pool.max_size

    async def purchase(self, user_id: int, purchase_id: uuid.UUID) -> bytes | None:
        """One of the fan's purchases as the contract's JSON; None if they have no such one."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes | None] = loop.create_future()
        self._asked.append((user_id, purchase_id, answer))
        loop.call_soon(self._leave)
        return await answer

    def _leave(self) -> None:
        while self._asked and len(self._reading) < READS_UNDER_WAY_MAX:
            asked, self._asked = self._asked[:GATHERED_MAX], self._asked[GATHERED_MAX:]
            self._reading.add(task := asyncio.get_running_loop().create_task(self._read(asked)))
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reading.discard(task)
        self._leave()

    async def _read(self, asked: list[_Asked]) -> None:
        found: dict[int, bytes] = {}
        try:
            rows = [
                {"asked": index, "purchase_id": purchase_id, "user_id": user_id}
                for index, (user_id, purchase_id, _) in enumerate(asked)
            ]
            async with self._pool.connection() as connection:
                cursor = await connection.execute(
                    sql.PURCHASES_NAMED, {"rows": msgspec.json.encode(rows).decode()}, prepare=True
                )
                found = {row[0]: row[1].encode() for row in await cursor.fetchall()}
        except Exception as error:
            for _, _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        for index, (_, _, answer) in enumerate(asked):
            if not answer.done():
                answer.set_result(found.get(index))
