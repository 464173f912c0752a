"""Makes the services of a gateway process and gives each the ones that it needs."""

from __future__ import annotations

from typing import Final

from booking_lane.clients import async_client, jobs_client
from db.connections.engines import create_engine
from gateway.booking.desk import Desk
from gateway.booking.reader import Reader
from gateway.captcha.providers import build_captcha
from gateway.hall.access import HallAccess
from gateway.hall.catalogue import Catalogue
from gateway.hall.halls import Halls
from gateway.health.readiness import Readiness
from gateway.identity.limits import RateLimits
from gateway.identity.sessions import Identity
from gateway.line.admission import Admission
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
from gateway.process.clock import Clock
from gateway.programme.programme import Programme
from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.wire.stream_slots import StreamSlots
from waiting_room.line import Line
from waiting_room.tokens import Tokens

REDIS_CONNECTIONS_MAX: Final = 32
PLACE_TOKEN_SECONDS: Final = 7 * 24 * 3600


def build_services(settings: GatewaySettings) -> Services:
    """The services of one process; none of them is connected yet."""
    engine = create_engine(settings.db.url, settings.db.pool_max)
    line_redis = async_client(settings.redis.line, connections_max=REDIS_CONNECTIONS_MAX)
    jobs = async_client(settings.redis.jobs, connections_max=REDIS_CONNECTIONS_MAX)
    halls = Halls(engine)
    clock = Clock(line_redis)
    tokens = Tokens(
        settings.site.secret, place_seconds=PLACE_TOKEN_SECONDS, hold_seconds=settings.hold.seconds, now=clock.now
    )
    line = Line(line_redis)
    rooms = RoomRegistry(engine, line, settings.line)
    counts = Counts(engine, line, rooms, settings.hold.grace_seconds)
    places = Places(rooms, tokens, clock.now)
    restoring = Restoring(engine, line, rooms, settings.hold.seconds)
    passes = Passes(tokens, secure=settings.site.production)
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
        reader=Reader(settings.db.url, settings.db.pool_max, grace_seconds=settings.hold.grace_seconds),
        halls=halls,
        hall_access=HallAccess(halls, identity),
        catalogue=Catalogue(engine),
        limits=limits,
        stream_slots=StreamSlots(settings.stream),
        line=line,
        rooms=rooms,
        door=Door(line, rooms, Draws(engine, line)),
        counts=counts,
        places=places,
        passes=passes,
        admission=Admission(line, rooms, restoring, passes),
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
        autopilot=Autopilot(line, rooms, desk, settings.autopilot.p95_ms),
        programme=Programme(settings.db.url, settings.event.seats_max, halls, line, rooms),
    )
