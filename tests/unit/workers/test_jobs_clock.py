from __future__ import annotations

import time

import pytest
import redis

from booking_lane.clients import jobs_client
from tests.services import free_port
from workers import booking
from workers.booking import jobs_clock


def redis_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def test_the_clock_is_redis_own(redis_url: str) -> None:
    client = jobs_client(redis_url)
    now_ms = jobs_clock(client)
    before = redis_ms(client)
    assert before - 5 <= now_ms() <= redis_ms(client) + 5
    client.connection_pool.disconnect()


def test_the_clock_goes_on_while_redis_is_away(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking, "CLOCK_SECONDS", 0)
    client = jobs_client(redis_url)
    now_ms = jobs_clock(client)
    client.connection_pool.disconnect()
    client.connection_pool = jobs_client(f"redis://127.0.0.1:{free_port()}").connection_pool
    first = now_ms()
    time.sleep(0.02)
    assert 15 <= now_ms() - first <= 500


def test_a_worker_does_not_begin_without_redis() -> None:
    with pytest.raises(redis.RedisError):
        jobs_clock(jobs_client(f"redis://127.0.0.1:{free_port()}"))
