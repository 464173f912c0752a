"""Operators: rooms in numbers, and the door's controls."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Final

import msgspec
from litestar.params import Parameter
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from booking_lane.lane import lane_of, queue_name
from db.change_log.changes import Subject, change_rows, select_changes
from db.rooms.dials import DIALS, dials_of
from db.rooms.rooms import RoomRow, UnknownRoomError
from db.rooms.states import RoomState
from db.rooms.steering import Ask, RoomChangedError, SteeringRefusedError, steer
from gateway.contract.dials import asked_of
from gateway.contract.rooms import RoomAnswer, RoomHistory, RoomList, RoomLogList, RoomPatch, log_line
from gateway.contract.values import ID_MAX
from gateway.hall.halls import UnknownEventError
from gateway.health.presence import Presence, present
from gateway.identity.sessions import Session
from gateway.line.history import POINT_SECONDS, charted, hour, note, take_turn
from gateway.line.places import room_state
from gateway.routes.routers import operator_router
from gateway.services import AnyRequest, Services, services_of
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.stream import Stream, StreamResponse, frame
from waiting_room.errors import RoomError

operators = operator_router("operators")

logger = logging.getLogger(__name__)

STREAM_SECONDS: Final = 1.0
FIGURES_SECONDS: Final = 60.0
ROOM_REFUSED: Final = ("invalid_request", "unknown_event")
PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]


async def _room(services: Services, row: RoomRow, here: Sequence[Presence]) -> RoomAnswer | None:
    counts = await services.counts.of(row.event_id)
    if counts is None:
        return None
    # Another gateway may have changed it since this one read it.
    row = await services.rooms.row(row.event_id, revision_min=counts.config.revision) or row
    try:
        hall = await services.halls.hall(row.event_id)
    except UnknownEventError:
        # Gone, a rehearsal's copy for one, since the rooms were read.
        return None
    lane = lane_of(row.event_id, services.settings.lane.count)
    recent = services.desk.recent(lane, FIGURES_SECONDS)
    errors: Counter[str] = Counter()
    for (_, how), number in recent.commands.items():
        if how != "succeeded":
            errors[how] += number
    queued = await services.jobs.llen(f"rq:queue:{queue_name(lane)}")
    return RoomAnswer(
        event_id=row.event_id,
        name=hall.event.name,
        state=room_state(counts),
        waiting=counts.waiting,
        priority_waiting=counts.priority,
        called=counts.called,
        admitted=counts.admitted,
        **dials_of(row),
        rate_now_per_minute=round(counts.rate_per_minute, 1),
        measured_per_minute=counts.pace.admitted_per_minute,
        called_per_minute=_rounded(counts.pace.called_per_minute),
        let_in=counts.let_in,
        lobby=counts.lobby,
        paused=row.state is RoomState.PAUSED,
        closed=row.state is RoomState.CLOSED,
        autopilot_why=counts.steering.why if row.autopilot and counts.steering is not None else "",
        no_show_rate=counts.pace.no_show_rate,
        p50_booking_ms=recent.wait_ms(0.5),
        p95_booking_ms=recent.wait_ms(0.95),
        errors=dict(errors),
        backlog=int(queued) + services.desk.lanes[lane].backlog,
        sold=hall.quantity - hall.free - hall.held,
        held=hall.held,
        free=hall.free,
        revision=row.revision,
        gateways=len(here),
        gateways_in_force=sum(gateway.knows(row.event_id, row.revision) for gateway in here),
    )


def _rounded(per_minute: float | None) -> float | None:
    return None if per_minute is None else round(per_minute, 1)


async def room_answers(services: Services, rows: Iterable[RoomRow] | None = None) -> tuple[RoomAnswer, ...]:
    """Every room in numbers, or those of ``rows``."""
    here = await present(services.jobs)
    found = [await _room(services, row, here) for row in list(services.rooms.rows.values() if rows is None else rows)]
    return tuple(room for room in found if room is not None)


async def _row(services: Services, event_id: int) -> RoomRow:
    row = await services.rooms.row(event_id)
    if row is None:
        raise ProblemError("unknown_event", "This event has no waiting room.")
    return row


@operators.get("/api/ops/rooms")
async def rooms(request: AnyRequest) -> RoomList:
    """Every room in numbers."""
    services = services_of(request)
    return RoomList(rooms=await room_answers(services))


@operators.get("/api/ops/rooms/{event_id:int}", refuses=ROOM_REFUSED)
async def room(request: AnyRequest, event_id: PathEvent) -> RoomAnswer:
    """One room in numbers."""
    services = services_of(request)
    found = await _room(services, await _row(services, event_id), await present(services.jobs))
    if found is None:
        raise ProblemError("unknown_event", "This event has no waiting room.")
    return found


@operators.patch(
    "/api/ops/rooms/{event_id:int}",
    refuses=(*ROOM_REFUSED, "conflict", "body_too_large", "unsupported_media_type"),
)
async def change(request: AnyRequest, operator: Session, event_id: PathEvent, data: RoomPatch) -> RoomAnswer:
    """Steer the door: Postgres and its log first, then Redis, then every gateway.

    With ``revision`` a change is refused where somebody else was there first; the problem then has the ``revision``
    now in force and as ``changes`` what was changed since, as in the log, the oldest first.
    """
    services = services_of(request)
    ask = Ask(
        paused=None if data.paused is msgspec.UNSET else data.paused,
        closed=None if data.closed is msgspec.UNSET else data.closed,
        dials=asked_of(data, DIALS.values()),
    )
    revision = None if data.revision is msgspec.UNSET else data.revision
    try:
        async with services.engine.begin() as connection:
            changed = await steer(connection, event_id, ask, operator.name, data.why, revision=revision)
    except UnknownRoomError:
        raise ProblemError("unknown_event", "This event has no waiting room.") from None
    except SteeringRefusedError as refused:
        raise invalid(str(refused), _path_of(refused.field)) from None
    except RoomChangedError as meanwhile:
        raise _conflict(meanwhile) from None
    await services.rooms.configure(changed)
    found = await _room(services, changed, await present(services.jobs))
    assert found is not None
    return found


def _path_of(field: str) -> str:
    """The field of a `RoomPatch` by its path in the body."""
    names = dict(zip(RoomPatch.__struct_fields__, RoomPatch.__struct_encode_fields__, strict=True))
    return f"$.{names[field]}" if field else "$"


def _conflict(meanwhile: RoomChangedError) -> ProblemError:
    lines = [log_line(row) for row in meanwhile.since]
    return ProblemError("conflict", revision=meanwhile.revision, changes=msgspec.to_builtins(lines))


@operators.get("/api/ops/rooms/{event_id:int}/log", refuses=ROOM_REFUSED)
async def log(request: AnyRequest, event_id: PathEvent) -> RoomLogList:
    """Who changed what, the newest first."""
    services = services_of(request)
    await _row(services, event_id)
    async with services.engine.connect() as connection:
        found = await connection.exec_driver_sql(*select_changes(Subject.ROOM, event_id))
    return RoomLogList(entries=tuple(log_line(row) for row in change_rows(found)))


@operators.get("/api/ops/rooms/{event_id:int}/history", refuses=ROOM_REFUSED)
async def history(request: AnyRequest, event_id: PathEvent) -> RoomHistory:
    """A room's last hour in numbers."""
    services = services_of(request)
    await _row(services, event_id)
    return await hour(services.line_redis, event_id)


