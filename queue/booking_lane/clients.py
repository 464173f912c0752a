"""The makers of Redis clients: bytes in and out, explicit timeouts, bounded pools that wait.

A URL names a server, the sentinels that know the master (`booking_lane.sentinels`), or servers of a cluster
(`booking_lane.clusters`). Whoever needs a client asks here, so that each works everywhere.
"""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from booking_lane.cluster_client import ClusterRedis
from booking_lane.clusters import cluster_address
from booking_lane.gathering import GatheringRedis
from booking_lane.gathering_cluster import GatheringCluster
from booking_lane.sentinels import (
    AsyncBlockingSentinelPool,
    AsyncSentinelPool,
    BlockingSentinelPool,
    SentinelPool,
    sentinel_address,
)

SOCKET_SECONDS = 5.0
CONNECT_SECONDS = 2.0
PROMPT_SECONDS = 1.0
NO_MAINTENANCE = MaintNotificationsConfig(enabled=False)
"""Maintenance notifications must be off: with them redis-py 8 gives out pooled connections that the server has closed,
so that calls fail long after a restart of the server.
"""


def plain_client(url: str, **options: Any) -> redis.Redis:
    """A synchronous client with redis-py's own pool.

    Args:
        options: redis-py's, as for `redis.Redis.from_url`.

    Raises:
        ValueError: the URL is malformed.
    """
    if cluster := cluster_address(url):
        return ClusterRedis(cluster, **options)
    address = sentinel_address(url)
    if address is None:
        return redis.Redis.from_url(url, **options)
    return redis.Redis.from_pool(SentinelPool(address, **options))


def plain_async_client(url: str, **options: Any) -> redis.asyncio.Redis:
    """As `plain_client`, for asyncio."""
    if cluster := cluster_address(url):
        return GatheringCluster(cluster, options)
    address = sentinel_address(url)
    if address is None:
        return redis.asyncio.Redis.from_url(url, **options)
    return redis.asyncio.Redis.from_pool(AsyncSentinelPool(address, **options))


def jobs_client(url: str, *, connections_max: int = 8) -> redis.Redis:
    """A synchronous client as RQ needs it (``decode_responses`` would silently break RQ), or for the slots."""
    if cluster := cluster_address(url):
        return ClusterRedis(
            cluster,
            max_connections=connections_max,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            maint_notifications_config=NO_MAINTENANCE,
        )
    address, options = sentinel_address(url), _options(connections_max)
    if address is None:
        return redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(url, **options))
    return redis.Redis(connection_pool=BlockingSentinelPool(address, **options))


def prompt_client(url: str) -> redis.Redis:
    """A client with one connection that fails at once if Redis does not answer, for work that is repeated a moment
    later anyway. The other clients wait for seconds between their own tries.
    """
    return plain_client(
        url,
        max_connections=1,
        socket_timeout=PROMPT_SECONDS,
        socket_connect_timeout=PROMPT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=NO_MAINTENANCE,
    )


def async_client(url: str, *, connections_max: int = 32) -> GatheringRedis:
    """An asynchronous client for the gateway's own calls, which it gathers into few round trips."""
    if cluster := cluster_address(url):
        return GatheringCluster(cluster, _options(connections_max))
    address, options = sentinel_address(url), _options(connections_max)
    if address is None:
        return GatheringRedis(connection_pool=redis.asyncio.BlockingConnectionPool.from_url(url, **options))
    return GatheringRedis(connection_pool=AsyncBlockingSentinelPool(address, **options))


def _options(connections_max: int) -> dict[str, Any]:
    return {
        "max_connections": connections_max,
        "timeout": SOCKET_SECONDS,
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "health_check_interval": 30,
        "maint_notifications_config": NO_MAINTENANCE,
    }
