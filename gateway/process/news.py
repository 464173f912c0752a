"""One pub/sub connection a Redis and gateway process; what it hears is fanned out in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import redis.asyncio
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

PAUSE_SECONDS_MAX = 2.0
LISTEN_SECONDS = 5.0


class News:
    """Listens until cancelled, reconnecting; ``on_gap`` is called when messages may have been missed.

    Args:
        handlers: channel → what to do with a message's bytes; it must not block.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        handlers: Mapping[str, Callable[[bytes], None]],
        on_gap: Callable[[], None],
    ) -> None:
        self._client = client
        self._handlers = handlers
        self._on_gap = on_gap
        self.connected = asyncio.Event()

    async def listen(self) -> None:
        pause = 0.05
        while True:
            try:
                await self._listen_once()
            except (RedisError, OSError) as error:
                logger.warning("news are interrupted: %s", error)
            self.connected.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)

    async def _listen_once(self) -> None:
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(*self._handlers)
            self.connected.set()
            self._on_gap()
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=LISTEN_SECONDS)
                if message is None:
                    await pubsub.ping()
                    continue
                if message["type"] != "message":
                    continue
                channel = message["channel"].decode()
                try:
                    self._handlers[channel](message["data"])
                except Exception:
                    logger.exception("news on %s not understood", channel)
