"""From the outbox to the endpoints: at least once, in no promised order.

Each turn tells what rooms came to be, hands new outbox rows to the endpoints that ask for them, notes how attempts
ended and takes what is due, each in one statement on a bounded number of rows. A delivery that is taken is due again
when its attempt must be over; so one whose dispatcher died is made once more, with the same ``webhook-id``. Any number
of dispatchers may run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
import psycopg

from db.rooms.room_news import write_room_news
from db.webhooks import sql as sql
from workers.webhooks.config import WebhookConfig
from workers.webhooks.post import GONE, Message, Outcome, Poster

logger = logging.getLogger(__name__)

TURN_SECONDS: Final = 0.5
ROOMS_EVERY_SECONDS: Final = 1.0
FANNED_OUT_MAX: Final = 500
LEASE_MARGIN_SECONDS: Final = 5
AWAY_SECONDS: Final = 1.0
STOP_SECONDS_MAX: Final = 3.0
NOTE_SECONDS_MAX: Final = 2.0
RETRY_FACTOR: Final = 4
JITTER: Final = 0.2
_SESSION: Final = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "timezone": "UTC",
        "statement_timeout": 10_000,
        # Every statement reaches a few rows by key, and the tables may have been empty when it was planned.
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
    }.items()
)

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


def retry_wait_seconds(config: WebhookConfig, attempts: int, retry_after_seconds: int = 0) -> float:
    """How long after the ``attempts``-th attempt failed the next one comes, jitter aside."""
    wait: float = config.retry_first_seconds * RETRY_FACTOR ** min(attempts - 1, 30)
    return min(max(wait, retry_after_seconds), config.retry_seconds_max)


class Dispatcher:
    """One process' deliveries.

    Args:
        conninfo: libpq connection string.
        probe: called with ``answered`` between an attempt's end and its note, for faults to be injected there.
    """

    def __init__(
        self, conninfo: str, config: WebhookConfig, *, probe: Callable[[str], None] = lambda point: None
    ) -> None:
        self._conninfo = conninfo
        self._config = config
        self._probe = probe
        self._connection: Connection | None = None
        self._under_way: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[Message, Outcome]] = []
        self._wake = asyncio.Event()
        self._rooms_at = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; then let what is under way end, for `STOP_SECONDS_MAX`."""
        poster = Poster(self._config)
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    more = await self._turn(poster)
                except (psycopg.Error, OSError) as error:
                    logger.warning("webhooks wait for Postgres: %s", error)
                    await self._disconnect()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), AWAY_SECONDS)
                    continue
                if not more:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), TURN_SECONDS)
        finally:
            stopping.cancel()
            await self._end()
            await poster.close()

    async def _end(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS_MAX)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._note(await self._connected())
        except (psycopg.Error, OSError) as error:
            logger.warning("%d ended deliveries are not noted and will be made again: %s", len(self._ended), error)
        await self._disconnect()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=3,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                application_name="admitone-webhooks",
                options=_SESSION,
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _turn(self, poster: Poster) -> bool:
        """Whether there is more to do at once."""
        connection = await self._connected()
        await self._look_at_rooms(connection)
        fanned_out = await connection.execute(sql.FAN_OUT, {"rows_max": FANNED_OUT_MAX}, prepare=True)
        await self._note(connection)
        await self._take(connection, poster)
        return fanned_out.rowcount == FANNED_OUT_MAX

    async def _look_at_rooms(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._rooms_at < ROOMS_EVERY_SECONDS:
            return
        self._rooms_at = now
        await write_room_news(connection)

    async def _take(self, connection: Connection, poster: Poster) -> None:
        busy = [{"endpoint_id": key, "under_way": number} for key, number in self._under_way.items()]
        taken = await connection.execute(
            sql.TAKE,
            {
                "busy": msgspec.json.encode(busy).decode(),
                "at_once_max": self._config.at_once_max,
                "lease_seconds": self._config.timeout_seconds + LEASE_MARGIN_SECONDS,
            },
            prepare=True,
        )
        for row in await taken.fetchall():
            message = Message(*row)
            if message.attempts > self._config.attempts_max:
                self._ended.append((message, Outcome(None, "its dispatcher died during each attempt")))
                self._wake.set()
                continue
            self._under_way[message.endpoint_id] += 1
            task = asyncio.create_task(self._attempt(poster, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attempt(self, poster: Poster, message: Message) -> None:
        try:
            outcome = await poster.post(message)
            self._probe("answered")
            self._ended.append((message, outcome))
        finally:
            self._under_way[message.endpoint_id] -= 1
            if not self._under_way[message.endpoint_id]:
                del self._under_way[message.endpoint_id]
            self._wake.set()

    async def _note(self, connection: Connection) -> None:
        """Write down how attempts ended, all at once or, should Postgres fail, in a later turn."""
        if not self._ended:
            return
        ended = list(self._ended)
        endpoints: dict[int, bool] = {}
        for message, outcome in ended:
            endpoints[message.endpoint_id] = endpoints.get(message.endpoint_id, False) or outcome.delivered
        gone = sorted({message.endpoint_id for message, outcome in ended if outcome.status == GONE})
        async with connection.transaction():
            rows = [self._row(message, outcome) for message, outcome in ended]
            await connection.execute(sql.NOTE, {"rows": msgspec.json.encode(rows).decode()}, prepare=True)
            said = [{"endpoint_id": key, "delivered": delivered} for key, delivered in sorted(endpoints.items())]
            await connection.execute(sql.NOTE_ENDPOINTS, {"rows": msgspec.json.encode(said).decode()}, prepare=True)
            disabled = []
            if gone:
                disabled += await (await connection.execute(sql.DISABLE_GONE, {"endpoint_ids": gone})).fetchall()
            failing = sorted(key for key, delivered in endpoints.items() if not delivered)
            if failing:
                which = {"endpoint_ids": failing, "failing_hours_max": self._config.failing_hours_max}
                disabled += await (await connection.execute(sql.DISABLE_FAILING, which, prepare=True)).fetchall()
        del self._ended[: len(ended)]
        for (endpoint_id,) in disabled:
            logger.error("webhook endpoint %d is disabled: `admitone webhook list` says why", endpoint_id)

    def _row(self, message: Message, outcome: Outcome) -> dict[str, object]:
        attempts = message.attempts
        if outcome.delivered:
            state = "delivered"
        elif attempts >= self._config.attempts_max:
            state = "dead"
        else:
            state = "pending"
        wait = retry_wait_seconds(self._config, attempts, outcome.retry_after_seconds)
        return {
            "event_id": message.event_id,
            "outbox_id": message.outbox_id,
            "endpoint_id": message.endpoint_id,
            "attempts": attempts,
            "state": state,
            "status": outcome.status,
            "error": outcome.error,
            "wait_seconds": wait * random.uniform(1 - JITTER, 1 + JITTER),  # noqa: S311 - spreads retries
        }


def dispatch(conninfo: str, config: WebhookConfig, probe: Callable[[str], None] = lambda point: None) -> None:
    """A dispatcher process' whole life: until SIGTERM or SIGINT."""

    async def live() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def end() -> None:
            stop.set()
            # A silent Postgres would hold us for ever; what is not noted is delivered once more.
            loop.call_later(STOP_SECONDS_MAX + NOTE_SECONDS_MAX, os._exit, 0)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        await Dispatcher(conninfo, config, probe=probe).run(stop)

    asyncio.run(live())
