"""These tests run on Postgres itself, or on a Citus cluster where CITUS_URL names its coordinator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from db.audit.invariants import audit
from tests.integration import on_citus
from tests.integration.engine.books import GRACE_SECONDS, Books, connect

database_url = on_citus.database_url


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
