"""A gateway's look at a Postgres that comes back elsewhere: a real server behind real sockets."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import psycopg
import pytest

from db.connections.schema_head import head
from gateway.health.readiness import PostgresLook
from tests.faults.proxy import Proxy


async def test_a_postgres_that_comes_back_at_another_address_is_found(database_url: str) -> None:
    first, url = Proxy.before(database_url)
    second, _ = Proxy.before(database_url)
    with contextlib.ExitStack() as started:
        started.callback(second.stop)
        address = urlsplit(url)
        hosts = f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{first.port},127.0.0.1:{second.port}"
        look = PostgresLook(address._replace(netloc=hosts).geturl(), head())
        up: list[str] = []
        await look(lambda part, _: up.append(part))
        assert up == ["postgres", "migrations"]
        assert first.connections == 1

        first.stop()
        with pytest.raises((OSError, psycopg.Error)):
            await look(lambda part, _: up.append(part))
        up.clear()
        with contextlib.suppress(OSError, psycopg.Error):
            await look(lambda part, _: up.append(part))
        assert up == ["postgres", "migrations"], "it still knocks at the old address"
        await look.close()
