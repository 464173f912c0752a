"""A batch's transaction, which costs no round trip of its own: it begins with the batch's first statements, and commits
with its last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg
from psycopg.pq import TransactionStatus

from booking_lane import tracing
from db.connections.pooled import PooledConnection
from workers.engine.statements import Connection

_BEGIN: Final[LiteralString] = "BEGIN"
_COMMIT: Final[LiteralString] = "COMMIT"
_ROLLBACK: Final[LiteralString] = "ROLLBACK"
_UNDER_WAY: Final = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


@dataclass(slots=True)
class Transaction:
    """A transaction whose begin and end go with other statements.

    Attributes:
        is_ours: False where somebody else has begun it and commits it (`workers.engine.nodes`).
    """

    connection: Connection
    is_ours: bool = True

    def begin(self) -> None:
        """Begin it. The caller is at the begin of a pipeline."""
        if self.is_ours:
            if isinstance(self.connection, PooledConnection):
                self.connection.begin()
            else:
                self.connection.execute(_BEGIN)

    def commit(self) -> None:
        """Commit, if all that was sent before in the same pipeline succeeds: Postgres skips whatever comes after a
        statement that fails. The caller ends the pipeline.
        """
        if self.is_ours:
            self.connection.execute(_COMMIT)


@contextlib.contextmanager
def transaction(connection: Connection) -> Iterator[Transaction]:
    """A transaction that the caller begins and commits. What an exception leaves under way is rolled back."""
    with tracing.tracer.part("postgres transaction"):
        try:
            yield Transaction(connection)
        except BaseException:
            if connection.info.transaction_status in _UNDER_WAY:
                with contextlib.suppress(psycopg.Error):
                    connection.execute(_ROLLBACK)
            raise
