"""The hub of news: each topic's messages are decoded once and given to everybody in this process who subscribed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Set
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Generic, TypeVar

import redis.asyncio
from redis.asyncio.client import PubSub
from redis.crc import key_slot
from redis.exceptions import MovedError, RedisError

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
        client: with connections that are not made again by themselves, or nobody would learn of a gap.
        on_gap: called when messages may have been missed: after each connecting.
        on_moved: the server is one of a cluster, and this is called when a channel turns out to be another server's.
            The channels that are followed are sharded ones then.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        topics: Iterable[Topic[Any]],
        on_gap: Callable[[], None],
        *,
        on_moved: Callable[[], None] | None = None,
    ) -> None:
        self._client = client
        self._topics = {channel: topic for topic in topics for channel in topic.channels}
        self._on_gap = on_gap
        self._on_moved = on_moved
        self._followed: dict[str, Topic[Any]] = {}
        self._subscribed: set[str] = set()
        self._confirmed: set[str] = set()
        self._confirming: dict[str, asyncio.Event] = {}
        self._subscribing = asyncio.Lock()
        self._pubsub: PubSub | None = None
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

    async def follow(self, topic: Topic[Any], channels: Set[str]) -> None:
        """Listen to these channels of the topic too, and no more to others of it that were followed before."""
        self._followed = {name: other for name, other in self._followed.items() if other is not topic}
        self._followed.update(dict.fromkeys(channels, topic))
        await self._subscribe_quietly()

    async def follow_one(self, topic: Topic[Any], channel: str) -> None:
        """Listen to this channel of the topic too."""
        if channel not in self._followed:
            self._followed[channel] = topic
            await self._subscribe_quietly()

    async def confirmed(self, channel: str, seconds_max: float) -> bool:
        """Wait until the server has said that it sends what comes on a followed channel; False if it has not within
        ``seconds_max``, or if there is no connection to it.
        """
        if channel in self._confirmed:
            return True
        if self._pubsub is None:
            return False
        confirming = self._confirming.setdefault(channel, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(confirming.wait(), seconds_max)
        return channel in self._confirmed

    async def _subscribe_quietly(self) -> None:
        if self._pubsub is not None:
            try:
                await self._subscribe(self._pubsub)
            except (RedisError, OSError) as error:
                # The connection is lost. Who reads it finds out, and connects again.
                logger.debug("news are not followed: %s", error)

    async def _subscribe(self, pubsub: PubSub) -> None:
        """Subscribe to what is followed and not subscribed to, and the other way round."""
        async with self._subscribing:
            await self._subscribe_alone(pubsub)

    async def _subscribe_alone(self, pubsub: PubSub) -> None:
        new, old = self._followed.keys() - self._subscribed, self._subscribed - self._followed.keys()
        self._subscribed = set(self._followed)
        self._confirmed -= old
        if self._on_moved is None:
            if new:
                await pubsub.subscribe(*new)
            if old:
                await pubsub.unsubscribe(*old)
            return
        # One command can name channels of one slot only.
        for channel in new:
            await pubsub.ssubscribe(channel)
        for channel in old:
            await pubsub.sunsubscribe(channel)

    async def _listen_once(self) -> None:
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(*self._topics)
            self._subscribed = set()
            self._confirmed = set()
            self._pubsub = pubsub
            try:
                await self._subscribe(pubsub)
                self.connected.set()
                self._on_gap()
                await self._read(pubsub)
            finally:
                self._pubsub = None

    async def _read(self, pubsub: PubSub) -> None:
        while True:
            try:
                message = await pubsub.get_message(timeout=LISTEN_SECONDS)
            except MovedError as moved:
                # The answer to a subscription names no channel, but the slot.
                self._note_moved({one for one in self._subscribed if key_slot(one.encode()) == moved.slot_id})
                continue
            if message is None:
                await pubsub.ping()
                continue
            if message["type"] in ("message", "smessage"):
                self._publish(message["channel"].decode(), message["data"])
            elif message["type"] in ("subscribe", "ssubscribe"):
                self._note_confirmed(message["channel"].decode())
            elif message["type"] == "sunsubscribe":
                # A server says this unasked when the channel's slot has moved to another one.
                self._note_moved({message["channel"].decode()} & self._subscribed)

    def _note_confirmed(self, channel: str) -> None:
        self._confirmed.add(channel)
        if (confirming := self._confirming.pop(channel, None)) is not None:
            confirming.set()

    def _note_moved(self, channels: Set[str]) -> None:
        self._subscribed -= channels
        if channels and self._on_moved is not None:
            self._on_moved()

    def _publish(self, channel: str, payload: bytes) -> None:
        topic = self._topics.get(channel) or self._followed.get(channel)
        if topic is None:
            return
        try:
            topic.publish(payload)
        except Exception:
            logger.exception("news on %s not understood", channel)
