"""A lock that one process of the site has at a time, for longer than a transaction that does work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, LiteralString

import psycopg

from db.connections import primary

_LOCK: Final[LiteralString] = """
SELECT pg_try_advisory_xact_lock(%(key)s::bigint), set_config('idle_in_transaction_session_timeout', '0', true)
"""


@contextlib.contextmanager
def locked(database_url: str, name: str, key: int) -> Iterator[bool]:
    """Whether this process has the advisory lock, for as long as the ``with`` block lasts, or until Postgres is lost.

    The lock is held by a transaction of its own that does nothing else: through a pooler a session's lock would belong
    to whatever comes next.

    Args:
        name: how Postgres lists the connection that holds it (``application_name``).

    Raises:
        psycopg.OperationalError: Postgres cannot be reached.
    """
    with contextlib.closing(primary.connect(database_url, name, autocommit=False)) as connection:
        row = connection.execute(_LOCK, {"key": key}).fetchone()
        assert row is not None
        yield row[0]
        with contextlib.suppress(psycopg.OperationalError):
            connection.rollback()
