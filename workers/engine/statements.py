"""Runs the hot path's statements on a psycopg connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg

from db.citus.one_event import of_one_event

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]


class CitusCursor(Cursor):
    """Runs the form of each statement that is about one event, which Citus sends to one shard."""

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> CitusCursor:
        if isinstance(query, str) and isinstance(params, dict):
            if event_ids := params.get("event_ids"):
                (event_id,) = event_ids
                params = params | {"event_id": event_id}
            if "event_id" in params:
                query = of_one_event(query)
        return super().execute(query, params, **kwargs)


def run(connection: Connection, statement: str, **parameters: Any) -> Cursor:
    return connection.cursor(binary=True).execute(statement, parameters, prepare=True)


def run_on(connection: Connection, statement: str, rows: Sequence[dict[str, Any]], **parameters: Any) -> Cursor:
    """Run a statement on the rows of its recordset. On Citus all rows are of one event (`Engine.apply`)."""
    text = msgspec.json.encode(rows).decode()
    return run(connection, statement, rows=text, event_id=rows[0]["event_id"], **parameters)


def read_rows(connection: Connection, statement: str, rows: Sequence[dict[str, Any]]) -> Iterable[tuple[Any, ...]]:
    """The rows that a statement reads for the given keys. Without keys it is not run, because each statement is a large
    part of a small batch's time.
    """
    return run_on(connection, statement, rows) if rows else ()
