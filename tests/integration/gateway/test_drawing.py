"""Gateways draw a lobby together, and one goes on where another ended: real Postgres, real Valkey."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import redis
from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from admitone.draw import verify
from db.connections.engines import create_engine
from db.rooms.states import RoomState
from gateway.line.draws import PLACED_AT_ONCE, Draws
from tests.ending import dispose
from tests.integration.db.test_draws import begin_sale, event
from waiting_room import operations
from waiting_room.line import Line
from waiting_room.model import RoomConfig
from waiting_room.scripts import run_sync

FANS = 1_000
FIRST_FAN = 4 * 10**15
BLOCK_MS_MAX = 5.0
SLOW_MAX = 10_000
MINUTE_MS = 60_000


@dataclass
class Lobby:
    """An event whose sale begins now, with its fans in the lobby."""

    database_url: str
    redis_url: str
    engine: AsyncEngine
    client: Any
    event_id: int = 0

    async def fill(self, fans: int) -> None:
        self.event_id = event(self.database_url, on_sale_in=dt.timedelta(minutes=5))
        line = Line(self.client)
        await self._configure(1)
        await line.join(self.event_id, FIRST_FAN)  # and the script is known to Redis
        with redis.Redis.from_url(self.redis_url, socket_timeout=60) as client:
            for chunk in operations.chunks(range(FIRST_FAN + 1, FIRST_FAN + fans), 1000):
                with client.pipeline(transaction=False) as pipe:
                    for fan in chunk:
                        one = operations.join(self.event_id, fan, None)
                        run_sync(pipe, one.script, one.keys, one.args)
                    pipe.execute()
        assert (await line.counts(self.event_id)).lobby == fans
        await begin_sale(self.engine, self.event_id)
        await self._configure(2)

    async def _configure(self, revision: int) -> None:
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT on_sale_at FROM event WHERE event_id = %s", (self.event_id,)).fetchone()
        assert row is not None
        draw_at_ms = round(row[0].timestamp() * 1000)
        config = RoomConfig(
            state=RoomState.PAUSED, line_cap=5_000_000, draw_at_ms=draw_at_ms, lobby_at_ms=draw_at_ms - 30 * MINUTE_MS,
            revision=revision,
        )  # fmt: skip
        await Line(self.client).configure(self.event_id, config)

    async def draw_on(self, draws: Draws) -> None:
        """As the ticks do: until it is done."""
        while (await Line(self.client).counts(self.event_id)).draw != "done":
            draws.begin(self.event_id)
            await asyncio.sleep(0.05)


@pytest.fixture
async def lobby(database_url: str, redis_url: str) -> AsyncIterator[Lobby]:
    engine = create_engine(database_url, pool_max=4)
    async with aioredis.Redis.from_url(redis_url, socket_timeout=60) as client:
        yield Lobby(database_url, redis_url, engine, client)
    await dispose(engine)


class Dying(Line):
    """The line of a gateway that ends after some chunks."""

    def __init__(self, client: Any, chunks: int) -> None:
        super().__init__(client)
        self.chunks = chunks
        self.died = asyncio.Event()

    async def place_drawn(self, *args: Any, **kwargs: Any) -> Any:
        if not self.chunks:
            self.died.set()
            raise asyncio.CancelledError
        self.chunks -= 1
        return await super().place_drawn(*args, **kwargs)


async def test_another_gateway_goes_on_where_one_died(lobby: Lobby) -> None:
    await lobby.fill(FANS)
    dying = Dying(lobby.client, 7)
    Draws(lobby.engine, dying).begin(lobby.event_id)
    await dying.died.wait()
    counts = await Line(lobby.client).counts(lobby.event_id)
    assert (counts.state, counts.draw) == ("lobby", "closed"), "it is seen to be under way"
    assert counts.drawn == 7 * PLACED_AT_ONCE
    assert (counts.lobby, counts.waiting) == (FANS - counts.drawn, counts.drawn)
    await lobby.draw_on(Draws(lobby.engine, Line(lobby.client)))
    checked = verify(lobby.database_url, lobby.redis_url, lobby.event_id)
    assert (checked.participants, checked.in_line, checked.differences) == (FANS, FANS, ())


async def test_several_at_a_time_come_to_one_order(lobby: Lobby) -> None:
    await lobby.fill(FANS)
    several = [Draws(lobby.engine, Line(lobby.client)) for _ in range(3)]
    await asyncio.gather(*(lobby.draw_on(draws) for draws in several))
    checked = verify(lobby.database_url, lobby.redis_url, lobby.event_id)
    assert (checked.participants, checked.in_line, checked.differences) == (FANS, FANS, ())


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fans", [100_000, 1_000_000])
async def test_a_great_lobby_is_drawn_without_holding_redis(lobby: Lobby, fans: int) -> None:
    """By Redis' own times of the scripts. A busy machine's pauses are in the longest, so 99 of 100 are judged."""
    await lobby.fill(fans)
    with redis.Redis.from_url(lobby.redis_url, socket_timeout=60) as client:
        client.config_set("slowlog-max-len", SLOW_MAX)
        client.config_set("slowlog-log-slower-than", 1000)
        client.slowlog_reset()
        client.config_resetstat()
        began = time.monotonic()
        await lobby.draw_on(Draws(lobby.engine, Line(lobby.client)))
        seconds = time.monotonic() - began
        client.config_set("slowlog-log-slower-than", 10_000)
        scripts: dict[str, Any] = client.info("commandstats")["cmdstat_evalsha"]
        slow_ms = sorted(entry["duration"] / 1000 for entry in client.slowlog_get(SLOW_MAX))
    print(
        f"{fans} fans drawn in {seconds:.1f} s by {scripts['calls']} scripts: mean "
        f"{scripts['usec_per_call'] / 1000:.2f} ms, {len(slow_ms)} over 1 ms, longest {slow_ms[-5:]} ms"
    )
    assert sum(each > BLOCK_MS_MAX for each in slow_ms) <= scripts["calls"] // 100
    checked = verify(lobby.database_url, lobby.redis_url, lobby.event_id)
    assert (checked.participants, checked.in_line, checked.differences) == (fans, fans, ())
