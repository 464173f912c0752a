"""The life of a gateway process: it waits for its servers, keeps its services running, and ends in an orderly way."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import psycopg
from litestar import Litestar
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from booking_lane import tracing
from booking_lane.clients import plain_async_client
from booking_lane.results import (
    BatchNews,
    awaited_channel,
    channel,
    decode_awaited,
    decode_change,
    decode_news,
    decode_opened,
    event_channel,
    opened_channel,
    origin_channel,
)
from db.channels import database_of
from db.lanes.maps import LANES_MAX
from db.patience import Patience
from db.shards import is_cluster
from gateway.process.ending import Ending
from gateway.process.hall_news import HallNews
from gateway.process.news import News, Topic
from gateway.process.room_news import RoomNews
from gateway.process.warming import load_the_rest
from gateway.services import Services
from waiting_room.keys import news_channel
from waiting_room.model import read_news

logger = logging.getLogger(__name__)

START_SECONDS_MAX: Final = 30.0
LISTENING_SECONDS_MAX: Final = 5.0
"""A gateway starts without messages if it cannot subscribe at Redis within this time."""
KEEPER_PAUSE_SECONDS: Final = 0.5
FORMER_SECONDS: Final = 1.0
"""So often is looked whether a worker of the release before is at work."""
CLOSE_SECONDS_MAX: Final = 1.0
"""The longest that each part of the end may take, because each waits for a server."""
GC_THRESHOLDS: Final = (100_000, 20, 50)

Keeper = Callable[[], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Start the services, keep them, and end them in an orderly way."""
    services: Services = app.state["services"]
    ending = Ending(services.settings.ending.drain_seconds, services.begin_ending, services.say_farewell)
    ending.listen()
    await _begin(services)
    await services.check_in.open()
    _settle_memory()
    listeners, followers = _listeners(services)
    services.readiness.begin(
        lambda: (services.stream_slots.open, services.desk.backlog),
        services.rooms.revisions,
        lambda: services.old_reads.is_fresh if services.old_reads.has_replica else None,
    )
    tasks = [asyncio.create_task(_keep(keeper)) for keeper in [*_keepers(services, listeners), *followers]]
    with contextlib.suppress(TimeoutError):
        connected = asyncio.gather(*(listener.connected.wait() for listener in listeners))
        await asyncio.wait_for(connected, LISTENING_SECONDS_MAX)
    ending.serving = True
    tasks.append(asyncio.create_task(load_the_rest()))
    try:
        yield
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(services.desk.close(), CLOSE_SECONDS_MAX)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS_MAX)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_close(services), CLOSE_SECONDS_MAX)


def _keepers(services: Services, listeners: Sequence[News]) -> list[Keeper]:
    """The functions that run for as long as the process does."""
    return [
        services.readiness.keep,
        *([services.old_reads.keep] if services.old_reads.has_replica else []),
        *([] if services.search_memory is None else [services.search_memory.keep]),
        services.loop_lag.keep,
        services.clock.keep,
        functools.partial(services.networks.keep, services.small_reads),
        services.ended_sessions.keep,
        services.keys.keep,
        services.limits.seen.keep,
        services.suspicions.keep,
        *(listener.listen for listener in listeners),
        services.desk.keep_finishing,
        services.desk.keep_figures,
        services.desk.site_lanes.keep,
        functools.partial(services.halls.verify, services.small_reads),
        services.halls.keep_streams,
        services.rooms.keep_refreshed,
        services.door.keep_lease,
        services.door.keep_admitting,
        services.autopilot.keep_steering,
        services.shop_probes.keep_looking,
        functools.partial(services.steps.keep_setting, services.small_reads),
        services.line_streams.run,
        services.operators.keep_streams,
        services.history.keep_recorded,
    ]


