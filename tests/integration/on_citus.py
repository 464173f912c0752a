"""The database of tests that run on Postgres itself, or on a Citus cluster where CITUS_URL names its coordinator.

A module of tests takes part by ``database_url = on_citus.database_url``, and says so to what it calls by `with_citus`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import psycopg
import pytest
from psycopg import sql

from db.connections import urls
from db.tables.metadata import METADATA
from tests.databases import Databases

CITUS_URL: Final = os.environ.get("CITUS_URL", "")
ENVIRON: Final = {"ADMITONE_DB_CITUS": "true"} if CITUS_URL else {}
"""What a process of the product must be told."""
_EMPTY: Final = sql.SQL("TRUNCATE {}").format(
    sql.SQL(", ").join(sql.Identifier(table.name) for table in METADATA.sorted_tables)
)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database."""
    if CITUS_URL:
        url = request.getfixturevalue("citus_database_url")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_EMPTY)
        yield url
    else:
        databases: Databases = request.getfixturevalue("databases")
        with databases.one() as url:
            yield url


def with_citus(database_url: str) -> str:
    """The URL as the settings would give it to the product."""
    return urls.with_citus(database_url, is_citus=bool(CITUS_URL))
