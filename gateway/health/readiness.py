"""Knows which of the parts that a gateway needs are up.

Each part is checked several times a second, requested or not, so that a request for readiness costs nothing and cannot
hang. A part is failing if the last check that found it up was more than `SILENT_SECONDS` ago. So one lost connection
is no failure, and a part that goes silent in any way is named within two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any, Final, cast
from uuid import uuid4

import msgspec
import psycopg
import redis.asyncio
from psycopg import AsyncConnection, errors
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from booking_lane.alive import alive_key, silent_seconds, worker_name, workers_key
from booking_lane.clients import NO_MAINTENANCE, plain_async_client
from booking_lane.clusters import Server, cluster_address
from booking_lane.gathering_cluster import GatheringCluster
from booking_lane.lane import queue_name
from booking_lane.settings import RedisSettings
from db.connections import look
from db.connections.schema_head import head
from db.patience import repeat
from db.settings import DatabaseSettings
from gateway.health.knocks import Knocks
from gateway.health.presence import GATEWAYS_KEY, PRESENT_SECONDS, Presence, encode_presence, key_print, presence_key
from waiting_room.key_ring import KeyRing

SILENT_SECONDS: Final = 1.5
LOOK_EVERY_SECONDS: Final = 0.4
LOOK_SECONDS_MAX: Final = 1.0
WORKERS_PER_LANE_MAX: Final = 100

Up = Callable[[str, float], None]
"""A function that a look calls with the name of a part that is up, and how many seconds ago it was."""
Look = Callable[[Up], Awaitable[None]]
"""A function that checks parts. It ends within two seconds, with an error if a part does not answer."""

_READ_STATE: Final = """
SELECT (SELECT version_num FROM alembic_version),
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean
"""


class Readiness:
    """Checks the parts and names the failing ones. A part that cannot be seen because another one fails is not named.

    Args:
        lanes: returns the numbers of the lanes that need a worker.
        lane_count: the setting's number of lanes, which is published.
        streams_max: open streams that this process allows.
        keys: the site's. A short hash of its secret and the ids of its keys are published, so that gateways with
            different secrets are noticed, and a new key signs once all know it.
    """

    def __init__(
        self,
        db: DatabaseSettings,
        redis: RedisSettings,
        *,
        lanes: Callable[[], Sequence[int]],
        lane_count: int,
        streams_max: int,
        keys: KeyRing,
        knocks: Knocks,
    ) -> None:
        self._db = db
        self._redis_urls = redis
        self._lanes = lanes
        self._lane_count = lane_count
        self._streams_max = streams_max
        self._keys = keys
        self._up_at: dict[str, float] = {}
        self._postgres = PostgresLook(db.url, head(), knocks)
        self._redis: list[RedisLook | ClusterLook] = []
        self._cluster: ClusterLook | None = None
        self.stopping = False

    def begin(
        self,
        counts: Callable[[], tuple[int, int]],
        revisions: Callable[[], dict[int, int]],
        replica_fresh: Callable[[], bool | None],
    ) -> None:
        """Prepare the checks and the gateway's presence.

        Args:
            counts: returns how many streams are open and how many commands wait.
            revisions: returns the revisions of the rooms by event id.
            replica_fresh: returns whether the replica is read; None without one.
        """
        gateway = uuid4().hex
        begun = Presence(
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("admitone"),
            streams=0,
            streams_max=self._streams_max,
            files_max=0,
            backlog=0,
            lanes=self._lane_count,
            # The pool of the engine, the connections of `SmallReads` and that of `PostgresLook`. Who reads a replica
            # has one more, which asks the primary where it is; scans have their own, while there are any.
            connections_max=self._db.pool_max + self._db.reader_pool_max + 1 + bool(self._db.replica_url),
            key_print=key_print(self._keys.secret),
        )

        def presence() -> bytes:
            streams, backlog = counts()
            files_max = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            current = msgspec.structs.replace(
                begun,
                streams=streams,
                backlog=backlog,
                files_max=files_max,
                failing=self.failing,
                rooms=revisions(),
                keys=self._keys.names,
                replica_fresh=replica_fresh(),
            )
            return encode_presence(current)

        urls = self._redis_urls
        if urls.one_server:
            both = ("line_redis", "jobs_redis")
            self._redis = [RedisLook(urls.jobs, both, self._lanes, gateway, presence)]
            return
        jobs = RedisLook(urls.jobs, ("jobs_redis",), self._lanes, gateway, presence)
        if cluster_address(urls.line) is None:
            self._redis = [jobs, RedisLook(urls.line, ("line_redis",), tuple, gateway, presence)]
        else:
            self._cluster = ClusterLook(urls.line, "line_redis", gateway)
            self._redis = [jobs, self._cluster]

    @property
    def degraded(self) -> tuple[str, ...]:
        """The servers of the line's cluster that are away while others go on: ``line_redis_2`` is the one with the
        second part of the keys.
        """
        if self._cluster is None or "line_redis" in self.failing:
            return ()
        return tuple(name for name, is_up in self._cluster.servers.items() if not is_up)

    @property
    def failing(self) -> tuple[str, ...]:
        """The parts that are not up, and ``stopping`` once the process got the signal to end."""
        up = self.parts
        seen_through = self._seen_through
        failing = tuple(part for part, through in seen_through.items() if not up[part] and up.get(through, True))
        return (*failing, *self.failing_alone)

    @property
    def failing_alone(self) -> tuple[str, ...]:
        """``stopping`` once the process got the signal to end; nothing that other gateways would name as well."""
        return ("stopping",) if self.stopping else ()

    @property
    def parts(self) -> dict[str, bool]:
        """Each part, and whether it was seen to be up. A part that is seen through another one is down with it. The
        servers of a cluster are parts as well.
        """
        since = time.monotonic() - SILENT_SECONDS
        servers = {} if self._cluster is None else self._cluster.servers
        return {part: self._up_at.get(part, -math.inf) >= since for part in self._seen_through} | servers

    @property
    def _seen_through(self) -> dict[str, str]:
        """Each part, and the part through which it is seen; empty for one that is seen by itself."""
        lanes = {queue_name(number): "jobs_redis" for number in self._lanes()}
        return {"postgres": "", "migrations": "postgres", "line_redis": "", "jobs_redis": "", **lanes}

    async def keep(self) -> None:
        """Check the parts for as long as the process runs."""
        looks: list[Look] = [self._postgres, *self._redis]
        await asyncio.gather(*map(self._keep, looks))

    async def _keep(self, look: Look) -> None:
        # A part that is away is named by `failing`; several lines a second of it would bury the log.
        away = (RedisError, psycopg.Error, OSError)
        what = f"{type(look).__name__} found its part away"
        await repeat(lambda: look(self._up), every_seconds=LOOK_EVERY_SECONDS, on=away, what=what, level=logging.DEBUG)

    def _up(self, part: str, seconds_ago: float = 0.0) -> None:
        self._up_at[part] = max(self._up_at.get(part, -math.inf), time.monotonic() - seconds_ago)

    async def close(self) -> None:
        """Close the connections and delete the gateway's presence."""
        for redis_look in self._redis:
            await redis_look.close()
        await self._postgres.close()


