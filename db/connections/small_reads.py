"""Connections for small reads: those that a process repeats several times a second, and those of single bookings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg

from db.connections import primary
from db.connections.primary import POOL_WAIT_SECONDS
from db.connections.urls import at_host, leads_to_citus


@dataclass(slots=True)
class _Kept:
    """A connection, and how many tasks use it or wait for it."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    tasks: int = 0
    connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None


class SmallReads:
    """Reads by a few connections, which many tasks share, one statement after the other. Each statement is a
    transaction of its own, and finds its rows by keys.

    By SQLAlchemy's pool such a read takes about five times as much of the processor, and three round trips.

    Args:
        name: how Postgres lists the connections (``application_name``).
        connections_max: a further one is opened only while all others are used.
    """

    def __init__(self, database_url: str, name: str, connections_max: int = 1) -> None:
        self._database_url = database_url
        self._name = name
        self._kept = [_Kept() for _ in range(connections_max)]
        self.is_on_citus = leads_to_citus(database_url)

    async def rows(self, statement: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
        """The rows that the statement reads. A lost connection is made anew the next time.

        Raises:
            psycopg.Error, OSError: Postgres does not answer, or no connection came free in time.
        """
        kept = min(self._kept, key=lambda one: one.tasks)
        kept.tasks += 1
        try:
            await _take_turn(kept.turn)
            try:
                if kept.connection is None or kept.connection.closed:
                    kept.connection = await primary.connect_async(
                        self._database_url, self._name, session=primary.PLAN_BY_KEYS
                    )
                found = await kept.connection.execute(statement, parameters, prepare=True)
                return await found.fetchall()
            finally:
                kept.turn.release()
        finally:
            kept.tasks -= 1

    def at_host(self, host: str, port: int) -> SmallReads:
        """Reads of the same kind at another server of the same cluster."""
        return SmallReads(at_host(self._database_url, host, port), self._name, len(self._kept))

    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""
        return sum(one.tasks > 0 for one in self._kept), len(self._kept)

    async def close(self) -> None:
        """Close the connections, each once those have read who wait for it."""
        for kept in self._kept:
            async with kept.turn:
                if kept.connection is not None:
                    await kept.connection.close()
                    kept.connection = None


async def _take_turn(turn: asyncio.Lock) -> None:
    if not turn.locked():
        await turn.acquire()
        return
    try:
        await asyncio.wait_for(turn.acquire(), POOL_WAIT_SECONDS)
    except TimeoutError:
        raise psycopg.OperationalError("no connection came free in time") from None
