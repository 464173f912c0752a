"""SQLAlchemy's connections to the primary: the gateway's pool, a command's one transaction, and Alembic's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import sqlalchemy
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, Engine, NullPool
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.connections.primary import CONNECT_SECONDS, POOL_WAIT_SECONDS, threshold
from db.connections.urls import pooler_of, psycopg_conninfo


def create_engine(
    database_url: str,
    pool_max: int,
    name: str = "admitone-gateway",
    *,
    connect_seconds: int = CONNECT_SECONDS,
    wait_seconds: float = POOL_WAIT_SECONDS,
) -> AsyncEngine:
    """A pool of at most ``pool_max`` connections.

    Args:
        name: how Postgres lists the connections (``application_name``).
        wait_seconds: how long a caller waits at most that finds all connections taken.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    url = sqlalchemy_url(database_url)
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(connect_seconds)})
    # A log shows no parameters, for they say what a fan searched for or what an operator is called.
    return create_async_engine(
        url,
        pool_size=pool_max,
        max_overflow=0,
        pool_timeout=wait_seconds,
        hide_parameters=True,
        connect_args={"application_name": name, "prepare_threshold": threshold(pooler_of(database_url))},
    )


@contextlib.asynccontextmanager
async def transaction(database_url: str, name: str) -> AsyncIterator[AsyncConnection]:
    """One transaction on a connection of its own, as a command needs it that runs and ends."""
    engine = create_engine(database_url, 1, name)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def migration_engine(database_url: str) -> Engine:
    """What Alembic runs on: each connection is made when it is needed and closed after use.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    return sqlalchemy.create_engine(
        sqlalchemy_url(database_url),
        poolclass=NullPool,
        connect_args={"application_name": "admitone-migrate", "prepare_threshold": threshold(pooler_of(database_url))},
    )


def sqlalchemy_url(database_url: str) -> URL:
    """The URL of SQLAlchemy's psycopg dialect; a Unix socket's folder may stand in ``?host=/folder``.

    libpq itself parses the URL, so that both readers reach the same server.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    parts = {key: str(value) for key, value in conninfo_to_dict(psycopg_conninfo(database_url)).items()}
    username, password, database = (parts.pop(key, None) for key in ("user", "password", "dbname"))
    return URL.create("postgresql+psycopg", username, password, database=database, query=_hosts(parts))


def _hosts(parts: dict[str, str]) -> dict[str, str | tuple[str, ...]]:
    """Several hosts, as a failover pair has them, become SQLAlchemy's list of host:port."""
    if "," not in parts.get("host", ""):
        return dict(parts)
    hosts = parts.pop("host").split(",")
    ports = parts.pop("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return {**parts, "host": tuple(f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))}
