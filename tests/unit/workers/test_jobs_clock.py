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
    begun = time.monotonic()
    now_ms = jobs_clock(client)
    # Its clock was read at some moment of that.
    uncertain_ms = (time.monotonic() - begun) * 1000 + 2
    before = redis_ms(client)
    assert before - uncertain_ms <= now_ms() <= redis_ms(client) + uncertain_ms
    client.connection_pool.disconnect()


def test_the_clock_goes_on_while_redis_is_away(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking, "CLOCK_SECONDS", 0)
    client = jobs_client(redis_url)
    now_ms = jobs_clock(client)
    client.connection_pool.disconnect()
    client.connection_pool = jobs_client(f"redis://127.0.0.1:{free_port()}").connection_pool
    begun = time.monotonic()
    first = now_ms()
    time.sleep(0.02)
    later = now_ms()
    assert 19 <= later - first <= (time.monotonic() - begun) * 1000 + 1


def test_a_worker_does_not_begin_without_redis() -> None:
    with pytest.raises(redis.RedisError):
        jobs_clock(jobs_client(f"redis://127.0.0.1:{free_port()}"))
