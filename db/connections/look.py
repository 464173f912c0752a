"""Connections that look for a moment whether Postgres is well: to the primary, with short patience.

A look has a connection of its own, because a busy pool is no failing Postgres.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

from db.connections import primary

CONNECT_SECONDS: Final = 3
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
