"""A restarted Valkey: no call meets a connection that the old one had closed."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import redis
import uvloop

from booking_lane.clients import async_client, jobs_client
from tests.faults.conftest import Valkey

CONNECTIONS = 5


async def test_pooled_connections_are_made_anew(valkey: Valkey, valkey_url: str) -> None:
    async with async_client(valkey_url) as client:

        async def ask(number: int) -> None:
            # A transaction keeps its connection: so many at a time take as many.
            async with client.pipeline(transaction=True) as pipe:
                await pipe.watch(f"key-{number}")
                await asyncio.sleep(0.05)
                assert await pipe.ping()

        await asyncio.gather(*map(ask, range(CONNECTIONS)))
        valkey.kill()
        await asyncio.sleep(0.1)  # the loop hears of the closed connections
        await asyncio.gather(*map(ask, range(CONNECTIONS)))
        await client.connection_pool.disconnect()


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_closes_as_it_is_used_is_a_part_away(valkey: Valkey, valkey_url: str, turns: int) -> None:
    """On the gateway's own event loop, which has errors of its own for it: no fan may be told of an internal error."""

    async def ask() -> None:
        client = async_client(valkey_url)
        await client.ping()
        assert client._pipelined is not None
        asking = asyncio.ensure_future(client.echo("asked"))
        for _ in range(turns):
            await asyncio.sleep(0)
        client._pipelined.close()
        with contextlib.suppress(redis.ConnectionError):
            assert await asking == b"asked", "nothing had left, and it left by a new connection"
        assert await client.echo("again") == b"again"
        await client.aclose()
        await client.connection_pool.disconnect()

    uvloop.run(ask())


def test_pooled_connections_of_the_workers_are_made_anew(valkey: Valkey, valkey_url: str) -> None:
    with jobs_client(valkey_url) as client:

        def ask() -> None:
            pipes = [client.pipeline() for _ in range(CONNECTIONS)]
            for pipe in pipes:
                pipe.watch("key")
            for pipe in pipes:
                pipe.reset()

        ask()
        valkey.kill()
        ask()
        client.connection_pool.disconnect()
