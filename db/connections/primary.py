"""Connections to the primary: for whatever writes, and for reads that must see what was just written.

These are psycopg's own; SQLAlchemy's are made by `db.connections.engines`, which the workers never load.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool

from db.connections.pooled import PooledAsyncConnection, PooledConnection, for_transactions
from db.connections.urls import NO_POOLER, PREPARING, conninfo_of, pooler_of

CONNECT_SECONDS: Final = 5
POOL_WAIT_SECONDS: Final = 5.0
PREPARE_THRESHOLD: Final = 5
"""psycopg's own."""
NO_SETTINGS: Final[Mapping[str, object]] = MappingProxyType({})
PLAN_BY_KEYS: Final[Mapping[str, object]] = MappingProxyType(
    {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
)
"""For statements that find rows by keys alone: a plan that was made while the tables were empty would scan them."""


def connect(
    database_url: str,
    name: str,
    *,
    autocommit: bool = True,
    connect_seconds: int = CONNECT_SECONDS,
    session: Mapping[str, object] = NO_SETTINGS,
    connection_class: type[psycopg.Connection[tuple[Any, ...]]] = psycopg.Connection,
    pooled_class: type[PooledConnection] = PooledConnection,
) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of its own, which the caller closes.

    Args:
        name: how Postgres lists it (``application_name``).
        session: Postgres' settings for this connection.
        connection_class, pooled_class: others where statements are traced; the second one is for a pooler.

    Raises:
        psycopg.OperationalError: Postgres cannot be reached.
        ValueError: the URL is not one of Postgres.
    """
    pooler = pooler_of(database_url)
    if pooler == NO_POOLER:
        conninfo = conninfo_of(database_url, name=name, connect_seconds=connect_seconds, session=session)
        return connection_class.connect(conninfo, autocommit=autocommit)
    conninfo = conninfo_of(database_url, name=name, connect_seconds=connect_seconds, session=NO_SETTINGS)
    pooled = pooled_class.connect(conninfo, autocommit=autocommit, prepare_threshold=threshold(pooler))
    pooled.settings = for_transactions(session, prepares=pooler == PREPARING)
    return pooled


async def connect_async(
    database_url: str,
    name: str,
    *,
    connect_seconds: int = CONNECT_SECONDS,
    session: Mapping[str, object] = NO_SETTINGS,
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """As `connect`, for a loop. Each statement commits unless a transaction is begun."""
    pooler = pooler_of(database_url)
    if pooler == NO_POOLER:
        conninfo = conninfo_of(database_url, name=name, connect_seconds=connect_seconds, session=session)
        return await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
    conninfo = conninfo_of(database_url, name=name, connect_seconds=connect_seconds, session=NO_SETTINGS)
    pooled = await PooledAsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=threshold(pooler))
    pooled.settings = for_transactions(session, prepares=pooler == PREPARING)
    return pooled


def pool(
    database_url: str,
    name: str,
    connections_max: int,
    *,
    connections_min: int = 1,
    session: Mapping[str, object] = NO_SETTINGS,
) -> AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]]:
    """A pool of psycopg's own connections, not opened yet. A caller that finds all of them taken waits five seconds at
    most.

    Args:
        connections_min: it keeps so many even where nobody needs one.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    pooler = pooler_of(database_url)
    settings = for_transactions(session, prepares=pooler == PREPARING)

    async def configure(connection: psycopg.AsyncConnection[Any]) -> None:
        if isinstance(connection, PooledAsyncConnection):
            connection.settings = settings

    of_session = session if pooler == NO_POOLER else NO_SETTINGS
    return AsyncConnectionPool(
        conninfo_of(database_url, name=name, connect_seconds=CONNECT_SECONDS, session=of_session),
        connection_class=psycopg.AsyncConnection if pooler == NO_POOLER else PooledAsyncConnection,
        configure=configure,
        min_size=connections_min,
        max_size=connections_max,
        timeout=POOL_WAIT_SECONDS,
        kwargs={"autocommit": True, "prepare_threshold": threshold(pooler)},
        open=False,
    )


def threshold(pooler: str) -> int | None:
    """After how many runs psycopg prepares a statement; None where no prepared statement would be found again."""
    return PREPARE_THRESHOLD if pooler in (NO_POOLER, PREPARING) else None
