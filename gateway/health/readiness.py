"""Which of the parts a gateway needs are up.

Each is looked at several times a second whether anybody asks or not, so that asking costs nothing and cannot hang.
A part is failing when it was last found up more than `SILENT_SECONDS` ago: one lost connection is no failure, and
whatever way a part goes silent, it is named within two seconds.
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
from collections.abc import Awaitable, Callable
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
from booking_lane.clients import NO_MAINTENANCE
from booking_lane.lane import queue_name
from booking_lane.settings import RedisSettings
from db.connections import look
from db.connections.schema_head import head
from db.patience import repeat
from db.settings import DatabaseSettings
from gateway.health.presence import GATEWAYS_KEY, PRESENT_SECONDS, Presence, encode_presence, key_print, presence_key

SILENT_SECONDS: Final = 1.5
LOOK_EVERY_SECONDS: Final = 0.4
LOOK_SECONDS_MAX: Final = 1.0
WORKERS_MAX: Final = 100
"""Registered workers of a lane that are looked at."""

Up = Callable[[str, float], None]
"""Called with a part that was found up, and how many seconds ago."""
Look = Callable[[Up], Awaitable[None]]
"""Ends within two seconds, by an error where the part does not answer."""

SSL_REQUEST: Final = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""https://www.postgresql.org/docs/current/protocol-message-formats.html: any server answers it with one byte."""

_ASK: Final = """
SELECT (SELECT version_num FROM alembic_version),
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean
"""


