"""Connections for reads that may be a little old: to the replica while it has caught up, and otherwise to the primary.

They are read-only on either server. So a write that strays here fails before there is a replica. A gateway's reads of
this sort go through `db.connections.old_reads`, which keeps connections and measures all the time.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import psycopg

from db.connections import look, primary
from db.connections.lag import PRIMARY_AT, REPLICA_AT

logger = logging.getLogger(__name__)

CAUGHT_UP_SECONDS_MAX: Final = 1.0
ASK_EVERY_SECONDS: Final = 0.02
_READ_ONLY: Final[Mapping[str, object]] = MappingProxyType({"default_transaction_read_only": "on"})


def connect(database_url: str, name: str, *, replica_url: str = "") -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of its own, which the caller closes.

    Args:
        database_url: the primary's.
        name: how Postgres lists it (``application_name``).
        replica_url: the replica's, empty if there is none.

    Raises:
        psycopg.OperationalError: the primary cannot be reached, nor the replica.
        ValueError: a URL is not one of Postgres.
    """
    found = _replica(database_url, name, replica_url) if replica_url else None
    return found or primary.connect(database_url, name, autocommit=False, session=_READ_ONLY)


def _replica(database_url: str, name: str, replica_url: str) -> psycopg.Connection[tuple[Any, ...]] | None:
    """A connection to the replica; None where it does not answer, or has not caught up in time."""
    with contextlib.ExitStack() as opened:
        try:
            standby = opened.enter_context(
                primary.connect(replica_url, name, connect_seconds=look.CONNECT_SECONDS, session=_READ_ONLY)
            )
            with look.connect(database_url, name) as connection:
                behind = seconds_behind(connection, standby, CAUGHT_UP_SECONDS_MAX)
        except psycopg.Error as error:
            logger.warning("the replica cannot be read, the primary is: %s", error)
            return None
        if behind is None:
            logger.warning("the replica has not caught up in %.0f s, the primary is read", CAUGHT_UP_SECONDS_MAX)
            return None
        opened.pop_all()
    standby.autocommit = False
    return standby


def seconds_behind(
    connection: psycopg.Connection[Any], standby: psycopg.Connection[Any], seconds_max: float
) -> float | None:
    """How long it takes until the standby has everything that the primary has now. None if that is longer than
    ``seconds_max``, or if it is no standby.

    Raises:
        psycopg.Error: a server does not answer, or the primary is none.
    """
    wanted = _value(connection.execute(PRIMARY_AT))
    began_at = time.monotonic()
    while True:
        position = _value(standby.execute(REPLICA_AT))
        seconds = time.monotonic() - began_at
        if position is None or seconds > seconds_max:
            return None
        if position >= wanted:
            return seconds
        time.sleep(ASK_EVERY_SECONDS)


def _value(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    assert row is not None
    return row[0]
