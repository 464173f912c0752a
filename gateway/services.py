"""What the routes work with, made once a process and found on the application's state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, cast

import redis.asyncio
from litestar import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.booking.desk import Desk
from gateway.booking.reader import Reader
from gateway.captcha.captcha import Captcha
from gateway.hall.halls import Hall, Halls, UnknownEventError
from gateway.health.loop_lag import LoopLag
from gateway.health.metrics import Traffic
from gateway.health.readiness import Readiness
from gateway.identity.rehearsals import refuse_stranger
from gateway.identity.sessions import Identity
from gateway.line.codes import AccessCodes
from gateway.line.counts import Counts
from gateway.line.door import Door
from gateway.line.places import Places
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.line.streams import LineStreams
from gateway.process.clock import Clock
from gateway.programme.programme import Programme
from gateway.settings import GatewaySettings
from gateway.wire.problems import ProblemError
from waiting_room.limits import address_prefix, allow
from waiting_room.line import Line

AnyRequest = Request[Any, Any, Any]
LAST_OUTCOMES_SECONDS: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Services:
    settings: GatewaySettings
    engine: AsyncEngine
    line_redis: redis.asyncio.Redis
    jobs: redis.asyncio.Redis
    clock: Clock
    identity: Identity
    captcha: Captcha
    reader: Reader
    halls: Halls
    line: Line
    rooms: RoomRegistry
    door: Door
    counts: Counts
    places: Places
    restoring: Restoring
    codes: AccessCodes
    desk: Desk
    line_streams: LineStreams
    readiness: Readiness
    programme: Programme
    streams_open: int = 0
    traffic: Traffic = field(default_factory=Traffic)
    loop_lag: LoopLag = field(default_factory=LoopLag)

    async def hall(self, event_id: int, *, version_min: int | None = None) -> Hall:
        """The event.

        Raises:
            ProblemError: ``unknown_event``.
        """
        try:
            return await self.halls.hall(event_id, version_min=version_min)
        except UnknownEventError:
            raise ProblemError("unknown_event") from None

    async def hall_to_read(self, request: AnyRequest, event_id: int, *, version_min: int | None = None) -> Hall:
        """The event, for whoever asks.

        Raises:
            ProblemError: ``unknown_event``.
        """
        hall = await self.hall(event_id, version_min=version_min)
        if hall.rehearsal_of is not None:
            refuse_stranger(True, event_id, self.identity.known(request))
        return hall

    async def hall_to_book(self, request: AnyRequest, event_id: int) -> Hall:
        """The event, for a fan who wants to change something.

        Raises:
            ProblemError: ``unknown_event``; ``session_invalid`` for a rehearsal's fan at another event.
        """
        hall = await self.hall(event_id)
        refuse_stranger(hall.rehearsal_of is not None, event_id, self.identity.known(request))
        return hall

    async def limit(self, request: AnyRequest, name: str, per_minute: int, *, network: str = "") -> int:
        """Count one ``name`` of the request's address prefix, or of the ``network`` to take for it; how many there
        were in the last minute.

        Raises:
            ProblemError: ``rate_limited``.
        """
        allowance = await allow(self.line_redis, name, network or address_prefix(address(request)), per_minute)
        if not allowance.allowed:
            raise ProblemError("rate_limited", retry_after_seconds=max(1, allowance.retry_after_seconds))
        return allowance.used

    def begin_ending(self) -> None:
        """The process was told to end: it is not ready from now on."""
        self.readiness.stopping = True

    def say_farewell(self) -> None:
        """Streams end with `bye`, and who still waits a second later for a job's outcome hears that it is queued."""
        self.line_streams.end()
        self.halls.end_streams()
        asyncio.get_running_loop().call_later(LAST_OUTCOMES_SECONDS, self.desk.waiters.dismiss)

    def take_stream(self) -> None:
        """Count one more open stream.

        Raises:
            ProblemError: ``too_many_streams``.
        """
        if self.streams_open >= self.settings.stream.per_process_max:
            raise ProblemError("too_many_streams", retry_after_seconds=5)


def services_of(request: AnyRequest) -> Services:
    return cast(Services, request.app.state["services"])


def address(request: AnyRequest) -> str:
    return request.client.host if request.client is not None else ""
