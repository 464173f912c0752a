"""The connection for small reads that a process repeats several times a second for as long as it runs."""

from __future__ import annotations

import asyncio
from typing import Any, LiteralString

import psycopg

from db.connections import primary


class RepeatedReads:
    """Reads by one connection, which many tasks share. Each statement is a transaction of its own.

    By SQLAlchemy's pool such a read takes about five times as much of the processor, and three round trips.

    Args:
        name: how Postgres lists the connection (``application_name``).
    """

    def __init__(self, database_url: str, name: str) -> None:
        self._database_url = database_url
        self._name = name
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._connecting = asyncio.Lock()

    async def rows(self, statement: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
        """The rows that the statement reads. A lost connection is made anew the next time.

        Raises:
            psycopg.Error, OSError: Postgres does not answer.
        """
        found = await (await self._connected()).execute(statement, parameters, prepare=True)
        return await found.fetchall()

    async def _connected(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = await primary.connect_async(self._database_url, self._name)
            return self._connection

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
