"""A restarted Valkey: no call meets a connection that the old one had closed."""

from __future__ import annotations

import asyncio

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


def test_a_connection_that_closes_as_it_is_used_is_a_part_away(valkey: Valkey, valkey_url: str) -> None:
    """On the gateway's own event loop, which calls it a RuntimeError: no fan may be told of an internal error."""

    async def ask() -> None:
        async with async_client(valkey_url) as client:
            await client.ping()
            connection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
            await client.connection_pool.release(connection)
            asking = asyncio.ensure_future(client.ping())
            await asyncio.sleep(0)
            # Now the command is about to leave. Between this and then, nothing looks at the connection.
            asyncio.get_running_loop().call_soon(connection._writer.transport.abort)
            with pytest.raises(redis.ConnectionError):
                await asking
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
