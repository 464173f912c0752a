"""One DATABASE_URL reaches the same server through psycopg and through SQLAlchemy, in every form."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import NullPool, create_engine, text

from db.connections.engines import create_engine as create_async_engine
from db.connections.engines import sqlalchemy_url
from db.connections.urls import NO_POOLER, pooler_of, psycopg_conninfo, with_pooler

FORMS: dict[str, dict[str, str]] = {
    "postgresql://u:p%40x@h:5433/d": {
        "user": "u",
        "password": "p@x",
        "host": "h",
        "port": "5433",
        "dbname": "d",
    },
    "postgres://u@h/d?sslmode=require": {"user": "u", "host": "h", "dbname": "d", "sslmode": "require"},
    "postgresql+psycopg://h/d": {"host": "h", "dbname": "d"},
    "postgresql://u:p@/d?host=/run/pg": {"user": "u", "password": "p", "host": "/run/pg", "dbname": "d"},
    "postgresql://%2Frun%2Fpg/d": {"host": "/run/pg", "dbname": "d"},
    "postgresql://[::1]:5/d": {"host": "::1", "port": "5", "dbname": "d"},
    "postgresql://a:1,b:2/d": {"host": "a,b", "port": "1,2", "dbname": "d"},
    "postgresql://a,b/d": {"host": "a,b", "port": ",", "dbname": "d"},
}


@pytest.mark.parametrize("url", FORMS)
def test_both_readers_get_the_same_parameters(url: str) -> None:
    assert conninfo_to_dict(psycopg_conninfo(url)) == FORMS[url]
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    parameters = engine.dialect.create_connect_args(engine.url)[1]
    assert {key: value for key, value in parameters.items() if key != "context"} == FORMS[url]


@pytest.mark.parametrize("url", FORMS)
def test_a_url_says_whether_it_leads_to_a_pooler_and_libpq_never_sees_it(url: str) -> None:
    assert pooler_of(url) == NO_POOLER
    pooled = with_pooler(url, "transaction")
    assert pooler_of(pooled) == "transaction"
    assert conninfo_to_dict(psycopg_conninfo(pooled)) == FORMS[url]
    assert pooler_of(with_pooler(pooled, "transaction_prepared")) == "transaction_prepared"
    assert with_pooler(pooled, NO_POOLER) == url


@pytest.mark.parametrize("url", ["", "mysql://u:hush@h/d", "/run/pg", "postgresql://u:hush@[h/d"])
def test_another_url_is_refused_without_telling_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="the database URL") as refused:
        sqlalchemy_url(url)
    assert "hush" not in str(refused.value)


async def test_both_readers_reach_the_database(database_url: str) -> None:
    with psycopg.connect(psycopg_conninfo(database_url)) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    engine = create_async_engine(database_url, pool_max=1)
    async with engine.connect() as async_connection:
        assert await async_connection.scalar(text("SELECT current_database()")) == name
    await engine.dispose()
