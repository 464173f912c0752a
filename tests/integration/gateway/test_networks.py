"""Addresses before a gateway: what the doctor makes of fans who all come from one network, and both families of IP."""

from __future__ import annotations

import urllib.request
from typing import Literal

import pytest
import redis
from redis import asyncio as aioredis

from admitone.doctor.finding import Level
from admitone.doctor.networks import FANS_MIN, examine
from admitone.doctor.site import Site
from admitone.settings import Settings
from bench.servers import free_port
from booking_lane.settings import RedisSettings
from db.settings import SiteSettings
from tests.services import Services, await_ready
from waiting_room.limits import allow

PER_MINUTE = 10_000
Env = Literal["development", "production"]


async def came_from(redis_url: str, *networks: str, env: Env = "development") -> list[tuple[str, Level]]:
    """What the doctor says after `FANS_MIN` sessions from each of these networks."""
    async with aioredis.Redis.from_url(redis_url) as client:
        for network in networks:
            for _ in range(FANS_MIN):
                assert (await allow(client, "session", network, PER_MINUTE)).allowed
    with redis.Redis.from_url(redis_url) as line:
        site = Site(Settings(redis=RedisSettings(url=redis_url), site=SiteSettings(env=env)), line=line)
        return [(finding.code, finding.level) for finding in examine(site)]


@pytest.mark.parametrize("network", ["172.28.0.0/24", "10.0.0.0/24", "192.168.1.0/24", "fd00::/56"])
async def test_fans_who_all_come_from_a_bridge_or_a_proxy_are_noticed(redis_url: str, network: str) -> None:
    assert await came_from(redis_url, network) == [("one_network", Level.WARNING)]


async def test_fans_who_all_come_from_one_public_network_may_stand_behind_a_cdn(redis_url: str) -> None:
    assert await came_from(redis_url, "93.184.216.0/24") == [("one_network", Level.WARNING)]


async def test_a_few_requests_of_the_monitoring_do_not_hide_that(redis_url: str) -> None:
    async with aioredis.Redis.from_url(redis_url) as client:
        assert (await allow(client, "session", "198.51.99.0/24", PER_MINUTE)).allowed
    assert await came_from(redis_url, "172.28.0.0/24") == [("one_network", Level.WARNING)]


@pytest.mark.parametrize(
    ("env", "found"),
    [("development", ("networks", Level.OK)), ("production", ("one_network", Level.ERROR))],
)
async def test_loopback_is_a_developers_or_a_proxy_beside_the_gateway(
    redis_url: str, env: Env, found: tuple[str, Level]
) -> None:
    assert await came_from(redis_url, "127.0.0.0/24", env=env) == [found]


@pytest.mark.parametrize("networks", [("8.8.8.0/24", "93.184.216.0/24"), ("172.28.0.0/24", "93.184.216.0/24")])
async def test_fans_of_their_own_networks_are_well(redis_url: str, networks: tuple[str, ...]) -> None:
    assert await came_from(redis_url, *networks) == [("networks", Level.OK)]


def test_one_process_that_listens_everywhere_takes_both_families(services: Services, database_url: str) -> None:
    port = free_port()
    await_ready(services.start("gateway", "--host", "::", "--port", str(port), url=f"http://127.0.0.1:{port}"))
    for host in ("127.0.0.1", "[::1]"):
        with urllib.request.urlopen(f"http://{host}:{port}/health/live", timeout=5) as answer:
            assert answer.status == 200
