"""Hot reads past SQLAlchemy: a pool of psycopg's own connections, statements prepared once."""

from __future__ import annotations

import uuid
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from db import reading_sql as sql

PURCHASES_MAX: Final = 200
WAIT_SECONDS: Final = 5.0


class Reader:
    """Reads bookings, never writes one.

    Raises (every read):
        psycopg.OperationalError: Postgres is away; psycopg_pool.PoolTimeout: no connection in time.
    """

    def __init__(self, conninfo: str, connections_max: int) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]] = AsyncConnectionPool(
            conninfo,
            min_size=1,
            max_size=connections_max,
            timeout=WAIT_SECONDS,
            kwargs={"autocommit": True, "connect_timeout": 5, "application_name": "admitone-gateway"},
            open=False,
        )

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def purchases(self, user_id: int, purchase_id: uuid.UUID | None = None) -> list[bytes]:
        """The fan's purchases as the contract's JSON, the newest first, or only the one named."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                sql.PURCHASES,
                {"user_id": user_id, "purchase_id": purchase_id, "purchases_max": PURCHASES_MAX},
                prepare=True,
            )
            return [row[0].encode() for row in await rows.fetchall()]
