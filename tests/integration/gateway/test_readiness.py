"""A gateway's look at a Postgres that comes back elsewhere: a real server behind real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

import psycopg
import pytest

from booking_lane.clients import async_client, plain_async_client
from db.connections.schema_head import head
from gateway.health import knocks as knocks_module
from gateway.health.knocks import KNOCKED_SECONDS, Knocks
from gateway.health.readiness import PostgresLook
from tests.faults.proxy import Proxy


async def test_a_postgres_that_comes_back_at_another_address_is_found(database_url: str, redis_url: str) -> None:
    first, url = Proxy.before(database_url)
    second, _ = Proxy.before(database_url)
    async with contextlib.AsyncExitStack() as started:
        started.callback(second.stop)
        client = await started.enter_async_context(plain_async_client(redis_url))
        address = urlsplit(url)
        hosts = f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{first.port},127.0.0.1:{second.port}"
        look = PostgresLook(address._replace(netloc=hosts).geturl(), head(), Knocks(client))
        up: list[str] = []
        await look(lambda part, _: up.append(part))
        assert up == ["postgres", "migrations"]
        assert first.connections == 1

        first.stop()
        # The last knock there counts for a moment.
        await asyncio.sleep(KNOCKED_SECONDS)
        with pytest.raises((OSError, psycopg.Error)):
            await look(lambda part, _: up.append(part))
        up.clear()
        with contextlib.suppress(OSError, psycopg.Error):
            await look(lambda part, _: up.append(part))
        assert up == ["postgres", "migrations"], "it still knocks at the old address"
        await look.close()


async def test_one_knock_counts_for_all_gateways_and_one_of_them_repeats_it(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine, too, the test is quicker than these.
    monkeypatch.setattr(knocks_module, "REDIS_SECONDS_MAX", 30.0)
    monkeypatch.setattr(knocks_module, "TURN_SECONDS", 600.0)
    monkeypatch.setattr(knocks_module, "KNOCKED_SECONDS", 600.0)
    monkeypatch.setattr(knocks_module, "AGAIN_SECONDS", 300.0)
    async with (
        async_client(redis_url) as client,
        await psycopg.AsyncConnection.connect(database_url) as connection,
    ):
        knocks = [Knocks(client) for _ in range(20)]
        assert await knocks[0].knocked(connection) == 0
        await asyncio.sleep(0.002)
        assert all(await asyncio.gather(*(one.knocked(connection) for one in knocks))), "they say how long ago it was"
        assert [one.made for one in knocks] == [1] + [0] * 19

        monkeypatch.setattr(knocks_module, "AGAIN_SECONDS", 0.0)
        await asyncio.gather(*(one.knocked(connection) for one in knocks))
        assert sum(one.made for one in knocks) == 2, "it is time again, and one of them has the turn"

        # What was to repeat it has told of no answer.
        await client.flushall()
        await asyncio.gather(*(one.knocked(connection) for one in knocks))
        assert sum(one.made for one in knocks) == 22


async def test_without_redis_each_gateway_knocks(database_url: str) -> None:
    async with (
        plain_async_client("redis://127.0.0.1:9/0") as client,
        await psycopg.AsyncConnection.connect(database_url) as connection,
    ):
        knocks = Knocks(client)
        assert [await knocks.knocked(connection) for _ in range(3)] == [0, 0, 0]
        assert knocks.made == 3
