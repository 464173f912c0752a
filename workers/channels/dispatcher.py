"""Delivers news from the outbox by the channels: at least once, in no promised order.

Each turn writes the news that rooms and cancelled events make by themselves, hands new outbox rows to the channels that
want them, notes how attempts ended and takes what is due. Each step is one statement on a bounded number of rows. A
delivery that is taken is due again when its attempt must be over; so one whose dispatcher died is made once more, with
the same id. Any number of dispatchers may run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import psycopg

from db.citus.walking import execute
from db.connections import primary
from db.connections.urls import leads_to_citus
from db.edge.keys import Provider
from db.edge.settings import EdgeSettings
from db.events.cancelling import write_cancellation_news
from db.outbox.channels import ChannelName
from db.outbox.deliveries import NEWS, NOTE
from db.rooms.room_news import write_room_news
from db.search.index.settings import SearchIndexSettings
from db.settings import SiteSettings
from workers.channels.channel import Channel, Connection, Message, Outcome
from workers.channels.edge.channel import Edge
from workers.channels.webhooks.channel import Webhooks
from workers.channels.webhooks.settings import WebhookSettings

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 3
TURN_SECONDS: Final = 0.5
ROOMS_EVERY_SECONDS: Final = 1.0
HANDED_OVER_IN_ONE_TURN_MAX: Final = 500
POSTGRES_AWAY_PAUSE_SECONDS: Final = 1.0
STOP_SECONDS_MAX: Final = 3.0
NOTE_SECONDS_MAX: Final = 2.0
_SESSION: Final = {
    "timezone": "UTC",
    "statement_timeout": 10_000,
    **primary.PLAN_BY_KEYS,
}


class _Sending:
    """One channel's attempts: those under way, and those that ended and are not noted yet."""

    def __init__(self, channel: Channel[Any], ended: Callable[[], None], probe: Callable[[str], None]) -> None:
        self.channel = channel
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended: list[tuple[Message, Outcome]] = []
        self._under_way: Counter[int] = Counter()
        self._on_ended = ended
        self._probe = probe

    async def take(self, connection: Connection) -> None:
        """Begin an attempt for each message that is due."""
        for message in await self.channel.take(connection, self._under_way):
            self._under_way[message.recipient_id] += 1
            task = asyncio.create_task(self._attempt(message))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _attempt(self, message: Message) -> None:
        try:
            outcome = await self.channel.send(message)
            self._probe("answered")
            self.ended.append((message, outcome))
        finally:
            self._under_way[message.recipient_id] -= 1
            if not self._under_way[message.recipient_id]:
                del self._under_way[message.recipient_id]
            self._on_ended()

    async def note(self, connection: Connection) -> None:
        """Record how attempts ended, all at once. If Postgres fails, a later turn records them."""
        if not self.ended:
            return
        ended = list(self.ended)
        rows = msgspec.json.encode([self._row(message, outcome) for message, outcome in ended]).decode()
        async with connection.transaction():
            await connection.execute(NOTE, {"rows": rows}, prepare=False)
            await self.channel.note(connection, ended)
        del self.ended[: len(ended)]

    def _row(self, message: Message, outcome: Outcome) -> dict[str, object]:
        state, wait_seconds = "delivered", 0.0
        if not outcome.delivered:
            retry_seconds = self.channel.retry_seconds(message.attempts, outcome)
            state, wait_seconds = ("dead", 0.0) if retry_seconds is None else ("pending", retry_seconds)
        return {
            "event_id": message.event_id,
            "outbox_id": message.outbox_id,
            "channel": self.channel.name,
            "recipient_id": message.recipient_id,
            "attempts": message.attempts,
            "state": state,
            "status": outcome.status,
            "error": outcome.error,
            "wait_seconds": wait_seconds,
        }


class Dispatcher:
    """Makes the deliveries of one process.

    Args:
        database_url: Postgres' primary.
        channels: each has its statements in `db.outbox.deliveries.CHANNELS`; the dispatcher closes them.
        probe: called with ``answered`` between an attempt's end and its note, for faults to be injected there.
    """

    def __init__(
        self, database_url: str, channels: Sequence[Channel[Any]], *, probe: Callable[[str], None] = lambda point: None
    ) -> None:
        self._database_url = database_url
        self._is_citus = leads_to_citus(database_url)
        self._connection: Connection | None = None
        self._wake = asyncio.Event()
        self._sending = [_Sending(channel, self._wake.set, probe) for channel in channels]
        self._has_edge = any(channel.name is ChannelName.EDGE for channel in channels)
        self._rooms_at = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; then wait for the attempts under way, `STOP_SECONDS_MAX` at most."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    more = await self._turn()
                except (psycopg.Error, OSError) as error:
                    logger.warning("news waits for Postgres: %s", error)
                    await self._disconnect()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), POSTGRES_AWAY_PAUSE_SECONDS)
                    continue
                if not more:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), TURN_SECONDS)
        finally:
            stopping.cancel()
            await self._end()
            for sending in self._sending:
                await sending.channel.close()

    async def _end(self) -> None:
        tasks = [task for sending in self._sending for task in sending.tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS_MAX)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            connection = await self._connected()
            for sending in self._sending:
                await sending.note(connection)
        except (psycopg.Error, OSError) as error:
            number = sum(len(sending.ended) for sending in self._sending)
            logger.warning("%d ended deliveries are not noted and will be made again: %s", number, error)
        await self._disconnect()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await primary.connect_async(
                self._database_url, "admitone-webhooks", connect_seconds=CONNECT_SECONDS, session=_SESSION
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _turn(self) -> bool:
        """Work through one turn; gives whether there is more to do at once."""
        connection = await self._connected()
        await self._look_at_rooms(connection)
        bounds = {"rows_max": HANDED_OVER_IN_ONE_TURN_MAX, "has_edge": self._has_edge}
        handed_over = await execute(connection, NEWS, bounds, is_citus=self._is_citus)
        for sending in self._sending:
            await sending.note(connection)
            await sending.take(connection)
        return sum(one.rowcount for one in handed_over) >= HANDED_OVER_IN_ONE_TURN_MAX

    async def _look_at_rooms(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._rooms_at >= ROOMS_EVERY_SECONDS:
            self._rooms_at = now
            await write_room_news(connection, is_citus=self._is_citus)
            await write_cancellation_news(connection, is_citus=self._is_citus)


def dispatch(
    database_url: str,
    site: SiteSettings,
    webhook: WebhookSettings,
    edge: EdgeSettings,
    search_index: SearchIndexSettings | None = None,
    *,
    probe: Callable[[str], None] = lambda point: None,
) -> None:
    """Run a dispatcher in this process until SIGTERM or SIGINT, and what keeps the search's index if there is one."""

    async def live() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def end() -> None:
            stop.set()
            # A silent Postgres would keep this process for ever. Attempts that are not recorded are made once more.
            loop.call_later(STOP_SECONDS_MAX + NOTE_SECONDS_MAX, os._exit, 0)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        channels: list[Channel[Any]] = [Webhooks(webhook, public_only=site.production)]
        if edge.provider is not Provider.NONE:
            channels.append(Edge(edge, public_url=site.public_url))
        work = [Dispatcher(database_url, channels, probe=probe).run(stop)]
        if search_index is not None and search_index.is_used:
            # Elasticsearch's client is large.
            from workers.channels.search_index import Indexer

            work.append(Indexer(database_url, search_index).run(stop))
        await asyncio.gather(*work)

    asyncio.run(live())
