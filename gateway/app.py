"""The application: services made at start, tasks that keep them true, routes, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

import redis.asyncio
from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from booking_lane import tracing
from booking_lane.clients import async_client, jobs_client
from booking_lane.results import BatchNews, channel, decode_news
from db.connections.engines import create_engine
from gateway.booking.desk import Desk
from gateway.booking.reader import Reader
from gateway.captcha.providers import build_captcha
from gateway.express import Express
from gateway.hall.access import HallAccess
from gateway.hall.halls import Halls
from gateway.health.readiness import Readiness
from gateway.health.scrape import Scrape
from gateway.identity.limits import RateLimits
from gateway.identity.sessions import Identity
from gateway.line.autopilot import Autopilot
from gateway.line.codes import AccessCodes, CodeIssues
from gateway.line.counts import Counts
from gateway.line.door import Door
from gateway.line.draws import Draws
from gateway.line.figures import RoomFigures
from gateway.line.finding import Finding
from gateway.line.history import History
from gateway.line.joining import Joining
from gateway.line.passes import Passes
from gateway.line.places import Places
from gateway.line.receipts import PublicDraws, Receipts
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.line.streams import LineStreams
from gateway.pages import routes as pages
from gateway.pages.data import PagesFromServices
from gateway.pages.problems import EVERYWHERE
from gateway.pages.schema import openapi_config
from gateway.process.clock import Clock
from gateway.process.ending import Ending
from gateway.process.news import News, Topic
from gateway.programme.programme import Programme
from gateway.routes import booking, codes, draws, halls, health, line, programme, rooms, sessions, webhooks
from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.wire import request_ids
from gateway.wire.bodies import StrictRequest
from gateway.wire.openapi import Details
from gateway.wire.stream import serve
from gateway.wire.stream_slots import StreamSlots
from waiting_room.keys import NEWS_CHANNEL
from waiting_room.line import Line
from waiting_room.model import read_news
from waiting_room.tokens import Tokens

logger = logging.getLogger(__name__)

REDIS_CONNECTIONS_MAX = 32
START_SECONDS_MAX = 30.0
PLACE_SECONDS = 7 * 24 * 3600
KEEPER_PAUSE_SECONDS = 0.5
CLOSE_SECONDS_MAX = 1.0
"""Each part of the end that asks somebody else."""
GC_THRESHOLDS = (100_000, 20, 50)


def build_services(settings: GatewaySettings) -> Services:
    """Everything a process works with; connects to nothing yet."""
    engine = create_engine(settings.db.url, settings.db.pool_max)
    line_redis = async_client(settings.redis.line, connections_max=REDIS_CONNECTIONS_MAX)
    jobs = async_client(settings.redis.jobs, connections_max=REDIS_CONNECTIONS_MAX)
    halls = Halls(engine)
    clock = Clock(line_redis)
    tokens = Tokens(
        settings.site.secret, place_seconds=PLACE_SECONDS, hold_seconds=settings.hold.seconds, now=clock.now
    )
    line = Line(line_redis)
    rooms = RoomRegistry(engine, line, settings.line)
    counts = Counts(engine, line, rooms)
    places = Places(rooms, tokens, clock.now)
    restoring = Restoring(engine, line, rooms, settings.hold.seconds)
    finding = Finding(line, rooms, counts, restoring, halls)
    limits = RateLimits(line_redis)
    codes = AccessCodes(engine, line_redis, settings.site.secret, settings.limit.wrong_codes_per_minute)
    captcha = build_captcha(settings.captcha, line_redis, clock.now, process_secret=settings.site.secret)
    identity = Identity(
        settings.site.secret,
        session_seconds=settings.session.seconds,
        open_auth=settings.session.open_auth,
        secure=settings.site.production,
        now=clock.now,
    )
    desk = Desk(settings.lane, engine, jobs, jobs_client(settings.redis.jobs))
    draws = PublicDraws(engine, rooms, counts, places)
    figures = RoomFigures(rooms, counts, halls, desk, jobs)
    return Services(
        settings=settings,
        engine=engine,
        line_redis=line_redis,
        jobs=jobs,
        clock=clock,
        identity=identity,
        captcha=captcha,
        reader=Reader(settings.db.url, settings.db.pool_max),
        halls=halls,
        hall_access=HallAccess(halls, identity),
        limits=limits,
        stream_slots=StreamSlots(settings.stream),
        line=line,
        rooms=rooms,
        door=Door(line, rooms, Draws(engine, line)),
        counts=counts,
        places=places,
        passes=Passes(tokens, secure=settings.site.production),
        finding=finding,
        joining=Joining(finding, restoring, limits, codes, captcha, settings.limit),
        restoring=restoring,
        codes=codes,
        desk=desk,
        figures=figures,
        history=History(line_redis, rooms, figures),
        draws=draws,
        receipts=Receipts(line, draws),
        code_issues=CodeIssues(engine, codes.hasher),
        line_streams=LineStreams(line, rooms, counts, places, restoring),
        readiness=Readiness(
            settings.db,
            settings.redis,
            lanes=settings.lane.count,
            streams_max=settings.stream.per_process_max,
            secret=settings.site.secret,
        ),
        programme=Programme(settings.db.url, halls, line, rooms),
    )


def _news(services: Services) -> list[News]:
    """What is published, and to whom: one listener a Redis, one in all unless the jobs have a Redis of their own."""
    room = Topic([NEWS_CHANNEL], read_news, [services.rooms.on_news, services.line_streams.on_news])
    lane = Topic(
        [channel(number) for number in range(services.settings.lane.count)],
        decode_news,
        # The hall first: a fan whose request the desk answers may read the hall at once.
        [services.halls.on_batch, services.desk.on_batch],
        span=_span_of_batch,
    )
    urls = services.settings.redis
    topics: list[tuple[str, list[Topic[Any]]]] = (
        [(urls.line, [room, lane])] if urls.one_server else [(urls.line, [room]), (urls.jobs, [lane])]
    )
    return [
        News(
            redis.asyncio.Redis.from_url(url, socket_timeout=10.0, socket_connect_timeout=2.0),
            heard,
            services.halls.mark_stale,
        )
        for url, heard in topics
    ]


def _span_of_batch(news: BatchNews) -> AbstractContextManager[object]:
    return contextlib.nullcontext() if tracing.on is None else tracing.on.hearing(news.trace, news.lane)


async def _begin(services: Services) -> None:
    """Wait for Postgres and Redis, and read what the door needs before the first fan."""
    until = asyncio.get_running_loop().time() + START_SECONDS_MAX
    while True:
        try:
            await services.clock.read()
            await services.desk.start()
            await services.rooms.refresh()
        except (RedisError, SQLAlchemyError, OSError) as error:
            if asyncio.get_running_loop().time() > until:
                raise
            logger.warning("waiting for Postgres and Redis: %s", error)
            await asyncio.sleep(0.2)
        else:
            return


def _settle_memory() -> None:
    """What stands after the start stays: the collector need not look at it again, nor come so often.

    Measured, full collections of a gateway's heap were pauses that every fan of the process felt.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _keep(keeper: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run what never ends; should it end by a fault of ours, say so and run it again."""
    name = getattr(keeper, "__qualname__", type(keeper).__name__)
    while True:
        try:
            await keeper()
        except (RedisError, SQLAlchemyError, OSError) as error:
            logger.warning("%s: a part is away: %s", name, error)
        except Exception:
            logger.exception("%s ended", name)
        await asyncio.sleep(KEEPER_PAUSE_SECONDS)