class PostgresLook:
    """Checks ``postgres``, which is up if it can be written to, and ``migrations``, which are up if they have reached
    ``revision``. A database that is ahead of this code is just being upgraded, and counts as up.

    The check has a connection of its own, because a busy pool does not mean that Postgres fails. It also wants to know
    that the server takes new ones (`gateway.health.knocks`).
    """

    def __init__(self, database_url: str, revision: str, knocks: Knocks) -> None:
        self._database_url = database_url
        self._knocks = knocks
        self._revision = revision
        self._connection: AsyncConnection[Any] | None = None

    async def __call__(self, up: Up) -> None:
        """Report to ``up`` what is up.

        Raises:
            psycopg.Error, OSError: Postgres does not answer.
        """
        connection, seconds_ago = self._connection, 0.0
        if connection is None or connection.closed:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                connection = self._connection = await look.connect_async(self._database_url, "admitone-readiness")
        else:
            try:
                seconds_ago = await self._knocks.knocked(connection)
            except OSError:
                # Postgres may be at another address by now, which only a new connection looks up.
                self._connection = None
                await connection.close()
                raise
        revision, read_only = await self._read_state(connection)
        if not read_only:
            up("postgres", seconds_ago)
        if revision >= self._revision:
            up("migrations", 0)

    async def _read_state(self, connection: AsyncConnection[Any]) -> tuple[str, bool]:
        # A timeout must not cancel the statement, for psycopg would first ask the silent server to cancel it. Shutting
        # the connection makes psycopg give up at once.
        timer = asyncio.get_running_loop().call_later(LOOK_SECONDS_MAX, look.hang_up, connection.fileno())
        try:
            row = await (await connection.execute(_READ_STATE)).fetchone()
        except errors.UndefinedTable:
            return "", False
        finally:
            timer.cancel()
        assert row is not None
        return row[0] or "", row[1]

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


