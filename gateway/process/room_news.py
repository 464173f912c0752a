"""Follows the news of those rooms whose fans are here, at the server of each room."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Set
from typing import Any, Final

import redis.asyncio

from booking_lane.clusters import Server
from booking_lane.gathering_cluster import GatheringCluster
from db.channels import database_of
from db.shards import shard_of
from gateway.process.news import News, Topic
from waiting_room.keys import room_channel

LOOK_SECONDS: Final = 0.5
"""Rooms that move to another server of a cluster are followed there after so long at most."""


class RoomNews:
    """Follows rooms with one listener, or in a cluster with one for each server.

    Args:
        line_redis: the line's.
        topic: the rooms', which each listener has as well.
        watched: the events of which there are fans here.
        on_followed: called with each event that begins to be followed.
    """

    def __init__(
        self,
        line_redis: redis.asyncio.Redis,
        topic: Topic[Any],
        watched: Callable[[], Set[int]],
        on_followed: Callable[[int], None],
    ) -> None:
        self._redis = line_redis
        self._topic = topic
        self._watched = watched
        self._on_followed = on_followed
        self._followed: Set[int] = frozenset()
        self._wake = asyncio.Event()
        self._listeners: dict[str, News] = {}
        self._listening: dict[str, asyncio.Task[None]] = {}

    @property
    def is_connected(self) -> bool:
        """Whether each listener is."""
        return all(listener.connected.is_set() for listener in self._listeners.values())

    def look_soon(self) -> None:
        """The watched events have changed."""
        self._wake.set()

    async def keep(self, only: News | None, on_gap: Callable[[], None]) -> None:
        """Follow for as long as the process runs.

        Args:
            only: the listener to a single Redis, which somebody else keeps; None in a cluster.
            on_gap: see `News`.
        """
        if only is not None:
            self._listeners[""] = only
        try:
            while True:
                if isinstance(self._redis, GatheringCluster):
                    await self._keep_listeners(self._redis, on_gap)
                await self._follow()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
                self._wake.clear()
        finally:
            for task in self._listening.values():
                task.cancel()
            await asyncio.gather(*self._listening.values(), return_exceptions=True)

    async def _follow(self) -> None:
        watched = frozenset(self._watched())
        database = database_of(self._redis)
        channels: dict[str, set[str]] = {}
        for event_id in watched:
            channel = room_channel(event_id, database)
            channels.setdefault(shard_of(self._redis, channel), set()).add(channel)
        for name, listener in self._listeners.items():
            await listener.follow(self._topic, channels.get(name, frozenset()))
        new, self._followed = watched - self._followed, watched
        for event_id in new:
            self._on_followed(event_id)

    async def _keep_listeners(self, cluster: GatheringCluster, on_gap: Callable[[], None]) -> None:
        """Have a listener at each server of the cluster, and at no other."""
        servers = {str(server): server for server in await cluster.servers()}
        for name in self._listeners.keys() - servers.keys():
            del self._listeners[name]
            self._listening.pop(name).cancel()
        for name in servers.keys() - self._listeners.keys():
            listener = self._listener(cluster, servers[name], on_gap)
            self._listeners[name] = listener
            self._listening[name] = asyncio.create_task(listener.listen())

    def _listener(self, cluster: GatheringCluster, server: Server, on_gap: Callable[[], None]) -> News:
        # Each listens for changed configurations, too, so that these are heard whichever server is away.
        return News(cluster.server_client(server), [self._topic], on_gap, on_moved=cluster.refresh_soon)
