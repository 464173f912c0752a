"""The operators' desk for fans."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response
from litestar.params import Parameter

from booking_lane.commands import UNSTAMPED, Extend
from db.operators.roles import STEWARD
from gateway.booking.desk import Ask
from gateway.contract.booking import JOBS, JobAccepted
from gateway.contract.help import (
    DeskLine,
    ExtendBody,
    FanFile,
    FanHold,
    FanMessage,
    FanMessageBody,
    FanPlace,
    FanPurchase,
    FoundFanAnswer,
    FoundFans,
    PardonBody,
    PutBackBody,
)
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event, somewhere
from gateway.identity.sessions import Session
from gateway.line.moments import from_ms
from gateway.routes.booking import answer_of
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from waiting_room.model import FanState, Standing

operators = operator_router("desk")

SOUGHT_CHARS_MAX: Final = 1024
WAIT_SECONDS: Final = 10.0
REFUSED: Final = ("invalid_request", "unknown_event")
BODY_REFUSED: Final = (*REFUSED, "body_too_large", "unsupported_media_type")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathFan = Annotated[int, Parameter(ge=1, le=ID_MAX, description="the fan's userId")]
Sought = Annotated[
    str,
    Parameter(
        query="q",
        min_length=1,
        max_length=SOUGHT_CHARS_MAX,
        description="an order's or a hold's id, a mail address, a ticket's code, a userId; with eventId a place token",
    ),
]


@operators.get("/api/ops/desk", needs=somewhere(STEWARD), refuses=REFUSED)
async def find(
    request: AnyRequest,
    operator: Session,
    sought: Sought,
    event_id: Annotated[int | None, Parameter(query="eventId", ge=1, le=ID_MAX)] = None,
) -> FoundFans:
    """Find a fan by what the fan can tell: at the events that the operator may help at."""
    allowed = operator.grants.events_of(STEWARD)
    if event_id is not None and allowed is not None and event_id not in allowed:
        return FoundFans(fans=())
    found = await services_of(request).help.find(sought, event_id, allowed)
    return FoundFans(fans=tuple(FoundFanAnswer(**one._asdict()) for one in found))


@operators.get(
    "/api/ops/rooms/{event_id:int}/fans/{user_id:int}", needs=at_event(STEWARD), refuses=(*REFUSED, "unknown_fan")
)
async def file(request: AnyRequest, operator: Session, event_id: PathEvent, user_id: PathFan) -> FanFile:
    """All that an event has of a fan."""
    help_ = services_of(request).help
    name = await help_.event_name(event_id)
    standing = await help_.standing(event_id, user_id)
    history = await help_.history(event_id, user_id)
    rows, addresses, acts = await help_.rows(event_id, user_id)
    is_placed = standing is not None and standing.state is not FanState.NONE
    if not (is_placed or history or addresses or any(rows)):
        raise ProblemError("unknown_fan")
    return FanFile(
        event_id=event_id,
        event_name=name,
        user_id=user_id,
        place=None if standing is None else _place(standing),
        history=history,
        addresses=addresses,
        holds=tuple(FanHold(**row._asdict()) for row in rows.holds),
        purchases=tuple(FanPurchase(**row._asdict()) for row in rows.purchases),
        messages=tuple(
            FanMessage(
                message_id=row.message_id,
                kind=row.kind,
                channel=row.channel,
                address=row.address,
                state=row.state,
                created_at=row.created_at,
                error=row.error,
            )
            for row in rows.messages
        ),
        acts=tuple(
            DeskLine(at=line.at, operator=line.operator, what=line.field.split()[0], detail=line.after, why=line.why)
            for line in acts
        ),
    )


def _place(standing: Standing) -> FanPlace:
    return FanPlace(
        state=standing.state,
        room_state=standing.room_state,
        position=standing.position,
        ticket_number=standing.number,
        priority=standing.priority,
        claim_by_seconds=standing.claim_by_seconds,
        pass_until=None if standing.pass_until_ms is None else from_ms(standing.pass_until_ms),
    )


@operators.post(
    "/api/ops/rooms/{event_id:int}/fans/{user_id:int}/messages",
    status_code=204,
    needs=at_event(STEWARD),
    refuses=(*BODY_REFUSED, "unknown_message"),
)
async def send_again(
    request: AnyRequest, operator: Session, event_id: PathEvent, user_id: PathFan, data: FanMessageBody
) -> None:
    """Send a message to the fan once more."""
    await services_of(request).help.send_again(event_id, user_id, data.message_id, operator.name, data.why)


@operators.post(
    "/api/ops/rooms/{event_id:int}/fans/{user_id:int}/hold",
    status_code=202,
    needs=at_event(STEWARD),
    refuses=(*BODY_REFUSED, "overloaded"),
    also={200: JOBS["extend"], 202: JobAccepted},
)
async def extend(
    request: AnyRequest, operator: Session, event_id: PathEvent, user_id: PathFan, data: ExtendBody
) -> Response[bytes]:
    """Let the fan's hold last longer, to an hour from now at most. It is a command of the booking engine."""
    services = services_of(request)
    await services.help.event_name(event_id)
    command = Extend(
        **UNSTAMPED, event_id=event_id, user_id=user_id, reservation_id=data.reservation_id, seconds=data.seconds
    )
    await services.help.log(
        event_id, user_id, "hold", f"{data.reservation_id} {data.seconds} s longer", operator.name, data.why
    )
    return await answer_of(services, await services.desk.book(Ask(command, None, WAIT_SECONDS)))


@operators.post(
    "/api/ops/rooms/{event_id:int}/fans/{user_id:int}/place",
    status_code=200,
    needs=at_event(STEWARD),
    refuses=(*BODY_REFUSED, "no_place", "sold_out", "rebuilding"),
)
async def put_back(
    request: AnyRequest, operator: Session, event_id: PathEvent, user_id: PathFan, data: PutBackBody
) -> FanPlace:
    """Put the fan back in line: at the place that ended, or in front. A fan who is called or admitted stays there."""
    standing = await services_of(request).help.put_back(
        event_id, user_id, in_front=data.where == "front", operator=operator.name, why=data.why
    )
    return _place(standing)


@operators.post(
    "/api/ops/rooms/{event_id:int}/fans/{user_id:int}/pardon",
    status_code=204,
    needs=at_event(STEWARD),
    refuses=BODY_REFUSED,
)
async def pardon(
    request: AnyRequest, operator: Session, event_id: PathEvent, user_id: PathFan, data: PardonBody
) -> None:
    """Let the fan go on for ten minutes, whatever the session did: all gateways do so within seconds."""
    services = services_of(request)
    await services.help.event_name(event_id)
    await services.help.log(event_id, user_id, "pardon", "for ten minutes", operator.name, data.why)
    services.suspicions.pardon(user_id)


ROUTERS = (operators,)
