"""The names of Redis' pub/sub channels. Redis keeps the keys of its databases apart, but not its channels. So
a channel's name says which database, and with it which site, the messages are of.
"""

from __future__ import annotations

from typing import Any


def channel_of(name: str, database: int) -> str:
    """The channel called ``name`` of the site in that database of its Redis.

    In database 0 the channel has the name alone, as all channels had up to release 0.1.0, so that gateways and workers
    of two releases understand each other during an upgrade.
    """
    return f"db{database}:{name}" if database else name


def database_of(client: Any) -> int:
    """The number of the database that a client of redis-py uses."""
    return client.connection_pool.connection_kwargs.get("db") or 0
