"""The hub of news: each topic's messages are decoded once and given to everybody in this process who subscribed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Generic, TypeVar

import redis.asyncio
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

PAUSE_SECONDS_MAX: Final = 2.0
LISTEN_SECONDS: Final = 5.0

Message = TypeVar("Message")


class Topic(Generic[Message]):
    """One kind of message, from one or several channels.

    Args:
        channels: the names of the channels in Redis.
        decode: makes the message of a payload.
        subscribers: called with each message, in this order; none may block. One that fails is logged, and the
            others still get the message.
        span: the context in which the subscribers are called.
    """

    def __init__(
        self,
        channels: Iterable[str],
        decode: Callable[[bytes], Message],
        subscribers: Iterable[Callable[[Message], None]],
        *,
        span: Callable[[Message], AbstractContextManager[object]] = lambda message: nullcontext(),
    ) -> None:
        self.channels = tuple(channels)
        self._decode = decode
        self._subscribers = tuple(subscribers)
        self._span = span

    def publish(self, payload: bytes) -> None:
        """Give a message to every subscriber.

        Raises:
            msgspec.DecodeError: the payload is no message of this topic; nobody got it.
        """
        message = self._decode(payload)
        with self._span(message):
            for subscriber in self._subscribers:
                try:
                    subscriber(message)
                except Exception:
                    logger.exception("%s failed on a message", getattr(subscriber, "__qualname__", subscriber))


class News:
    """One connection to a Redis, which listens to topics until it is cancelled, and connects again when it is lost.

    Args:
        on_gap: called when messages may have been missed: after each connecting.
    """

    def __init__(self, client: redis.asyncio.Redis, topics: Iterable[Topic[Any]], on_gap: Callable[[], None]) -> None:
        self._client = client
        self._topics = {channel: topic for topic in topics for channel in topic.channels}
        self._on_gap = on_gap
        self.connected = asyncio.Event()

    async def listen(self) -> None:
        """Listen for as long as the process runs."""
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
            await pubsub.subscribe(*self._topics)
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
                    self._topics[channel].publish(message["data"])
                except Exception:
                    logger.exception("news on %s not understood", channel)