class Readiness:
    """The looks, and the verdict. What cannot be seen because another part fails is not named.

    Args:
        lanes: how many lanes the site has.
        streams_max: open streams that this process allows.
        secret: the site's; a short hash of it is published, so that gateways with different ones are found.
    """

    def __init__(
        self, db: DatabaseSettings, redis: RedisSettings, *, lanes: int, streams_max: int, secret: str
    ) -> None:
        self._db = db
        self._redis_urls = redis
        self._lanes = lanes
        self._streams_max = streams_max
        self._secret = secret
        self._seen_through = {"postgres": "", "migrations": "postgres", "line_redis": "", "jobs_redis": ""} | {
            queue_name(number): "jobs_redis" for number in range(lanes)
        }
        self._up_at = dict.fromkeys(self._seen_through, -math.inf)
        self._postgres = PostgresLook(db.url, head())
        self._redis: list[RedisLook] = []
        self.stopping = False

    def begin(self, counts: Callable[[], tuple[int, int]], revisions: Callable[[], dict[int, int]]) -> None:
        """``counts`` gives the open streams and the commands that wait, ``revisions`` those of the rooms, for the
        gateway's presence.
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
            lanes=self._lanes,
            # Of the engine, of the reader, and the one of this.
            connections_max=2 * self._db.pool_max + 1,
            key_print=key_print(self._secret),
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
            )
            return encode_presence(current)

        urls = self._redis_urls
        if urls.one_server:
            both = ("line_redis", "jobs_redis")
            self._redis = [RedisLook(urls.jobs, both, self._lanes, gateway, presence)]
        else:
            self._redis = [
                RedisLook(urls.jobs, ("jobs_redis",), self._lanes, gateway, presence),
                RedisLook(urls.line, ("line_redis",), 0, gateway, presence),
            ]

    @property
    def failing(self) -> tuple[str, ...]:
        """The parts that are not up, and ``stopping`` once the process has been asked to end."""
        up = self.parts
        found = tuple(part for part, through in self._seen_through.items() if not up[part] and up.get(through, True))
        return (*found, "stopping") if self.stopping else found

    @property
    def parts(self) -> dict[str, bool]:
        """Each part, and whether it was seen to be up: not, where what it is seen through is not."""
        since = time.monotonic() - SILENT_SECONDS
        return {part: at >= since for part, at in self._up_at.items()}

    async def keep(self) -> None:
        """Look for as long as the process runs."""
        looks: list[Look] = [self._postgres, *self._redis]
        await asyncio.gather(*map(self._keep, looks))

    async def _keep(self, look: Look) -> None:
        # A part that is away is named by `failing`; several lines a second of it would bury the log.
        away = (RedisError, psycopg.Error, OSError)
        what = f"{type(look).__name__} found its part away"
        await repeat(lambda: look(self._up), every_seconds=LOOK_EVERY_SECONDS, on=away, what=what, level=logging.DEBUG)

    def _up(self, part: str, seconds_ago: float = 0.0) -> None:
        self._up_at[part] = max(self._up_at[part], time.monotonic() - seconds_ago)

    async def close(self) -> None:
        """This gateway is no more."""
        for redis_look in self._redis:
            await redis_look.close()
        await self._postgres.close()


class PostgresLook:
    """Asks on a connection of its own, for a busy pool is no failing Postgres; and knocks as a new client would,
    for sessions live on where the server takes no more of them.

    Tells of ``postgres``, if it may be written to, and of ``migrations``, if they have come to ``revision``: a
    database ahead of this code is one that is being upgraded.
    """

    def __init__(self, database_url: str, revision: str) -> None:
        self._database_url = database_url
        self._revision = revision
        self._connection: AsyncConnection[Any] | None = None

    async def __call__(self, up: Up) -> None:
        """Raises:
        psycopg.Error, OSError: Postgres does not answer.
        """
        connection = self._connection
        if connection is None or connection.closed:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                connection = self._connection = await look.connect_async(self._database_url, "admitone-readiness")
        else:
            await _knock(connection)
        revision, read_only = await self._ask(connection)
        if not read_only:
            up("postgres", 0)
        if revision >= self._revision:
            up("migrations", 0)

    async def _ask(self, connection: AsyncConnection[Any]) -> tuple[str, bool]:
        # Not cancelled when it takes too long: psycopg would first ask the silent server to cancel. An end of the
        # connection makes it give up at once.
        timer = asyncio.get_running_loop().call_later(LOOK_SECONDS_MAX, _hang_up, connection.fileno())
        try:
            row = await (await connection.execute(_ASK)).fetchone()
        except errors.UndefinedTable:
            return "", False
        finally:
            timer.cancel()
        assert row is not None
        return row[0] or "", row[1]

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


async def _knock(connection: AsyncConnection[Any]) -> None:
    host, port = connection.info.host, connection.info.port
    async with asyncio.timeout(LOOK_SECONDS_MAX):
        if host.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            reader, writer = await asyncio.open_connection(connection.info.hostaddr or host, port)
        try:
            writer.write(SSL_REQUEST)
            await reader.readexactly(1)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("Postgres hung up") from error
        finally:
            writer.transport.abort()


def _hang_up(fileno: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fileno)) as same:
        same.shutdown(socket.SHUT_RDWR)


class RedisLook:
    """Writes the gateway's presence, so that a Redis that answers and takes no writes is not taken for up.

    Args:
        parts: what this Redis is to the gateway: ``line_redis``, ``jobs_redis`` or both.
        lanes: how many lanes' workers are looked for here; 0 where it holds no jobs.
        presence: what to write.
    """

    def __init__(
        self, url: str, parts: tuple[str, ...], lanes: int, gateway: str, presence: Callable[[], bytes]
    ) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url,
            socket_timeout=LOOK_SECONDS_MAX,
            socket_connect_timeout=LOOK_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),
            max_connections=1,
            maint_notifications_config=NO_MAINTENANCE,
        )
        self._parts = parts
        self._queues = [queue_name(number) for number in range(lanes)]
        self._gateway = gateway
        self._presence = presence
        self._workers: list[tuple[str, str]] = []
        self._forgot_gone = False

    async def __call__(self, up: Up) -> None:
        """Raises:
        redis.RedisError, OSError: Redis does not answer, or takes no writes.
        """
        async with asyncio.timeout(LOOK_SECONDS_MAX), self._client.pipeline(transaction=False) as pipe:
            pipe.set(presence_key(self._gateway), self._presence(), ex=PRESENT_SECONDS)
            pipe.sadd(GATEWAYS_KEY, self._gateway)
            for queue in self._queues:
                pipe.smembers(workers_key(queue))
            for queue, worker in self._workers:
                pipe.pttl(alive_key(queue, worker))
            _, _, *answers = await pipe.execute()
        for part in self._parts:
            up(part, 0)
        if not self._forgot_gone:
            await self._forget_gone()
            self._forgot_gone = True
        registered, left = answers[: len(self._queues)], answers[len(self._queues) :]
        for (queue, _), pttl_ms in zip(self._workers, left, strict=True):
            silent = silent_seconds(pttl_ms)
            if silent is not None:
                up(queue, silent)
        # Looked for with the next round: their signs come twice a second, no more than a round late.
        self._workers = [
            (queue, worker_name(member))
            for queue, members in zip(self._queues, registered, strict=True)
            for member in sorted(members)[:WORKERS_MAX]
        ]

    async def _forget_gone(self) -> None:
        """Strike the gateways that died: each that begins does, so that they never add up."""
        known = [cast(bytes, member).decode() for member in await self._client.smembers(GATEWAYS_KEY)]
        if known:
            values = await self._client.mget([presence_key(gateway) for gateway in known])
            gone = [gateway for gateway, value in zip(known, values, strict=True) if value is None]
            if gone:
                await self._client.srem(GATEWAYS_KEY, *gone)

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                await self._client.srem(GATEWAYS_KEY, self._gateway)
                await self._client.delete(presence_key(self._gateway))
        await self._client.aclose()
