from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from booking_lane.clients import jobs_client


@pytest.fixture
def jobs(redis_url: str) -> Iterator[redis.Redis]:
    """The jobs' Redis, as RQ has it."""
    client = jobs_client(redis_url)
    yield client
    client.close()
    client.connection_pool.disconnect()
