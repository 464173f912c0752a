"""Redis clients for RQ: bytes in and out, explicit timeouts, a bounded pool that waits."""

from __future__ import annotations

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from booking_lane.gathering import GatheringRedis

SOCKET_SECONDS = 5.0
CONNECT_SECONDS = 2.0
PROMPT_SECONDS = 1.0
NO_MAINTENANCE = MaintNotificationsConfig(enabled=False)
"""Maintenance notifications must be off: with them redis-py 8 gives out pooled connections that the server has closed,
so that calls fail long after a restart of the server.
"""


def jobs_client(url: str, *, connections_max: int = 8) -> redis.Redis:
    """A synchronous client as RQ needs it (``decode_responses`` would silently break RQ)."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections_max,
        timeout=SOCKET_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        health_check_interval=30,
        maint_notifications_config=NO_MAINTENANCE,
    )
    return redis.Redis(connection_pool=pool)


def prompt_client(url: str) -> redis.Redis:
    """A client with one connection that fails at once if Redis does not answer, for work that is repeated a moment
    later anyway. The other clients wait for seconds between their own tries.
    """
    return redis.Redis.from_url(
        url,
        max_connections=1,
        socket_timeout=PROMPT_SECONDS,
        socket_connect_timeout=PROMPT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=NO_MAINTENANCE,
    )


def async_client(url: str, *, connections_max: int = 32) -> GatheringRedis:
    """An asynchronous client for the gateway's own calls, which it gathers into few round trips."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=connections_max,
        timeout=SOCKET_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        health_check_interval=30,
        maint_notifications_config=NO_MAINTENANCE,
    )
    return GatheringRedis(connection_pool=pool)
