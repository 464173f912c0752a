"""Connections through a pooler that gives each transaction any of its own connections to Postgres.

Nothing that lasts longer than a transaction can be relied on there: no setting of the session, no prepared statement
(unless the pooler keeps those), no lock and no temporary table of a session. So what a connection to Postgres says when
it is made, one through a pooler says at the begin of each transaction, in the same round trip.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final, LiteralString

import psycopg
from psycopg.pq import TransactionStatus

SET_FOR_TRANSACTION: Final[LiteralString] = """
SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS s (name, value)
"""
_IN_A_TRANSACTION: Final = {"default_transaction_read_only": "transaction_read_only"}
"""What a setting is called that the transaction which has just begun is to heed."""


def for_transactions(session: Mapping[str, object], *, prepares: bool) -> tuple[list[str], list[str]]:
    """The parameters of `SET_FOR_TRANSACTION` for the settings of a session.

    Args:
        prepares: whether statements are prepared.
    """
    values = {_IN_A_TRANSACTION.get(name, name): str(value) for name, value in session.items()}
    if prepares and "plan_cache_mode" in values:
        # Who keeps a plan for a second and then discards it cannot reach the pooler's other connections.
        values["plan_cache_mode"] = "force_custom_plan"
    return list(values), list(values.values())


class PooledConnection(psycopg.Connection[tuple[Any, ...]]):
    """``settings`` are the parameters of `SET_FOR_TRANSACTION`, for every transaction."""

    settings: tuple[list[str], list[str]] = ([], [])

    @contextlib.contextmanager
    def transaction(self, *args: Any, **kwargs: Any) -> Iterator[psycopg.Transaction]:
        with contextlib.ExitStack() as opened:
            if self._is_idle and self.settings[0]:
                with psycopg.Connection.pipeline(self):
                    transaction = opened.enter_context(super().transaction(*args, **kwargs))
                    psycopg.Connection.execute(self, SET_FOR_TRANSACTION, self.settings)
            else:
                transaction = opened.enter_context(super().transaction(*args, **kwargs))
            yield transaction

    def begin(self) -> None:
        """Begin a transaction in a pipeline of the caller's, without a round trip."""
        psycopg.Connection.execute(self, "BEGIN")
        if self.settings[0]:
            psycopg.Connection.execute(self, SET_FOR_TRANSACTION, self.settings)

    def execute(self, *args: Any, **kwargs: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        if not (self._is_idle and self.settings[0]):
            return super().execute(*args, **kwargs)
        # What is sent in one pipeline is one transaction.
        with psycopg.Connection.pipeline(self):
            super().execute(SET_FOR_TRANSACTION, self.settings)
            return super().execute(*args, **kwargs)

    @property
    def _is_idle(self) -> bool:
        return self.info.transaction_status == TransactionStatus.IDLE


class PooledAsyncConnection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """As `PooledConnection`, for a loop."""

    settings: tuple[list[str], list[str]] = ([], [])

    @contextlib.asynccontextmanager
    async def transaction(self, *args: Any, **kwargs: Any) -> AsyncIterator[psycopg.AsyncTransaction]:
        async with contextlib.AsyncExitStack() as opened:
            if self._is_idle and self.settings[0]:
                async with self.pipeline():
                    transaction = await opened.enter_async_context(super().transaction(*args, **kwargs))
                    await super().execute(SET_FOR_TRANSACTION, self.settings)
            else:
                transaction = await opened.enter_async_context(super().transaction(*args, **kwargs))
            yield transaction

    async def execute(self, *args: Any, **kwargs: Any) -> psycopg.AsyncCursor[tuple[Any, ...]]:
        if not (self._is_idle and self.settings[0]):
            return await super().execute(*args, **kwargs)
        async with self.pipeline():
            await super().execute(SET_FOR_TRANSACTION, self.settings)
            return await super().execute(*args, **kwargs)

    @property
    def _is_idle(self) -> bool:
        return self.info.transaction_status == TransactionStatus.IDLE
