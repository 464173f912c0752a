"""Sends what receivers are told: all of one moment in one message, by mail, web push or a chat's webhook.

It has a connection to Postgres of its own and is a task beside the sending to fans (`workers.messages.process`). So a
chat that does not answer delays no fan, and no queue of mails delays an alarm.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import psycopg
import redis.asyncio

from db.alarms import notices as sql
from db.alarms.kinds import ReceiverChannel
from db.alarms.receivers import opened_receiver
from db.alarms.states import Notice, NoticeState
from db.connections import primary
from db.messages.kinds import MAIL, PUSH, MessageChannel, MessageKind
from db.messages.queue import Taken
from messages.languages import ENGLISH
from messages.links import Links, LinkTokens
from messages.look import Look
from messages.writer import Writer
from waiting_room.key_ring import KeyRing
from workers.channels.channel import Connection
from workers.messages.alarm_letters import CONSOLE_PAGE, Told, chat_body, occasion_of
from workers.messages.chat import Chat, form_of
from workers.messages.making import providers
from workers.messages.provider import Failure, Provider, Tried
from workers.messages.sender import JITTER, retry_wait_seconds
from workers.settings import WorkerSettings

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 3
LEASE_SECONDS: Final = 120
MESSAGES_IN_ONE_TURN_MAX: Final = 50
USEFUL_SECONDS: Final = 3600
"""What is later than this is not sent any more: a reminder comes where the alarm still stands."""
_CHANNELS: Final = {ReceiverChannel.MAIL: MAIL, ReceiverChannel.PUSH: PUSH}


class _Message(NamedTuple):
    """A message to one receiver, taken for its ``tries``-th try."""

    message_id: uuid.UUID
    receiver_id: int
    channel: ReceiverChannel
    address: str
    keys: tuple[str, str] | None
    tries: int
    is_late: bool
    notices: list[Told]


class AlarmSender:
    """Sends alarms, in the running loop in which it is made; in Redis it keeps pace with other processes."""

    def __init__(self, settings: WorkerSettings, client: redis.asyncio.Redis, keys: KeyRing) -> None:
        base = settings.site_address
        self._settings = settings
        self._links = Links(base, LinkTokens(keys))
        self._writer = Writer(Look.of(settings.brand), self._links)
        self._providers: Mapping[MessageChannel, Sequence[Provider]] = providers(settings, base, client)
        self._chat = Chat(settings.alarm.chat_timeout_seconds, public_only=settings.site.production)
        self._connection: Connection | None = None
        self._asking = asyncio.Lock()
        """One transaction at a time: turns overlap, and share a connection."""

    async def turn(self) -> None:
        """Send what is due, and note how each try ended. Where Postgres is away, a later turn does. Another turn may
        begin meanwhile: a chat that does not answer keeps nobody else's alarm waiting.
        """
        messages: list[_Message] = []
        async with self._asking, self._patient():
            messages = await self._take(await self._connected())
        await asyncio.gather(*(self._try(one) for one in messages))

    async def _try(self, message: _Message) -> None:
        tried = await self._attempt(message)
        async with self._asking, self._patient():
            await self._note(await self._connected(), message, tried)

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[None]:
        """Wait for a better time where Postgres is away: what was not noted is sent anew."""
        try:
            yield
        except (psycopg.Error, OSError) as error:
            logger.warning("alarms wait: %s", error)
            await self._disconnect()

    async def _take(self, connection: Connection) -> list[_Message]:
        async with connection.transaction():
            await connection.execute(sql.LOCK_TAKING, {"lock": sql.TAKING})
            await connection.execute(sql.JOIN_TOGETHER)
            found = await connection.execute(
                sql.TAKE,
                {
                    "lease_seconds": LEASE_SECONDS,
                    "messages_max": MESSAGES_IN_ONE_TURN_MAX,
                    "useful_seconds": USEFUL_SECONDS,
                },
            )
            rows = await found.fetchall()
        messages: dict[uuid.UUID, _Message] = {}
        for message_id, what, payload, tries, is_late, receiver_id, channel, address, p256dh, auth in rows:
            keys = (opened_receiver(p256dh), opened_receiver(auth)) if p256dh and auth else None
            message = messages.setdefault(
                message_id,
                _Message(
                    message_id,
                    receiver_id,
                    ReceiverChannel(channel),
                    opened_receiver(address),
                    keys,
                    int(tries),
                    bool(is_late),
                    [],
                ),
            )
            message.notices.append(Told(Notice(what), payload))
        return list(messages.values())

    async def _attempt(self, message: _Message) -> Tried:
        if message.is_late:
            return Tried(Failure.REFUSED, "it came too late to be of use")
        try:
            if message.channel is ReceiverChannel.CHAT:
                console = self._links.page(CONSOLE_PAGE)
                body = chat_body(message.notices, console, form_of(message.address))
                return await self._chat.send(message.address, body)
            return await self._by_provider(message, _CHANNELS[message.channel])
        except Exception as error:
            # One alarm that cannot be written must not keep back the others.
            logger.exception("alarm message %s failed", message.message_id)
            return Tried(Failure.REFUSED, f"it cannot be written: {error!r}"[:300])

    async def _by_provider(self, message: _Message, channel: MessageChannel) -> Tried:
        occasion = occasion_of(message.notices)
        letter = self._writer.write(occasion, channel, message.address, ENGLISH)
        taken = Taken(
            event_id=0,
            message_id=message.message_id,
            kind=MessageKind.ALARM,
            channel=channel,
            address=message.address,
            user_id=0,
            language=ENGLISH,
            payload={},
            tries=message.tries,
            is_late=False,
            is_suppressed=False,
            keys=message.keys,
            quiet=None,
            event=occasion.event,
        )
        tried = Tried(Failure.REFUSED, f"this site sends no {message.channel}")
        for provider in self._providers[channel]:
            tried = await provider.send(taken, letter)
            if tried.failure is not Failure.AWAY:
                break
        return tried

    async def _note(self, connection: Connection, message: _Message, tried: Tried) -> None:
        settings = self._settings.message
        state, wait_seconds = NoticeState.SENT, 0.0
        if message.is_late:
            state = NoticeState.SKIPPED
        elif tried.failure in (Failure.REFUSED, Failure.GONE):
            state = NoticeState.FAILED
        elif tried.failure is Failure.AWAY:
            state = NoticeState.DEAD if message.tries >= settings.tries_max else NoticeState.QUEUED
            wait_seconds = retry_wait_seconds(settings, message.tries, tried.retry_after_seconds)
            wait_seconds *= random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads retries
        noted: dict[str, Any] = {
            "message_id": message.message_id,
            "state": state,
            "error": tried.error,
            "copy": tried.copy,
            "wait_seconds": wait_seconds,
        }
        async with connection.transaction():
            await connection.execute(sql.NOTE, noted)
            if not message.is_late:
                receiver = {
                    "receiver_id": message.receiver_id,
                    "error": tried.error if tried.failure else "",
                    "is_gone": tried.failure is Failure.GONE,
                }
                await connection.execute(sql.NOTE_RECEIVER, receiver)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            session = {"timezone": "UTC", "statement_timeout": 20_000}
            self._connection = await primary.connect_async(
                self._settings.db.url, "admitone-alarms", connect_seconds=CONNECT_SECONDS, session=session
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def close(self) -> None:
        """Close what is open."""
        for chosen in self._providers.values():
            for provider in chosen:
                await provider.close()
        await self._chat.close()
        await self._disconnect()
