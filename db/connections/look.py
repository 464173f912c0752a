"""Connections that look for a moment whether Postgres is well: to the primary, with short patience.

A look has a connection of its own, because a busy pool is no failing Postgres.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any, Final, LiteralString

import psycopg

from db.connections import primary

CONNECT_SECONDS: Final = 3
SILENT_SECONDS_MAX: Final = 1.0
ANSWER_SECONDS: Final = 5
_SESSION: Final = {"statement_timeout": ANSWER_SECONDS * 1000}


def connect(database_url: str, name: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection on which each statement commits, and fails after `ANSWER_SECONDS`. The caller closes it.

    Args:
        name: how Postgres lists it (``application_name``).

    Raises:
        psycopg.OperationalError: Postgres cannot be reached.
        ValueError: the URL is not one of Postgres.
    """
    return primary.connect(database_url, name, connect_seconds=CONNECT_SECONDS, session=_SESSION)


async def connect_async(database_url: str, name: str) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """As `connect`, for a loop."""
    return await primary.connect_async(database_url, name, connect_seconds=CONNECT_SECONDS, session=_SESSION)


class KeptLook:
    """Looks again and again by one connection, which is made anew after a look that failed.

    Args:
        name: how Postgres lists the connection (``application_name``).
    """

    def __init__(self, database_url: str, name: str) -> None:
        self._database_url = database_url
        self._name = name
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def row(self, statement: LiteralString) -> tuple[Any, ...]:
        """The one row that the statement gives, within twice `SILENT_SECONDS_MAX`.

        Raises:
            psycopg.Error, OSError: the server does not answer, or refuses the statement.
        """
        connection = self._connection
        if connection is None or connection.closed:
            async with asyncio.timeout(SILENT_SECONDS_MAX):
                connection = self._connection = await connect_async(self._database_url, self._name)
        # A timeout must not cancel the statement, for psycopg would first ask the silent server to cancel it.
        timer = asyncio.get_running_loop().call_later(SILENT_SECONDS_MAX, hang_up, connection.fileno())
        try:
            row = await (await connection.execute(statement)).fetchone()
        except BaseException:
            self._connection = None
            await connection.close()
            raise
        finally:
            timer.cancel()
        assert row is not None
        return row

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def hang_up(fileno: int) -> None:
    """Shut the connection of a silent server, so that whatever waits for its answer fails at once."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fileno)) as same:
        same.shutdown(socket.SHUT_RDWR)
