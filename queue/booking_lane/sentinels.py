"""The form of a Redis URL that names sentinels, and the pools whose connections follow the master that they name.

``redis+sentinel://[user:password@]host[:port],host[:port]…/service[/database]`` names the sentinels and the service
that they watch; ``rediss+sentinel://`` speaks TLS with the servers and with the sentinels. User and password are those
of the servers. The sentinels' own follow as ``?sentinel_username=…&sentinel_password=…``, beside the options of
redis-py's own URLs.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import redis.asyncio.sentinel
import redis.connection
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from .addresses import hosts_of, server_options

SCHEMES: Final = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
SENTINEL_PORT: Final = 26379
SENTINEL_SECONDS_MAX: Final = 1.0
"""A sentinel that does not answer within this time is passed over, and the next one is asked."""
_OF_SENTINELS: Final = "sentinel_"

_ALIVE_SECONDS: Final = 3
KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", 1),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", _ALIVE_SECONDS - 1),
        ("TCP_USER_TIMEOUT", _ALIVE_SECONDS * 1000),
    )
    if hasattr(socket, name)
}
"""With these a connection to a host that is gone breaks within three seconds, even one on which nobody asks anything.
Nothing else would end a subscription to the old master, or a worker's wait for its next batch.
"""


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """Where the master of ``service`` is asked for.

    Args:
        servers: redis-py's options of a connection to the servers, without an address.
        asking: those of a connection to a sentinel.
    """

    sentinels: tuple[tuple[str, int], ...]
    service: str
    is_tls: bool
    servers: dict[str, Any]
    asking: dict[str, Any]


def sentinel_address(url: str) -> SentinelAddress | None:
    """What a URL with sentinels says; None for any other URL.

    Raises:
        ValueError: the URL has a sentinels' scheme and is malformed. Its text is not in the message, because it may
            hold a password.
    """
    parts = urlsplit(url)
    scheme = SCHEMES.get(parts.scheme)
    if scheme is None:
        return None
    login, at, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.lstrip("/").partition("/")
    if not service:
        raise ValueError("a URL with sentinels names its service: redis+sentinel://host:26379,host:26379/service/0")
    if database and not database.isdecimal():
        raise ValueError("the database behind the service's name is a number: redis+sentinel://host:26379/service/0")
    options = parse_qsl(parts.query)
    of_servers = [(name, value) for name, value in options if not name.startswith(_OF_SENTINELS)]
    servers = server_options(scheme, f"{login}{at}", database, of_servers)
    is_tls = scheme == "rediss"
    asking = {name.removeprefix(_OF_SENTINELS): value for name, value in options if name.startswith(_OF_SENTINELS)}
    if is_tls:
        asking = {name: value for name, value in servers.items() if name.startswith("ssl_")} | asking | {"ssl": True}
    return SentinelAddress(hosts_of(hosts, SENTINEL_PORT, "sentinel"), service, is_tls, servers, asking)


def is_refusal(reply: object) -> bool:
    """Whether a server's reply says that it takes no writes because it may not be the master any more: it has become a
    replica, or has lost the replicas without which it may not write (``min-replicas-to-write``).
    """
    return isinstance(reply, ReadOnlyError) or (
        isinstance(reply, ResponseError) and str(reply).startswith("NOREPLICAS")
    )


REFUSED: Final = "this server takes no writes; the next connection is made to whichever is the master then"


class _Connection(redis.sentinel.SentinelManagedConnection):
    """Leaves a server that refuses writes, as redis-py's own does only for one that has become a replica."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)
        except ResponseError as error:
            if not is_refusal(error):
                raise
            self.disconnect()  # type: ignore[no-untyped-call]
            raise RedisConnectionError(REFUSED) from error


class _TlsConnection(_Connection, redis.connection.SSLConnection):
    pass


class _AsyncConnection(redis.asyncio.sentinel.SentinelManagedConnection):
    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)
        except ResponseError as error:
            if not is_refusal(error):
                raise
            await self.disconnect()
            raise RedisConnectionError(REFUSED) from error


class _AsyncTlsConnection(_AsyncConnection, redis.asyncio.connection.SSLConnection):
    pass


class SentinelPool(redis.sentinel.SentinelConnectionPool):
    """Connections to the master that sentinels name; they ask again for each new connection."""

    def __init__(self, address: SentinelAddress, **options: Any) -> None:
        asking = _asking(address, Retry(NoBackoff(), 0))
        sentinels = redis.sentinel.Sentinel(address.sentinels, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
        super().__init__(  # type: ignore[no-untyped-call]
            address.service,
            sentinels,
            connection_class=_TlsConnection if address.is_tls else _Connection,
            **_keeping(address, options),
        )

    def close(self) -> None:
        super().close()
        self.sentinel_manager.close()


class BlockingSentinelPool(SentinelPool, redis.BlockingConnectionPool):
    """The same, bounded: who wants one connection more waits for it."""


class AsyncSentinelPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """As `SentinelPool`, for asyncio."""

    def __init__(self, address: SentinelAddress, **options: Any) -> None:
        asking = _asking(address, AsyncRetry(NoBackoff(), 0))
        sentinels = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            address.sentinels, sentinel_kwargs=asking
        )
        super().__init__(  # type: ignore[no-untyped-call]
            address.service,
            sentinels,
            connection_class=_AsyncTlsConnection if address.is_tls else _AsyncConnection,
            **_keeping(address, options),
        )

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class AsyncBlockingSentinelPool(AsyncSentinelPool, redis.asyncio.BlockingConnectionPool):
    """The same, bounded: who wants one connection more waits for it."""


def _asking(address: SentinelAddress, retry: Any) -> dict[str, Any]:
    """redis-py's options of a connection to a sentinel. By itself it would ask a dead one for seconds, again and again,
    before it turns to the next.
    """
    return {
        "socket_timeout": SENTINEL_SECONDS_MAX,
        "socket_connect_timeout": SENTINEL_SECONDS_MAX,
        "retry": retry,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    } | address.asking


def _keeping(address: SentinelAddress, options: dict[str, Any]) -> dict[str, Any]:
    return {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE} | address.servers | options
