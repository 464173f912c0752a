from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis import asyncio as aioredis

from tests.unit.waiting_room.room import Room


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url, socket_timeout=10) as client:
        yield client


@pytest.fixture
async def room(client: aioredis.Redis) -> Room:
    """An open room whose door is quick and wide."""
    room = Room(client)
    await room.open()
    return room
