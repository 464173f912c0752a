"""Databases for tests: copied from a migrated one, then emptied to serve again: a copy costs a third of a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import LiteralString, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from db.migrate import migrate
from db.roles import grant_gateway

GATEWAY_ROLE = "gateway_of_tests"

BYTES_MAX = 1 << 20
"""A database whose tables take more is dropped: what rows leave behind would slow, or mislead, the next test."""

# Row versions tell of changes that keep the object's oid, such as another body of a function.
_SCHEMA = """
SELECT md5(string_agg(part, ' ' ORDER BY part)) FROM (
    SELECT 'class ' || oid AS part FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'constraint ' || oid || ':' || xmin FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'function ' || oid || ':' || xmin FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger ' || t.oid || ':' || t.xmin FROM pg_trigger t
    UNION ALL SELECT 'column ' || attrelid || ':' || attnum || ':' || a.xmin FROM pg_attribute a
        JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'setting ' || setconfig::text FROM pg_db_role_setting s
        JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database()
) AS parts
"""
_BYTES = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
_TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
"""
_RESTART_SEQUENCES = "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"
_END_CONNECTIONS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = %s AND backend_type = 'client backend'
"""


def as_gateway(database_url: str) -> str:
    """The same database for a gateway's role, which cannot write bookings."""
    parts = urlsplit(database_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{GATEWAY_ROLE}:gateway@{host}"))


class Databases:
    """Migrated, empty databases of one server; for one thread."""

    def __init__(self, postgres_url: str) -> None:
        self._server_url = postgres_url
        self._numbers = count(1)
        self._free: list[str] = []
        self._connection = psycopg.connect(postgres_url, autocommit=True)
        self._template = "admitone_template"
        self._execute("CREATE DATABASE {}", self._template)
        migrate(self._url(self._template))
        # Rights are copied with the database.
        self._execute("CREATE ROLE {} LOGIN PASSWORD 'gateway'", GATEWAY_ROLE)
        grant_gateway(self._url(self._template), GATEWAY_ROLE)
        with psycopg.connect(self._url(self._template)) as template:
            self._schema = _value(template, _SCHEMA)
            self._bytes_max = BYTES_MAX + int(str(_value(template, _BYTES)))
            tables = template.execute(_TABLES).fetchall()
        delete = sql.SQL("DELETE FROM {}")
        self._empty = sql.SQL("; ").join(delete.format(sql.Identifier(table)) for (table,) in tables)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def one(self) -> Iterator[str]:
        """The URL of a migrated, empty database that is the caller's own until the end."""
        name = self._free.pop() if self._free else self._copy()
        try:
            yield self._url(name)
        finally:
            self._connection.execute(_END_CONNECTIONS, [name])
            if self._emptied(name):
                self._free.append(name)
            else:
                self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def _copy(self) -> str:
        name = f"test_{next(self._numbers)}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, self._template)
        return name

    def _emptied(self, name: str) -> bool:
        """Whether the database is as good as new."""
        try:
            connection = psycopg.connect(self._url(name))
        except psycopg.OperationalError:  # closed by a test
            return False
        with connection:
            if _value(connection, _SCHEMA) != self._schema or int(str(_value(connection, _BYTES))) > self._bytes_max:
                return False
            # Rows go in any order, whatever refers to them.
            connection.execute("SET session_replication_role = replica")
            connection.execute(self._empty)
            connection.execute(_RESTART_SEQUENCES)
        return True

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))

    def _execute(self, statement: LiteralString, *names: str) -> None:
        self._connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _value(connection: psycopg.Connection, query: LiteralString) -> object:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
