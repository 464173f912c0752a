"""A synchronous client of a cluster, as workers and the command line use it.

redis-py's own cluster client asks again for many seconds when one server is away, reads the cluster anew each time, and
connects to all servers again. Here an error is that of its server alone, and comes at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from .clusters import REDIRECTS_MAX, ClusterAddress, Server, SlotMap, key_of, redirected
from .sentinels import KEEPALIVE, is_refusal

AWAY_SECONDS: Final = 1.0
"""A server that did not answer is not asked again for so long, so that work for the others goes on."""
TRY_AGAIN_SECONDS: Final = 0.02


class ClusterRedis(redis.Redis):
    """`redis.Redis` whose commands go to the server of their key. It has no pipelines, no transactions and no pub/sub.

    Args:
        options: redis-py's, of the connections to each server.
    """

    def __init__(
        self, address: ClusterAddress, *, monotonic: Callable[[], float] = time.monotonic, **options: Any
    ) -> None:
        self._options = {
            "socket_keepalive": True,
            "socket_keepalive_options": KEEPALIVE,
            "retry": Retry(NoBackoff(), 0),
            **address.options,
            **options,
        }
        if address.is_tls:
            self._options["ssl"] = True
        self._seeds = address.seeds
        self._clients: dict[Server, redis.Redis] = {}
        self._away_until: dict[Server, float] = {}
        self._monotonic = monotonic
        self.slot_map = SlotMap()
        super().__init__(host=self._seeds[0].host, port=self._seeds[0].port, **self._options)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if not self.slot_map.servers:
            self.refresh()
        key = key_of(args)
        if key is None:
            return self._ask_any(args, options)
        server, first = self.slot_map.of(key), True
        if server is None:
            self._refuse_uncovered()
        for _ in range(REDIRECTS_MAX):
            try:
                if first:
                    return self._ask(server, args, options)
                return self._ask_after_asking(server, args, options)
            except MovedError as moved:
                server, first = self.slot_map.move(moved, server), True
            except AskError as ask:
                server, first = redirected(ask, server), False
            except TryAgainError:
                time.sleep(TRY_AGAIN_SECONDS)
            except ClusterDownError as down:
                raise RedisConnectionError(str(down)) from down
        raise RedisConnectionError("the key is on its way from one server of the cluster to another")

    def servers(self) -> dict[Server, redis.Redis]:
        """A client of each server that has keys, in the order of their first slots.

        Raises:
            redis.RedisError: no server of the cluster answers.
        """
        if not self.slot_map.servers:
            self.refresh()
        return {server: self._client(server) for server in self.slot_map.servers}

    def refresh(self) -> None:
        """Ask the cluster anew who has which keys.

        Raises:
            redis.RedisError: no server answers.
        """
        error: Exception | None = None
        for server in dict.fromkeys((*self.slot_map.servers, *self._seeds)):
            try:
                self.slot_map.take(self._ask(server, ("CLUSTER", "SLOTS"), {}), server)
            except (redis.RedisError, OSError) as problem:
                error = problem
            else:
                return
        raise RedisConnectionError(f"no server of the cluster answers: {error}") from error

    def _ask(self, server: Server, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if self._away_until.get(server, 0.0) > self._monotonic():
            raise RedisConnectionError(f"{server} did not answer a moment ago")
        try:
            return _execute(self._client(server), *args, **options)
        except (RedisConnectionError, RedisTimeoutError, OSError):
            self._note_away(server)
            raise
        except redis.ResponseError as error:
            if is_refusal(error):
                # Another server may have become the master, which the next question finds out.
                self._refresh_if_possible()
            raise

    def _ask_after_asking(self, server: Server, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Ask the server to which a slot is just moving: it answers for a key that has come already."""
        client = self._client(server)
        with client.pipeline(transaction=False) as pipe:
            _execute(pipe, "ASKING")
            _execute(pipe, *args, **options)
            return pipe.execute()[1]

    def _ask_any(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        error: Exception | None = None
        for server in self.slot_map.servers:
            try:
                return self._ask(server, args, options)
            except (RedisConnectionError, RedisTimeoutError, OSError) as problem:
                error = problem
        raise RedisConnectionError(f"no server of the cluster answers: {error}") from error

    def _note_away(self, server: Server) -> None:
        self._away_until[server] = self._monotonic() + AWAY_SECONDS
        if self.slot_map.servers:
            self._refresh_if_possible()

    def _refresh_if_possible(self) -> None:
        for server in self.slot_map.servers:
            if self._away_until.get(server, 0.0) <= self._monotonic():
                try:
                    self.slot_map.take(_execute(self._client(server), "CLUSTER", "SLOTS"), server)
                except (redis.RedisError, OSError):
                    self._away_until[server] = self._monotonic() + AWAY_SECONDS
                else:
                    return

    def _refuse_uncovered(self) -> NoReturn:
        self._refresh_if_possible()
        raise RedisConnectionError("no server of the cluster has this key")

    def _client(self, server: Server) -> redis.Redis:
        client = self._clients.get(server)
        if client is None:
            client = self._clients[server] = redis.Redis(host=server.host, port=server.port, **self._options)
        return client

    def scan_iter(self, *args: Any, **options: Any) -> Iterator[Any]:
        """The keys of every server."""
        for client in self.servers().values():
            yield from client.scan_iter(*args, **options)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> NoReturn:
        raise NotImplementedError("a cluster has no pipeline over several servers")

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        super().close()


def _execute(client: redis.Redis, *args: Any, **options: Any) -> Any:
    return client.execute_command(*args, **options)  # type: ignore[no-untyped-call]
