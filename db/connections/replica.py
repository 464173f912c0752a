"""Connections for reads that may be a little old: to a replica, or to the primary where no replica is configured.

They are read-only on either server. So a write that strays here fails before there is a replica.
"""

from __future__ import annotations

from typing import Any

import psycopg

from db.connections import primary


def connect(database_url: str, name: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of its own, which the caller closes.

    Args:
        database_url: the replica's (`db.settings.DatabaseSettings.replica_url`).
        name: how Postgres lists it (``application_name``).

    Raises:
        psycopg.OperationalError: Postgres cannot be reached.
        ValueError: the URL is not one of Postgres.
    """
    return primary.connect(database_url, name, autocommit=False, session={"default_transaction_read_only": "on"})
