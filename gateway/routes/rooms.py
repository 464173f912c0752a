"""Operators: rooms in numbers, and the door's controls."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import msgspec
from litestar.params import Parameter

from db.change_log.changes import Subject, change_rows, select_changes
from db.operators.roles import OWNER, VIEWER
from db.rooms.dials import DIALS
from db.rooms.rooms import UnknownRoomError
from db.rooms.steering import Ask, RoomChangedError, SteeringRefusedError, steer
from db.rooms.steps import STEP_DIALS, StepRefusedError, TooManyStepsError, UnknownStepError
from gateway.contract.dials import dials_in
from gateway.contract.rooms import (
    RoomAnswer,
    RoomHistory,
    RoomList,
    RoomLogList,
    RoomPatch,
    RoomStepAnswer,
    RoomStepBody,
    RoomStepList,
    log_line,
    step_answer,
)
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event, somewhere
from gateway.identity.sessions import Session
from gateway.line.registry import NO_ROOM
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.requests import AnyRequest
from gateway.wire.stream import StreamResponse

operators = operator_router("operators")

ROOM_REFUSED: Final = ("invalid_request", "unknown_event")
STEP_REFUSED: Final = (*ROOM_REFUSED, "conflict", "too_many_steps", "body_too_large", "unsupported_media_type")
PathStep = Annotated[uuid.UUID, Parameter(description="the step's stepId")]
PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]


@operators.get("/api/ops/rooms", needs=somewhere(VIEWER))
async def rooms(request: AnyRequest, operator: Session) -> RoomList:
    """Every room in numbers that the operator may see."""
    figures = services_of(request).figures
    return RoomList(rooms=await figures.of_rooms(figures.rows_of(operator.grants.events_of(VIEWER))))


@operators.get("/api/ops/rooms/{event_id:int}", refuses=ROOM_REFUSED, needs=at_event(VIEWER))
async def room(request: AnyRequest, event_id: PathEvent) -> RoomAnswer:
    """One room in numbers."""
    services = services_of(request)
    found = await services.figures.of_room(await services.rooms.required_row(event_id))
    if found is None:
        raise ProblemError("unknown_event", NO_ROOM)
    return found


@operators.patch(
    "/api/ops/rooms/{event_id:int}",
    refuses=(*ROOM_REFUSED, "conflict", "body_too_large", "unsupported_media_type"),
    needs=at_event(OWNER),
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
        dials=dials_in(data, DIALS.values()),
    )
    revision = None if data.revision is msgspec.UNSET else data.revision
    with _refusals_as_problems():
        async with services.engine.begin() as connection:
            changed = await steer(connection, event_id, ask, operator.name, data.why, revision=revision)
    await services.rooms.configure(changed)
    found = await services.figures.of_room(changed)
    assert found is not None
    return found


@contextmanager
def _refusals_as_problems() -> Iterator[None]:
    try:
        yield
    except UnknownRoomError:
        raise ProblemError("unknown_event", NO_ROOM) from None
    except SteeringRefusedError as refused:
        raise invalid(str(refused), _path_of(refused.field)) from None
    except RoomChangedError as meanwhile:
        raise conflict(meanwhile) from None


def _path_of(field: str) -> str:
    """The field of a `RoomPatch` by its path in the body."""
    names = dict(zip(RoomPatch.__struct_fields__, RoomPatch.__struct_encode_fields__, strict=True))
    return f"$.{names[field]}" if field else "$"


def conflict(meanwhile: RoomChangedError) -> ProblemError:
    """``conflict``, with the revision in force and what was changed meanwhile."""
    lines = [log_line(row) for row in meanwhile.since]
    return ProblemError("conflict", revision=meanwhile.revision, changes=msgspec.to_builtins(lines))


@operators.get("/api/ops/rooms/{event_id:int}/steps", refuses=ROOM_REFUSED, needs=at_event(VIEWER))
async def steps(request: AnyRequest, event_id: PathEvent) -> RoomStepList:
    """What is scheduled for the room, the first to come first."""
    services = services_of(request)
    await services.rooms.required_row(event_id)
    return RoomStepList(steps=tuple(step_answer(row) for row in await services.steps.of(event_id)))


@operators.post("/api/ops/rooms/{event_id:int}/steps", refuses=STEP_REFUSED, needs=at_event(OWNER))
async def schedule(request: AnyRequest, operator: Session, event_id: PathEvent, data: RoomStepBody) -> RoomStepAnswer:
    """Schedule a change of the room for a moment to come. It is set within a second of it, in your name.

    If no gateway is up at that moment, it is set when one is; of several steps that are due by then, what the last one
    sets counts.
    """
    paused = None if data.paused is msgspec.UNSET else data.paused
    ask = Ask(paused=paused, dials=dials_in(data, STEP_DIALS))
    revision = None if data.revision is msgspec.UNSET else data.revision
    try:
        with _refusals_as_problems():
            row = await services_of(request).steps.schedule(
                event_id, data.at, ask, operator.name, data.why, revision=revision
            )
    except StepRefusedError as refused:
        raise invalid(str(refused), "$.at") from None
    except TooManyStepsError:
        raise ProblemError("too_many_steps") from None
    return step_answer(row)


@operators.delete(
    "/api/ops/rooms/{event_id:int}/steps/{step_id:uuid}", refuses=(*ROOM_REFUSED, "unknown_step"), needs=at_event(OWNER)
)
async def take_back(request: AnyRequest, operator: Session, event_id: PathEvent, step_id: PathStep) -> None:
    """Take a scheduled change back before it is set."""
    try:
        with _refusals_as_problems():
            await services_of(request).steps.take_back(event_id, step_id, operator.name)
    except UnknownStepError:
        raise ProblemError("unknown_step") from None


@operators.get("/api/ops/rooms/{event_id:int}/log", refuses=ROOM_REFUSED, needs=at_event(VIEWER))
async def log(request: AnyRequest, event_id: PathEvent) -> RoomLogList:
    """Who changed what, the newest first."""
    services = services_of(request)
    await services.rooms.required_row(event_id)
    async with services.engine.connect() as connection:
        found = await connection.exec_driver_sql(*select_changes(Subject.ROOM, event_id))
    return RoomLogList(entries=tuple(log_line(row) for row in change_rows(found)))


@operators.get("/api/ops/rooms/{event_id:int}/history", refuses=ROOM_REFUSED, needs=at_event(VIEWER))
async def history(request: AnyRequest, event_id: PathEvent) -> RoomHistory:
    """A room's last hour in numbers."""
    services = services_of(request)
    await services.rooms.required_row(event_id)
    return await services.history.last_hour(event_id)


@operators.get(
    "/api/ops/stream", media_type="text/event-stream", refuses=("too_many_streams",), needs=somewhere(VIEWER)
)
async def stream(request: AnyRequest, operator: Session) -> StreamResponse:
    """Every room that the operator may see, once a second. It ends with ``signed-out`` when the session does."""
    services = services_of(request)
    slot = services.stream_slots.slot()
    slot.require_free()
    subscribe = functools.partial(services.figures.subscribe, operator.grants.events_of(VIEWER))
    return StreamResponse(services.operators.bound(operator, subscribe), slot)


ROUTERS = (operators,)