@operators.get("/api/ops/stream", media_type="text/event-stream", refuses=("too_many_streams",))
async def stream(request: AnyRequest) -> StreamResponse:
    """Every room once a second."""
    services = services_of(request)
    services.stream_slots.require_free()

    async def subscribe(opened: Stream) -> Callable[[], Awaitable[None]]:
        telling = asyncio.get_running_loop().create_task(_tell(services, opened))

        async def leave() -> None:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

        return leave

    return StreamResponse(subscribe, services.stream_slots)


async def _tell(services: Services, opened: Stream) -> None:
    try:
        while not opened.closed and time.monotonic() < opened.ends_at and not services.line_streams.ending:
            try:
                for found in await room_answers(services):
                    opened.write(frame("room", msgspec.json.encode(found)))
            except (RedisError, SQLAlchemyError, RoomError, OSError) as error:
                # The console sees by the silence that its figures are old.
                logger.warning("rooms not told to the console: %s", error)
            await asyncio.sleep(STREAM_SECONDS)
    finally:
        opened.end()


async def keep_hours(services: Services) -> None:
    """Note every room's numbers for as long as the process runs: leaderless, whoever comes first notes all."""
    while True:
        if await take_turn(services.line_redis):
            found = [await _room(services, row, ()) for row in charted(services.rooms.rows.values())]
            await note(services.line_redis, [room for room in found if room is not None])
        await asyncio.sleep(POINT_SECONDS / 4)


ROUTERS = (operators,)
