from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """The real Valkey; tokens in these tests are random, so that nothing has to be flushed."""
    async with Redis.from_url(redis_url) as client:
        yield client