class RedisLook:
    """Checks a Redis by writing the gateway's presence to it: a Redis that answers but takes no writes is down.

    Args:
        parts: the names of this Redis: ``line_redis``, ``jobs_redis`` or both.
        lanes: returns the numbers of the lanes whose workers are in this Redis; none if it holds no jobs.
        presence: returns the presence to write.
    """

    def __init__(
        self,
        url: str,
        parts: tuple[str, ...],
        lanes: Callable[[], Sequence[int]],
        gateway: str,
        presence: Callable[[], bytes],
    ) -> None:
        self._client = _client_of(url)
        self._parts = parts
        self._lanes = lanes
        self._gateway = gateway
        self._presence = presence
        self._workers: list[tuple[str, str]] = []
        self._removed_gone = False

    async def __call__(self, up: Up) -> None:
        """Report to ``up`` what is up.

        Raises:
            redis.RedisError, OSError: Redis does not answer, or takes no writes.
        """
        queues = [queue_name(number) for number in self._lanes()]
        async with asyncio.timeout(LOOK_SECONDS_MAX), self._client.pipeline(transaction=False) as pipe:
            pipe.set(presence_key(self._gateway), self._presence(), ex=PRESENT_SECONDS)
            pipe.sadd(GATEWAYS_KEY, self._gateway)
            for queue in queues:
                pipe.smembers(workers_key(queue))
            for queue, worker in self._workers:
                pipe.pttl(alive_key(queue, worker))
            _, _, *answers = await pipe.execute()
        for part in self._parts:
            up(part, 0)
        if not self._removed_gone:
            await self._remove_gone()
            self._removed_gone = True
        registered, left = answers[: len(queues)], answers[len(queues) :]
        for (queue, _), pttl_ms in zip(self._workers, left, strict=True):
            silent = silent_seconds(pttl_ms)
            if silent is not None:
                up(queue, silent)
        # The next round reads the signs of these workers, which come twice a second: they are at most one round late.
        self._workers = [
            (queue, worker_name(member))
            for queue, members in zip(queues, registered, strict=True)
            for member in sorted(members)[:WORKERS_PER_LANE_MAX]
        ]

    async def _remove_gone(self) -> None:
        """Remove the ids of gateways that died. Each gateway does so at its start, so that their number stays small."""
        gateways = [cast(bytes, member).decode() for member in await self._client.smembers(GATEWAYS_KEY)]
        if gateways:
            values = await self._client.mget([presence_key(gateway) for gateway in gateways])
            gone = [gateway for gateway, value in zip(gateways, values, strict=True) if value is None]
            if gone:
                await self._client.srem(GATEWAYS_KEY, *gone)

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                await self._client.srem(GATEWAYS_KEY, self._gateway)
                await self._client.delete(presence_key(self._gateway))
        await self._client.aclose()


class ClusterLook:
    """Checks each server of a cluster by writing to it. The part is up if any of them takes writes, because its rooms
    go on then.

    Args:
        part: the name of the whole; that of a server is this and its number, in the order of their keys.
    """

    def __init__(self, url: str, part: str, gateway: str) -> None:
        client = _client_of(url)
        assert isinstance(client, GatheringCluster)
        self._client = client
        self._part = part
        self._gateway = gateway
        self._up_at: dict[str, float] = {}

    @property
    def servers(self) -> dict[str, bool]:
        """The names of the servers, and whether each was seen to be up."""
        since = time.monotonic() - SILENT_SECONDS
        return {name: at >= since for name, at in self._up_at.items()}

    async def __call__(self, up: Up) -> None:
        """Report to ``up`` what is up.

        Raises:
            redis.RedisError, OSError: no server of the cluster answers.
        """
        servers = await self._client.servers()
        names = {f"{self._part}_{number}": server for number, server in enumerate(servers, 1)}
        now = time.monotonic()
        self._up_at = {name: self._up_at.get(name, now) for name in names}
        errors_of = await asyncio.gather(*(self._write(server) for server in names.values()))
        for name, error in zip(names, errors_of, strict=True):
            if error is None:
                self._up_at[name] = time.monotonic()
        if None in errors_of:
            up(self._part, 0)

    async def _write(self, server: Server) -> Exception | None:
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                key = self._client.slot_map.key_at(server, presence_key(self._gateway))
                await self._client.set(key, b"", ex=PRESENT_SECONDS)
        except (RedisError, LookupError, OSError) as error:
            return error
        return None

    async def close(self) -> None:
        await self._client.aclose()


def _client_of(url: str) -> redis.asyncio.Redis:
    """A client of one connection that waits for no longer than a look, and asks once."""
    return plain_async_client(
        url,
        socket_timeout=LOOK_SECONDS_MAX,
        socket_connect_timeout=LOOK_SECONDS_MAX,
        retry=Retry(NoBackoff(), 0),
        max_connections=1,
        maint_notifications_config=NO_MAINTENANCE,
    )