def _listeners(services: Services) -> tuple[list[News], list[Keeper]]:
    """The listeners to published messages, one for each Redis, and what has them follow the rooms with fans here and
    the events whose halls are here. There is one Redis, unless the jobs have their own. The line's may be a cluster,
    with listeners that come and go.
    """
    room = Topic(
        [news_channel(database_of(services.line_redis))],
        read_news,
        [services.rooms.on_news, services.shop_checks.on_news, services.line_streams.on_news],
    )
    database, desk = database_of(services.jobs), services.desk
    of_jobs: list[Topic[Any]] = [
        Topic([origin_channel(desk.origin, database)], decode_news, [desk.on_batch], span=_span_of_batch),
        Topic([awaited_channel(desk.origin, database)], decode_awaited, [desk.waiters.on_awaited]),
        Topic([opened_channel(database)], decode_opened, [desk.waiters.on_opened]),
    ]
    on_gap = functools.partial(_on_gap, services)
    following = RoomNews(
        services.line_redis, room, functools.partial(_watched, services), functools.partial(_on_followed, services)
    )
    services.line_streams.on_watched(following.look_soon)
    urls = services.settings.redis
    line: News | None
    if urls.one_server:
        jobs = line = _listener(urls.line, [room, *of_jobs], on_gap)
    else:
        jobs = _listener(urls.jobs, of_jobs, on_gap)
        line = None if is_cluster(services.line_redis) else _listener(urls.line, [room], on_gap)
    hall_news = HallNews(
        jobs,
        Topic([], decode_change, [services.halls.on_change]),
        functools.partial(event_channel, database=database),
        lambda: services.halls.in_memory,
    )
    services.halls.follow = hall_news.follow
    followers: list[Keeper] = [
        functools.partial(following.keep, line, on_gap),
        hall_news.keep,
        functools.partial(_keep_former, services, jobs, database),
    ]
    return [one for one in dict.fromkeys((jobs, line)) if one is not None], followers


async def _keep_former(services: Services, jobs: News, database: int) -> None:
    """Listen to the lanes of workers of the release before, for as long as the process runs."""
    # The halls come first, because a fan whose request the desk answers may read the hall at once.
    heard = [services.halls.on_former, services.desk.on_former]
    former = Topic([], decode_news, heard, span=_span_of_former)
    while True:
        lanes = services.desk.former_lanes.among(range(LANES_MAX))
        await jobs.follow(former, {channel(lane, database) for lane in lanes})
        await asyncio.sleep(FORMER_SECONDS)


def _listener(url: str, topics: list[Topic[Any]], on_gap: Callable[[], None]) -> News:
    client = plain_async_client(url, socket_timeout=10.0, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0))
    return News(client, topics, on_gap)


def _watched(services: Services) -> set[int]:
    """The events whose fans' news this process needs: their streams are here, or any gateway may check their passes."""
    shops = (event_id for event_id, row in services.rooms.rows.items() if row.shop is not None)
    return {*services.line_streams.watched, *shops}


def _on_followed(services: Services, event_id: int) -> None:
    row = services.rooms.rows.get(event_id)
    if row is not None and row.shop is not None:
        services.shop_checks.on_gap()


def _on_gap(services: Services) -> None:
    services.halls.mark_stale()
    services.line_streams.on_gap()
    services.shop_checks.on_gap()


def _span_of_batch(news: BatchNews) -> AbstractContextManager[object]:
    return tracing.tracer.receiving(news.trace, news.lane)


def _span_of_former(news: BatchNews) -> AbstractContextManager[object]:
    return contextlib.nullcontext() if news.is_told else _span_of_batch(news)


async def _begin(services: Services) -> None:
    """Wait for Postgres and Redis, and read the clock, the keys and the rooms: the first request already needs them."""

    async def read() -> None:
        await services.clock.read()
        await services.keys.refresh()
        await services.desk.start()
        await services.rooms.refresh()
        await services.ended_sessions.refresh()

    away = (RedisError, SQLAlchemyError, psycopg.Error, OSError)
    await Patience(START_SECONDS_MAX, 0.2).retry_async(read, away, "waiting for Postgres and Redis")


def _settle_memory() -> None:
    """Keep the garbage collector away from the objects made at the start, and have it run less often.

    Measurements showed that full collections of a gateway's heap delayed every request of the process. A collection
    before would be an eighth of the start, and would find three thousand small objects, less than a megabyte.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GC_THRESHOLDS)


async def _keep(keeper: Keeper) -> None:
    """Run the keeper; whenever it fails, log that and run it again."""
    function = keeper.func if isinstance(keeper, functools.partial) else keeper
    name = getattr(function, "__qualname__", type(function).__name__)
    while True:
        try:
            await keeper()
        except (RedisError, SQLAlchemyError, psycopg.Error, OSError) as error:
            logger.warning("%s: a part is away: %s", name, error)
        except Exception:
            logger.exception("%s ended", name)
        await asyncio.sleep(KEEPER_PAUSE_SECONDS)


async def _close(services: Services) -> None:
    await services.door.close()
    await services.readiness.close()
    await services.captcha.close()
    services.programme.close()
    services.pictures.close()
    services.sign_in.close()
    services.accounts.close()
    await services.shop_probes.close()
    await services.issuers.close()
    if services.search_index is not None:
        await services.search_index.close()
    for client in (services.line_redis, services.jobs):
        await client.aclose()
    await services.old_reads.close()
    await services.check_in.close()
    await services.reader.close()
    await services.small_reads.close()
    await services.engine.dispose()
