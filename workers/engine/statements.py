"""Runs the hot path's statements on a psycopg connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]


def run(connection: Connection, statement: str, **parameters: Any) -> Cursor:
    return connection.cursor(binary=True).execute(statement, parameters, prepare=True)


def run_on(connection: Connection, statement: str, rows: Sequence[dict[str, Any]], **parameters: Any) -> Cursor:
    """Run a statement on the rows of its recordset."""
    text = msgspec.json.encode(rows).decode()
    return run(connection, statement, rows=text, **parameters)


def read_rows(connection: Connection, statement: str, rows: Sequence[dict[str, Any]]) -> Iterable[tuple[Any, ...]]:
    """The rows that a statement reads for the given keys. Without keys it is not run, because each statement is a large
    part of a small batch's time.
    """
    return _Rows(run_on(connection, statement, rows)) if rows else ()


class _Rows:
    """A statement's rows, which its pipeline brings. They are made all at once, and not each by a call of psycopg's."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._cursor.fetchall())
