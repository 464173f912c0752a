"""These tests run on Postgres itself, or on a Citus cluster where CITUS_URL names its coordinator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from db.audit.invariants import audit
from db.citus.tables import DISTRIBUTED, LOCAL
from tests.citus import distributed_on
from tests.databases import Databases
from tests.integration.engine.books import CITUS_URL, GRACE_SECONDS, Books, connect

_EMPTY = sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, (*LOCAL, *DISTRIBUTED))))


@pytest.fixture(scope="session")
def citus_database_url() -> Iterator[str]:
    with distributed_on(CITUS_URL) as url:
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database."""
    if CITUS_URL:
        url = request.getfixturevalue("citus_database_url")
        with connect(url) as connection:
            connection.execute(_EMPTY)
        yield url
    else:
        databases: Databases = request.getfixturevalue("databases")
        with databases.one() as url:
            yield url


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    """An event to book. After the test every invariant must hold of whatever it did."""
    with connect(database_url) as connection:
        books = Books(database_url, connection, 0)
        books.event = books.event_new()
        yield books
        for engine in books.engines:
            engine.close()
    assert audit(database_url, grace_seconds=GRACE_SECONDS) == []
