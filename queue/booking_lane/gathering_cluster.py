"""A cluster's client for the gateway: commands of one turn of the event loop share one round trip to each server.

Each server has a connection of its own, on which commands follow each other without waiting, as on the only connection
to a single Redis (`booking_lane.gathering`). A server that is away fails its own commands, at once, and no others'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .clusters import REDIRECTS_MAX, ClusterAddress, Server, SlotMap, key_of, redirected
from .gathering import GatheringRedis
from .sentinels import KEEPALIVE

PROBE_SECONDS: Final = 0.25
"""A server that is away is tried this often."""
REFRESH_SECONDS: Final = 0.25
"""The cluster is asked at most this often who has which keys."""
TRY_AGAIN_SECONDS: Final = 0.02

_Call = tuple[tuple[Any, ...], dict[str, Any]]


class ShardClient(GatheringRedis):
    """One server of a cluster. While it is away, commands fail without a try: a task tries for all of them.

    Args:
        on_away: called before each try while the server is away; another one may have its keys by then.
    """

    def __init__(self, server: Server, pool: redis.asyncio.BlockingConnectionPool, on_away: Callable[[], None]) -> None:
        super().__init__(connection_pool=pool)
        self.server = server
        self.away: Exception | None = None
        self._on_away = on_away
        self._probing: asyncio.Task[None] | None = None

    async def ask_all(self, calls: Sequence[_Call]) -> list[Any]:
        if self.away is not None:
            raise RedisConnectionError(f"{self.server} does not answer: {self.away}")
        try:
            return await super().ask_all(calls)
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            if self.away is None:
                self.away = error
                self._probing = asyncio.get_running_loop().create_task(self._probe())
            raise

    async def _probe(self) -> None:
        while self.away is not None:
            self._on_away()
            try:
                (answer,) = await super().ask_all([(("PING",), {})])
            except (RedisError, OSError) as error:
                answer = error
            if isinstance(answer, Exception):
                self.away = answer
                await asyncio.sleep(PROBE_SECONDS)
            else:
                self.away = None

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        if self._probing is not None:
            self._probing.cancel()
        await super().aclose(close_connection_pool)


class GatheringCluster(GatheringRedis):
    """The whole cluster: each command goes to the server of its key, and a pipeline's each to their own.

    It has no transactions. Pub/sub is asked of a server's own client (`server_client`).

    Args:
        options: redis-py's, of the connections to each server.
    """

    def __init__(self, address: ClusterAddress, options: Mapping[str, Any]) -> None:
        self._seeds = address.seeds
        self._class = redis.asyncio.SSLConnection if address.is_tls else redis.asyncio.Connection
        self._options = {
            "socket_keepalive": True,
            "socket_keepalive_options": KEEPALIVE,
            **address.options,
            **options,
        }
        super().__init__(connection_pool=self._pool(self._seeds[0]))
        self.slot_map = SlotMap()
        self._shards: dict[Server, ShardClient] = {}
        self._asking = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self._refresh_from = float("-inf")

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if not self.slot_map.servers:
            await self.refresh()
        key = key_of(args)
        if key is None:
            return await self._ask_any(args, options)
        server = self.slot_map.of(key)
        if server is None:
            self.refresh_soon()
            raise RedisConnectionError("no server of the cluster has this key")
        asking = False
        for _ in range(REDIRECTS_MAX):
            gathering = self._shard(server).gathering
            if asking:
                # One follows the other on the same connection, and is for it alone.
                gathering.ask((("ASKING",), {})).add_done_callback(_take_note)
            try:
                return await gathering.ask((args, options))
            except MovedError as moved:
                server, asking = self.slot_map.move(moved, server), False
                self.refresh_soon()
            except AskError as ask:
                server, asking = redirected(ask, server), True
            except TryAgainError:
                await asyncio.sleep(TRY_AGAIN_SECONDS)
            except ClusterDownError as down:
                self.refresh_soon()
                raise RedisConnectionError(str(down)) from down
        raise RedisConnectionError("the key is on its way from one server of the cluster to another")

    def ask_soon(self, *args: Any) -> None:
        return None

    async def ask_all(self, calls: Sequence[_Call]) -> list[Any]:
        asked = (self.execute_command(*args, **options) for args, options in calls)
        return await asyncio.gather(*asked, return_exceptions=True)

    async def _ask_any(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        error: Exception | None = None
        for server in self.slot_map.servers:
            try:
                return await self._shard(server).execute_command(*args, **options)
            except (RedisConnectionError, RedisTimeoutError, OSError) as problem:
                error = problem
        raise RedisConnectionError(f"no server of the cluster answers: {error}") from error

    # -- the servers

    async def servers(self) -> dict[Server, ShardClient]:
        """A client of each server that has keys, in the order of their first slots.

        Raises:
            redis.RedisError: no server of the cluster answers.
        """
        if not self.slot_map.servers:
            await self.refresh()
        return {server: self._shard(server) for server in self.slot_map.servers}

    def server_client(self, server: Server) -> redis.asyncio.Redis:
        """A client of one server, for pub/sub: with connections of its own, which are not made again by themselves."""
        return redis.asyncio.Redis(connection_pool=self._pool(server, retry=Retry(NoBackoff(), 0)))

    async def refresh(self) -> None:
        """Ask the cluster who has which keys.

        Raises:
            redis.RedisError: no server answers.
        """
        known, error = self.slot_map.servers, None
        async with self._asking:
            if not known and self.slot_map.servers:
                return
            candidates = sorted(
                dict.fromkeys((*self.slot_map.servers, *self._seeds)),
                key=lambda server: server in self._shards and self._shards[server].away is not None,
            )
            for server in candidates:
                try:
                    reply = await self._shard(server).gathering.ask((("CLUSTER", "SLOTS"), {}))
                except (RedisError, OSError) as problem:
                    error = problem
                    continue
                self.slot_map.take(reply, server)
                await self._drop_others()
                return
        raise RedisConnectionError(f"no server of the cluster answers: {error}") from error

    def refresh_soon(self) -> None:
        """Ask the cluster who has which keys in the background, because somebody learnt that keys have moved."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh_once())

    async def _refresh_once(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._refresh_from - loop.time())
        self._refresh_from = loop.time() + REFRESH_SECONDS
        try:
            await self.refresh()
        except (RedisError, OSError):
            # Each server that is away is tried again, and asks for this then.
            return

    async def _drop_others(self) -> None:
        """Close the connections to servers that have no keys any more, and to names that only led to the cluster."""
        for server in self._shards.keys() - set(self.slot_map.servers):
            # A slot may be on its way to a server that has none yet.
            if not self._shards[server].gathering.sending:
                await self._shards.pop(server).aclose(close_connection_pool=True)

    def _shard(self, server: Server) -> ShardClient:
        shard = self._shards.get(server)
        if shard is None:
            shard = self._shards[server] = ShardClient(server, self._pool(server), self.refresh_soon)
        return shard

    def _pool(self, server: Server, **options: Any) -> redis.asyncio.BlockingConnectionPool:
        return redis.asyncio.BlockingConnectionPool(
            connection_class=self._class, host=server.host, port=server.port, **self._options | options
        )

    # -- what redis-py's client does by connections of its pool

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> redis.asyncio.client.Pipeline:
        """Commands that are asked together, each of its own server. Those for one server keep their order.

        Raises:
            NotImplementedError: a transaction was asked for.
        """
        if transaction:
            raise NotImplementedError("a cluster has no transaction over several servers")
        return super().pipeline(transaction=False)

    def pubsub(self, **options: Any) -> Any:
        raise NotImplementedError("a cluster's messages are asked of its servers")

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        shards, self._shards = self._shards, {}
        for shard in shards.values():
            await shard.aclose(close_connection_pool=True)
        await super().aclose(close_connection_pool)


def _take_note(answer: asyncio.Future[Any]) -> None:
    """What fails here fails the command behind it, too."""
    if not answer.cancelled():
        answer.exception()
