"""The gateway's way to Postgres: a pool of asynchronous connections."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db.connections.urls import sqlalchemy_url

_CONNECT_SECONDS = "5"
_POOL_WAIT_SECONDS = 5.0


def create_engine(database_url: str, pool_max: int) -> AsyncEngine:
    """An engine of at most ``pool_max`` connections; who finds them all taken waits five seconds at most.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    url = sqlalchemy_url(database_url)
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": _CONNECT_SECONDS})
    # Without the parameters: what a fan searched for or an operator is called is no business of a log.
    return create_async_engine(
        url, pool_size=pool_max, max_overflow=0, pool_timeout=_POOL_WAIT_SECONDS, hide_parameters=True
    )
