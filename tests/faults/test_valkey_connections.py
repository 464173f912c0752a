"""A restarted Valkey: no call meets a connection that the old one had closed."""

from __future__ import annotations

import asyncio

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