@contextlib.asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    services: Services = app.state["services"]
    await _begin(services)
    await services.reader.open()
    _settle_memory()
    listeners = _news(services)
    services.readiness.begin(lambda: (services.stream_slots.open, services.desk.backlog), services.rooms.revisions)
    ending = Ending(services.settings.ending.drain_seconds, services.begin_ending, services.say_farewell)
    keepers: list[Callable[[], Coroutine[Any, Any, None]]] = [
        services.readiness.keep,
        services.loop_lag.keep,
        services.clock.keep,
        *(listener.listen for listener in listeners),
        services.desk.keep_finishing,
        services.desk.keep_figures,
        services.halls.verify,
        services.halls.keep_streams,
        services.rooms.keep_refreshed,
        services.door.keep_admitting,
        Autopilot(services.line, services.rooms, services.desk, services.settings.autopilot.p95_ms).keep_steering,
        services.line_streams.run,
        services.history.keep_recorded,
    ]
    tasks = [asyncio.create_task(_keep(keeper)) for keeper in keepers]
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*(listener.connected.wait() for listener in listeners)), 5)
    ending.listen()
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


async def _close(services: Services) -> None:
    await services.readiness.close()
    await services.captcha.close()
    services.programme.close()
    for client in (services.line_redis, services.jobs):
        await client.aclose()
    await services.reader.close()
    await services.engine.dispose()


class Gateway(Litestar):
    """Litestar, with a short way to what is asked most, and streams that outlast its call
    (`gateway.wire.stream.serve`)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._express = Express(self)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request_ids.begin(scope)
        if not await self._express.answers(scope, receive, send):
            await serve(self._the_long_way, scope, receive, send)

    async def _the_long_way(self, scope: Any, receive: Any, send: Any) -> None:
        services: Services = self.state["services"]
        await super().__call__(scope, receive, services.traffic.watch(scope, send))


def _handlers(*modules: Any) -> list[HTTPRouteHandler]:
    """Of the routers of modules of `gateway.routes`, in their order."""
    return [handler for module in modules for router in module.ROUTERS for handler in router.handlers]


def _details() -> dict[str, Details]:
    """What the routers say of each operation beyond its types."""
    modules = (sessions, halls, line, draws, booking, rooms, programme, webhooks, codes, health)
    return {name: details for module in modules for one in module.ROUTERS for name, details in one.details.items()}


def create_app(settings: GatewaySettings) -> Litestar:
    """The ASGI application of one gateway process."""
    services = build_services(settings)
    app = Gateway(
        route_handlers=[
            *_handlers(sessions, halls, line, draws, booking, rooms),
            programme.router(settings.event.bytes_max),
            *_handlers(webhooks, codes, health),
            pages.pages_router(),
        ],
        dependencies={"pages": Provide(lambda: PagesFromServices(services), sync_to_thread=False)},
        exception_handlers=EVERYWHERE,
        request_class=StrictRequest,
        logging_config=None,
        lifespan=[_lifespan],
        request_max_body_size=settings.body.bytes_max,
        openapi_config=openapi_config(_details(), settings.limit.seats_per_request_max),
    )
    app.state["services"] = services
    app.state["scrape"] = Scrape(
        traffic=services.traffic,
        loop_lag=services.loop_lag,
        readiness=services.readiness,
        stream_slots=services.stream_slots,
        engine=services.engine,
        reader=services.reader,
        desk=services.desk,
        jobs=services.jobs,
        read_rooms=services.figures.most_watched,
    )
    return app
