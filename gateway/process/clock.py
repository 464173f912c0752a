"""The clock that ends what the gateways sign. It is Redis', because the machines' own may be an hour apart."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from typing import Final

import redis.asyncio
from redis.exceptions import RedisError

from booking_lane.gathering_cluster import GatheringCluster
from db.patience import repeat
from db.shards import shard_of
from waiting_room.keys import room_key

logger = logging.getLogger(__name__)

READ_SECONDS: Final = 10.0


class Clock:
    """Redis' time, carried on by the process's monotonic clock; until it was first read, the process's own.

    Sessions, places, passes and captchas signed by one gateway are verified by another: all must go by one clock, the
    same that ends passes in the line. Each server of a cluster has its own: what is of one room goes by the clock of
    the room's server, and everything else by that of the cluster's first.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._ahead_seconds: float | None = None
        self._ahead_of: dict[str, float] = {}

    def now(self) -> float:
        """Unix time, seconds."""
        return time.time() if self._ahead_seconds is None else time.monotonic() + self._ahead_seconds

    def now_of(self, event_id: int) -> float:
        """The time at the event's room (Unix time, seconds)."""
        if self._ahead_of:
            ahead_seconds = self._ahead_of.get(shard_of(self._client, room_key(event_id, "config")))
            if ahead_seconds is not None:
                return time.monotonic() + ahead_seconds
        return self.now()

    def moment(self) -> dt.datetime:
        """The same, as a date and time in UTC."""
        return dt.datetime.fromtimestamp(self.now(), dt.UTC)

    async def read(self) -> None:
        """Read Redis' clock.

        Raises:
            redis.RedisError: it did not answer; the clock goes on from what was read last.
        """
        if isinstance(self._client, GatheringCluster):
            await self._read_all(self._client)
        else:
            self._ahead_seconds = await _ahead_seconds(self._client)

    async def _read_all(self, cluster: GatheringCluster) -> None:
        """Read each server's clock. That of a server that is away goes on from what was read last."""
        servers = await cluster.servers()
        read = await asyncio.gather(*map(_ahead_seconds, servers.values()), return_exceptions=True)
        for server, ahead in zip(servers, read, strict=True):
            if isinstance(ahead, float):
                self._ahead_of[str(server)] = ahead
        known = (self._ahead_of.get(str(server)) for server in servers)
        first = next((ahead for ahead in known if ahead is not None), None)
        if first is None:
            raise next(ahead for ahead in read if isinstance(ahead, BaseException))
        self._ahead_seconds = first

    async def keep(self) -> None:
        """Follow Redis' clock for as long as the process runs."""
        away = (RedisError, OSError)
        await repeat(self.read, every_seconds=READ_SECONDS, on=away, what="clock not read", level=logging.DEBUG)


async def _ahead_seconds(client: redis.asyncio.Redis) -> float:
    seconds, micros = await client.time()
    return int(seconds) + int(micros) / 1_000_000 - time.monotonic()
