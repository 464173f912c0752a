"""The work of the process of messages: each run of its job is one turn, or a few where much is due.

The process has an event loop of its own, which lives for as long as it does, so that connections to providers outlast a
job. Its connection to Postgres is its own, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

import psycopg
import redis.exceptions
import uvloop

from booking_lane.clients import plain_async_client
from db.alarms.notices import ANY_DUE as ANY_ALARM_DUE
from db.connections import primary
from db.keys.signing_keys import READ_KEYS, KeyRow
from db.messages.queue import ANY_DUE
from db.sealing.keyring import Keyring, use
from waiting_room.key_ring import KeyRing
from waiting_room.line import Line
from waiting_room.tokens import PLACE_TOKEN_SECONDS, Tokens
from workers.channels.channel import Connection
from workers.messages.bounces import MailboxReader
from workers.messages.fan_out import FanOut
from workers.messages.fronts import Fronts
from workers.settings import WorkerSettings

if TYPE_CHECKING:
    from workers.messages.alarm_sender import AlarmSender
    from workers.messages.sender import Sender

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 3
RUN_SECONDS_MAX: Final = 20.0
"""A run ends after so long even if more is due: the next one goes on, and a worker that is asked to ends in between."""
LAST_TRIES_SECONDS_MAX: Final = 15.0
"""For so long after that what is urgent is still sent, while the tries of the rest end."""
LOOK_EVERY_SECONDS: Final = 1.0
ANNOUNCE_EVERY_SECONDS: Final = 30.0
ALARM_TURNS_AT_ONCE_MAX: Final = 4
"""An alarm that is due leaves while the last ones wait for a chat that is slow."""
_SESSION: Final = {
    "timezone": "UTC",
    "statement_timeout": 20_000,
    **primary.PLAN_BY_KEYS,
    # What is due is found in its index' order, and never all of it sorted: after an outage much is due.
    "enable_sort": "off",
    # Its commits do not wait for the disk, which the sale's commits need. See ADR 58 for what a crash costs.
    "synchronous_commit": "off",
}


class Told:
    """Writes and sends messages to fans, and sends alarms to operators. ``telling`` is called in the thread in which
    this was made.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        use(Keyring.of(settings.site))
        self._settings = settings
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._connection: Connection | None = None
        self._looked_at = self._announced_at = float("-inf")
        self._runner.run(self._make())

    async def _make(self) -> None:
        settings = self._settings
        self._fan_out = FanOut(settings.message)
        self._line_redis = plain_async_client(
            settings.redis.line, socket_timeout=CONNECT_SECONDS, socket_connect_timeout=CONNECT_SECONDS
        )
        self._keys = KeyRing(settings.site.secret)
        tokens = Tokens(self._keys, place_seconds=PLACE_TOKEN_SECONDS, hold_seconds=settings.hold.seconds)
        self._fronts = Fronts(Line(self._line_redis), self._fan_out, tokens, settings.message)
        self._sender: Sender | None = None
        self._alarm_sender: AlarmSender | None = None
        self._alarming: set[asyncio.Task[None]] = set()
        self._bounces = MailboxReader(settings.db.url, settings.mail)

    def telling(self) -> None:
        """Write the messages that follow from what happened, and send those that are due."""
        self._runner.run(self._run())

    async def _run(self) -> None:
        until = time.monotonic() + RUN_SECONDS_MAX
        try:
            connection = await self._connected()
            rows = await (await connection.execute(READ_KEYS)).fetchall()
            self._keys.take(tuple(KeyRow._make(row) for row in rows))
            while True:
                late_seconds = time.monotonic() - until
                news = await self._fan_out.news(connection)
                await self._look(connection)
                alarming = await self._send_alarms(connection)
                sent = await self._send(connection, late_seconds)
                if self._sender is not None and self._sender.is_busy:
                    await self._sender.wait()
                    continue
                is_busy = news or sent or self._fan_out.is_telling
                if not (is_busy or alarming) or late_seconds > 0:
                    return
                if alarming and not is_busy:
                    await asyncio.wait(alarming, timeout=LOOK_EVERY_SECONDS)
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError, redis.exceptions.RedisError) as error:
            # The next run tries anew: RQ need not keep a failed job for each second of an outage.
            logger.warning("messages wait: %s", error)
            await self._disconnect()

    async def _send(self, connection: Connection, late_seconds: float) -> int:
        """Begin to send what is due; return how many messages there were. Templates, catalogues and providers are only
        loaded for the first one: most pools send nothing when they start, and their lanes need the processor then.

        Args:
            late_seconds: for how long the run should have been over.
        """
        if self._sender is None:
            row = await (await connection.execute(ANY_DUE)).fetchone()
            if row is None or not row[0]:
                return 0
            from workers.messages.making import make_sender

            self._sender = make_sender(self._settings, self._line_redis, self._keys)
        if late_seconds > LAST_TRIES_SECONDS_MAX:
            await self._sender.note(connection)
            return 0
        return await self._sender.turn(connection, urgent_only=late_seconds > 0)

    async def _send_alarms(self, connection: Connection) -> set[asyncio.Task[None]]:
        """Begin to send the alarms that are due, beside the messages to fans; return what is under way."""
        if len(self._alarming) < ALARM_TURNS_AT_ONCE_MAX:
            row = await (await connection.execute(ANY_ALARM_DUE)).fetchone()
            if row is not None and row[0]:
                if self._alarm_sender is None:
                    from workers.messages.alarm_sender import AlarmSender

                    self._alarm_sender = AlarmSender(self._settings, self._line_redis, self._keys)
                turn = asyncio.create_task(self._alarm_sender.turn())
                self._alarming.add(turn)
                turn.add_done_callback(self._alarming.discard)
        return self._alarming

    async def _look(self, connection: Connection) -> None:
        self._bounces.look()
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY_SECONDS:
            self._looked_at = now
            await self._fan_out.holds_ending(connection)
            await self._fan_out.banks_refused(connection)
            await self._fronts.look(connection)
        if now - self._announced_at >= ANNOUNCE_EVERY_SECONDS:
            self._announced_at = now
            await self._fan_out.announcements(connection)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await primary.connect_async(
                self._settings.db.url, "admitone-messages", connect_seconds=CONNECT_SECONDS, session=_SESSION
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close what is open."""

        async def end() -> None:
            alarming = list(self._alarming)
            for turn in alarming:
                turn.cancel()
            await asyncio.gather(*alarming, return_exceptions=True)
            if self._alarm_sender is not None:
                await self._alarm_sender.close()
            if self._sender is not None:
                await self._sender.close()
            await self._line_redis.aclose()
            await self._disconnect()

        self._runner.run(end())
        self._runner.close()
