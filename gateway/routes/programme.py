"""Events as operators make and change them: whole or not at all, and never so that a fan is stranded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from litestar import Response
from litestar.params import Parameter

from db.events.seed import room_seed
from db.operators.roles import OWNER, VIEWER
from gateway.contract.programme import (
    DefinedEvent,
    DefinedEventList,
    EventBody,
    EventDefinition,
    EventPatch,
    EventPreview,
    SeatsBody,
)
from gateway.contract.progress import EventProgress, PaidBackAnswer, ToldAnswer
from gateway.contract.rooms import RoomLogList, log_line
from gateway.contract.values import ID_MAX, Fault
from gateway.identity.needs import at_event, at_site, somewhere
from gateway.identity.sessions import Session
from gateway.programme.drafts import Draft, definition, planned, refused
from gateway.programme.hall_csv import decode
from gateway.routes.routers import operator_router, operators_only
from gateway.services import services_of
from gateway.wire.addresses import below
from gateway.wire.bodies import StrictRequest
from gateway.wire.requests import AnyRequest
from gateway.wire.routers import OnceRouter

operators = operator_router("programme")

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200
READ_REFUSED: Final = ("invalid_request",)
BODY_REFUSED: Final = (*READ_REFUSED, "body_too_large", "unsupported_media_type", "event_invalid", "plan_invalid")
EDIT_REFUSED: Final = (
    *BODY_REFUSED, "unknown_event", "unknown_ticket_type", "unknown_seats", "seats_exist", "seats_sold", "seats_held",
    "currency_in_use", "payments_in_use", "limit_too_low", "sale_begun", "cancelled_for_good", "conflict",
)  # fmt: skip
CSV_TYPE: Final = "text/csv"
JSON_OR_CSV: Final = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/SeatsBody"}},
        # Without a schema: a CSV is checked line by line, and any text at all may be told what is wrong with it.
        CSV_TYPE: {"schema": {}, "example": "ticketType,row,seat\nStalls,21,1\n"},
    },
}

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
DryRun = Annotated[bool, Parameter(query="dryRun", description="only say what would become of it")]


@operators.get("/api/ops/events", refuses=READ_REFUSED, needs=somewhere(VIEWER))
async def events(
    request: AnyRequest,
    operator: Session,
    before: Annotated[int, Parameter(ge=1, le=ID_MAX, description="only events with a lower id")] = ID_MAX,
    limit: Annotated[int, Parameter(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
) -> DefinedEventList:
    """Events, the newest first; go on with ``before`` set to ``next`` while there is one."""
    found = await services_of(request).programme.listed(before, limit + 1, operator.grants.events_of(VIEWER))
    return DefinedEventList(
        events=tuple(
            DefinedEvent(**{name: getattr(one, name) for name in DefinedEvent.__struct_fields__})
            for one in found[:limit]
        ),
        next=found[limit - 1].event_id if len(found) > limit else None,
    )


@operators.post(
    "/api/ops/events", status_code=201, refuses=BODY_REFUSED, also={200: EventPreview}, needs=at_site(OWNER)
)
async def create(
    request: AnyRequest, operator: Session, data: EventBody, dry_run: DryRun = False
) -> Response[EventDefinition] | Response[EventPreview]:
    """Make an event with its ticket types, seats and room; with ``dryRun`` say all that speaks against it, as 200."""
    services = services_of(request)
    draft = Draft(services.settings.event.seats_max, services.settings.payment.names)
    plan = await services.programme.in_thread(lambda: draft.plan(data, room_seed(services.settings.room)))
    if dry_run:
        now = services.clock.moment()
        return _preview(draft.faults, None if plan is None else planned(plan, now))
    if plan is None:
        raise refused(draft.faults)
    made = await services.programme.make(plan, operator.name, data.why)
    return Response(definition(made), status_code=201, headers={"Location": below(f"/api/ops/events/{made.event_id}")})


@operators.get(
    "/api/ops/events/{event_id:int}",
    refuses=(*READ_REFUSED, "unknown_event"),
    needs=at_event(VIEWER),
)
async def event(request: AnyRequest, event_id: PathEvent) -> EventDefinition:
    """The event whole, as it is defined."""
    return definition(await services_of(request).programme.read(event_id))


@operators.patch("/api/ops/events/{event_id:int}", refuses=EDIT_REFUSED, needs=at_event(OWNER))
async def change(
    request: AnyRequest, operator: Session, event_id: PathEvent, data: EventPatch, dry_run: DryRun = False
) -> EventDefinition | EventPreview:
    """Change an event's facts, prices and ticket types: all of it, or nothing where a fan would be stranded.

    With ``revision`` a change is refused where somebody else was there first; the problem then has the ``revision``
    now in force and as ``changes`` what was changed since, as in the log, the oldest first.
    """
    services = services_of(request)
    draft = Draft(services.settings.event.seats_max, services.settings.payment.names)
    edit = await services.programme.in_thread(lambda: draft.edit(data))
    return await services.programme.edit(
        event_id,
        draft,
        edit,
        operator.name,
        why=data.why,
        revision=None if data.revision is msgspec.UNSET else data.revision,
        dry_run=dry_run,
    )


@operators.post(
    "/api/ops/events/{event_id:int}/seats",
    status_code=200,
    refuses=EDIT_REFUSED,
    body=JSON_OR_CSV,
    needs=at_event(OWNER),
)
async def seats(
    request: AnyRequest, operator: Session, event_id: PathEvent, dry_run: DryRun = False
) -> EventDefinition | EventPreview:
    """Add seats to an event's hall and remove some, or with a CSV add the seats on its lines: all of it, or nothing."""
    services = services_of(request)
    draft = Draft(services.settings.event.seats_max, services.settings.payment.names)
    assert isinstance(request, StrictRequest)
    if request.content_type[0] == CSV_TYPE:
        types = (await services.programme.read(event_id, with_seats=False)).ticket_types
        text = decode(await request.body())
        edit = await services.programme.in_thread(lambda: draft.seats_of_csv(text, types))
        return await services.programme.edit(
            event_id, draft, edit, operator.name, why="", revision=None, dry_run=dry_run
        )
    data: SeatsBody = await request.json_of(SeatsBody)
    edit = await services.programme.in_thread(lambda: draft.seats(data))
    return await services.programme.edit(
        event_id,
        draft,
        edit,
        operator.name,
        why=data.why,
        revision=None if data.revision is msgspec.UNSET else data.revision,
        dry_run=dry_run,
    )


