"""A gateway hears of an event while its hall is in memory, from before it is read until nobody looks at it any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

import psycopg
import pytest
import redis.asyncio
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from booking_lane.clients import jobs_client, plain_async_client
from booking_lane.results import BatchNews, Count, EventChange, SeatChange, decode_change, event_channel, publish
from db.connections.engines import create_engine
from db.connections.old_reads import OldReads
from db.connections.small_reads import SmallReads
from db.ids import uuid7
from gateway.hall import halls as halls_module
from gateway.hall.glances import Glances
from gateway.hall.hall import Hall
from gateway.hall.halls import Halls
from gateway.hall.settings import HallSettings
from gateway.process import hall_news as hall_news_module
from gateway.process.hall_news import HallNews
from gateway.process.news import News, Topic
from tests.ending import dispose
from tests.factories import make_event, set_seats


@dataclass
class Site:
    """One gateway's halls with their news, and a worker that books by hand."""

    halls: Halls
    news: News
    client: redis.asyncio.Redis
    engine: AsyncEngine
    redis_url: str
    event_id: int
    connection: psycopg.Connection[tuple[object, ...]]
    reads: SmallReads

    def book(self, version: int) -> None:
        set_seats(self.connection, self.event_id, [(1, 1, version)], "booked", None, None)
        self.connection.execute("UPDATE event SET version = %s WHERE event_id = %s", (version, self.event_id))
        self.connection.commit()
        change = EventChange(
            self.event_id, version, (SeatChange(1, 1, version, "booked"),), (Count(1, 60 - version, 0),)
        )
        with jobs_client(self.redis_url) as client:
            publish(client, BatchNews(uuid7(), "another gateway", 0, (), (change,)), 60)

    async def listeners(self) -> int:
        [(_, count)] = await self.client.pubsub_numsub(event_channel(self.event_id))
        return int(count)


@pytest.fixture
async def site(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    # Whatever is seen is then of messages.
    monkeypatch.setattr(halls_module, "VERIFY_SECONDS", 3600.0)
    monkeypatch.setattr(hall_news_module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(hall_news_module, "CONFIRMED_SECONDS_MAX", 10.0)
    engine, reads = create_engine(database_url, 2), SmallReads(database_url, "test")
    halls = Halls(engine, settings=HallSettings(unused_seconds=5))
    topic: Topic[EventChange] = Topic([], decode_change, [halls.on_change])
    news = News(plain_async_client(redis_url), [Topic(["other"], bytes, [])], lambda: None)
    hall_news = HallNews(news, topic, event_channel, lambda: halls.in_memory)
    halls.follow = hall_news.follow
    tasks = [asyncio.create_task(work) for work in (news.listen(), hall_news.keep())]
    await asyncio.wait_for(news.connected.wait(), 10)
    with psycopg.connect(database_url) as connection:
        async with plain_async_client(redis_url) as client:
            yield Site(halls, news, client, engine, redis_url, make_event(connection), connection, reads)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await reads.close()
    await dispose(engine)


async def await_true(what: str, check: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not check():
        assert time.monotonic() < until, what
        await asyncio.sleep(0.01)


async def test_what_is_told_while_a_hall_is_read_for_the_first_time_is_not_missed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Hall.load

    async def slow(hall: Hall, connection: AsyncConnection) -> None:
        # The snapshot is taken before the booking, and used after it was told.
        await connection.begin()
        await connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await connection.exec_driver_sql("SELECT version FROM event")
        await asyncio.to_thread(site.book, 1)
        await read(hall, connection)

    monkeypatch.setattr(Hall, "load", slow)
    monkeypatch.setattr("gateway.hall.hall.begin_snapshot", _nothing)
    hall = await site.halls.hall(site.event_id)
    await await_true("the change is heard", lambda: hall.version == 1)
    assert len(hall.taken) == 1


async def _nothing(connection: AsyncConnection) -> None:
    pass


async def test_an_event_is_followed_while_somebody_looks_and_read_anew_for_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await site.listeners() == 0
    hall = await site.halls.hall(site.event_id)
    assert await site.listeners() == 1
    site.book(1)
    await await_true("the change is heard", lambda: hall.version == 1)

    monkeypatch.setattr(halls_module, "VERIFY_SECONDS", 0.05)
    verifying = asyncio.create_task(site.halls.verify(site.reads))
    hall.used_at -= 4
    await asyncio.sleep(0.2)
    assert await site.listeners() == 1, "somebody has looked lately"
    hall.used_at -= 4
    await await_true("nobody looks", lambda: not site.halls.in_memory)
    until = time.monotonic() + 10
    while await site.listeners():
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    verifying.cancel()
    with suppress(asyncio.CancelledError):
        await verifying

    site.book(2)
    assert (await site.halls.hall(site.event_id)).version == 2
    assert await site.listeners() == 1


async def test_a_glance_keeps_no_hall_and_is_read_anew_when_something_changed(site: Site) -> None:
    reads = OldReads(site.engine)
    glances = Glances(site.halls, reads, site.reads)
    glanced = (await glances.at([site.event_id]))[site.event_id]
    assert (glanced.event.event_id, glanced.quantity, glanced.free) == (site.event_id, 84, 84)
    assert (list(site.halls.in_memory), await site.listeners()) == ([], 0)
    assert await glances.at([site.event_id + 1_000_000]) == {}, "another caller looks elsewhere"
    made = reads.made["primary"]
    assert (await glances.at([site.event_id]))[site.event_id] is glanced
    assert reads.made["primary"] == made, "nothing has changed"
    site.book(1)
    assert (await glances.at([site.event_id]))[site.event_id].version == glanced.version + 1
    hall = await site.halls.hall(site.event_id)
    assert (await glances.at([site.event_id, site.event_id + 1_000_000])) == {site.event_id: hall}


async def test_a_lost_connection_follows_again_what_is_in_memory(site: Site) -> None:
    hall = await site.halls.hall(site.event_id)
    for one in await site.client.client_list(_type="pubsub"):
        await site.client.client_kill_filter(_id=one["id"])
    until = time.monotonic() + 10
    while not await site.listeners():
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    site.book(1)
    await await_true("the change is heard", lambda: hall.version == 1)