@operators.get(
    "/api/ops/events/{event_id:int}/log",
    refuses=(*READ_REFUSED, "unknown_event"),
    needs=at_event(VIEWER),
)
async def log(request: AnyRequest, event_id: PathEvent) -> RoomLogList:
    """Who changed what of the event, the newest first."""
    rows = await services_of(request).programme.log(event_id)
    return RoomLogList(entries=tuple(log_line(row) for row in rows))


@operators.get(
    "/api/ops/events/{event_id:int}/progress",
    refuses=(*READ_REFUSED, "unknown_event"),
    needs=at_event(VIEWER),
)
async def progress(request: AnyRequest, event_id: PathEvent) -> EventProgress:
    """How far an event has come that was moved or cancelled: who was told, and what was paid back."""
    found = await services_of(request).programme.progress(event_id)
    told, paid = found.told, found.paid_back
    return EventProgress(
        event_id=event_id,
        complete=found.is_complete,
        cancelled_at=found.cancelled_at,
        told=None if told is None else ToldAnswer(**told._asdict()),
        purchases=found.purchases,
        purchases_told=found.purchases_told,
        paid_back=None if paid is None else PaidBackAnswer(**paid._asdict()),
    )


def _preview(faults: Sequence[Fault], event: EventDefinition | None) -> Response[EventPreview]:
    return Response(EventPreview(valid=not faults, faults=tuple(faults), event=event), status_code=200)


def router(body_bytes_max: int) -> OnceRouter:
    """The routes, which take larger bodies than a fan's."""
    return OnceRouter(
        path="/",
        route_handlers=operators.handlers,
        guards=[operators_only],
        request_max_body_size=body_bytes_max,
    )


ROUTERS = (operators,)
