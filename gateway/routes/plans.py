"""Hall plans as operators give them: in our JSON, as a spreadsheet, or in the format of pretix."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from litestar.params import Parameter

from db.operators.roles import OWNER, VIEWER
from db.plans.checking import PlanPaths
from db.plans.writing import PlanChange
from gateway.contract.plans import PlanBody, PlanDocument, PlanReading, PlanReport
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event, somewhere
from gateway.identity.sessions import Session
from gateway.programme.drafts import refused
from gateway.programme.hall_csv import decode
from gateway.programme.plan_csv import read_plan_csv
from gateway.programme.plan_drafts import (
    LoosePlan,
    PlanDraft,
    TicketTypes,
    contract_faults,
    document,
    draft,
    drawing,
    read_body,
)
from gateway.programme.pretix_plans import PretixPlan, read_pretix
from gateway.routes.routers import operator_router, operators_only
from gateway.services import Services, services_of
from gateway.wire.bodies import StrictRequest, decoded
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from gateway.wire.routers import OnceRouter

operators = operator_router("plans")

CSV_TYPE: Final = "text/csv"
READ_REFUSED: Final = ("invalid_request",)
BODY_REFUSED: Final = (*READ_REFUSED, "body_too_large", "unsupported_media_type", "plan_invalid")
GIVE_REFUSED: Final = (
    *BODY_REFUSED, "unknown_event", "conflict", "event_invalid", "unknown_ticket_type", "seats_exist"
)  # fmt: skip
ANY_FORMAT: Final = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/PlanBody"}},
        # Without a schema: a CSV is checked line by line, and any text at all may be told what is wrong with it.
        CSV_TYPE: {
            "schema": {},
            "example": "ticketType,row,seat,rowLabel,x,y,attributes\nStalls,27,1,AA,40,160,aisle\n",
        },
    },
}

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
DryRun = Annotated[bool, Parameter(query="dryRun", description="only say what would become of it, and draw it")]
AddSeats = Annotated[
    bool, Parameter(query="addSeats", description="seats that only the plan has are added to the event")
]
Format = Annotated[
    Literal["admitone", "pretix"], Parameter(query="format", description="of a JSON body; a CSV says so by its type")
]


@operators.post("/api/ops/plans", status_code=200, refuses=BODY_REFUSED, body=ANY_FORMAT, needs=somewhere(OWNER))
async def read(request: AnyRequest, operator: Session, format_: Format = "admitone") -> PlanReading:
    """Read a plan for an event that is yet to be made: its faults, the plan in our JSON, and its picture.

    Nothing is kept. The plan goes into the body that makes the event, and names ticket types by their names.
    """
    services = services_of(request)
    types = TicketTypes({}, grows=True)
    drafted, _ = await _drafted(services, request, types, format_)
    plan = drafted.plan

    def answer() -> PlanReading:
        return PlanReading(
            valid=plan is not None,
            faults=contract_faults(drafted.faults),
            plan=None if plan is None else document(plan, types.names.__getitem__),
            drawing=None if plan is None else drawing(plan),
        )

    return await services.programme.in_thread(answer)


@operators.put("/api/ops/events/{event_id:int}/plan", refuses=GIVE_REFUSED, body=ANY_FORMAT, needs=at_event(OWNER))
async def give(
    request: AnyRequest,
    operator: Session,
    event_id: PathEvent,
    format_: Format = "admitone",
    add_seats: AddSeats = False,
    dry_run: DryRun = False,
) -> PlanReport:
    """Give an event a hall plan, in place of the one it has. It has every seat of the event, and no other.

    With ``addSeats`` the event gets the seats that only the plan has. No seat is ever removed.
    """
    services = services_of(request)
    event, _ = await services.programme.plan(event_id)
    names = {one.ticket_type_id: one.ticket_type for one in event.ticket_types}
    prices = {one.ticket_type_id: one.price for one in event.ticket_types}
    drafted, body = await _drafted(services, request, TicketTypes(names, prices), format_)
    plan = drafted.plan
    if plan is None:
        faults = list(contract_faults(drafted.faults))
        if not dry_run:
            raise refused(faults)
        return PlanReport(
            valid=False, faults=tuple(faults), revision=event.revision, sections=0, seats=0, seats_added=0
        )
    revision, added, faults = await services.programme.change_plan(
        event_id,
        PlanChange(plan=plan, paths=drafted.paths, may_add=add_seats),
        operator.name,
        why="" if body is None else body.why,
        revision=None if body is None else body.revision,
        dry_run=dry_run,
    )
    return PlanReport(
        valid=not faults,
        faults=tuple(faults),
        revision=event.revision if dry_run else revision,
        sections=len(plan.sections),
        seats=sum(section.quantity for section in plan.sections),
        seats_added=added,
        drawing=await services.programme.in_thread(lambda: drawing(plan)) if dry_run else None,
    )


@operators.get(
    "/api/ops/events/{event_id:int}/plan", refuses=(*READ_REFUSED, "unknown_event", "no_plan"), needs=at_event(VIEWER)
)
async def stored(request: AnyRequest, event_id: PathEvent) -> PlanDocument:
    """The hall plan that the event was given, as it can be sent back."""
    services = services_of(request)
    _, plan = await services.programme.plan(event_id)
    if plan is None:
        raise ProblemError("no_plan")
    return await services.programme.in_thread(lambda: document(plan))


@operators.delete(
    "/api/ops/events/{event_id:int}/plan", refuses=(*READ_REFUSED, "unknown_event"), needs=at_event(OWNER)
)
async def take_away(request: AnyRequest, operator: Session, event_id: PathEvent) -> None:
    """Take the event's hall plan away: it has again the one that is made of its seats."""
    change = PlanChange(plan=None, paths=PlanPaths())
    await services_of(request).programme.change_plan(
        event_id, change, operator.name, why="", revision=None, dry_run=False
    )


async def _drafted(
    services: Services, request: AnyRequest, types: TicketTypes, format_: str
) -> tuple[PlanDraft, PlanBody | None]:
    """The plan in the request's body; with the body itself where it is our JSON."""
    assert isinstance(request, StrictRequest)
    is_csv = request.content_type[0] == CSV_TYPE
    if not is_csv:
        request.require_json()
    content = await request.body()
    seats_max = services.settings.event.seats_max

    def work() -> tuple[PlanDraft, PlanBody | None]:
        body: Any = None
        loose: LoosePlan
        if is_csv:
            loose = read_plan_csv(decode(content), types, seats_max)
        elif format_ == "pretix":
            loose = read_pretix(decoded(content, PretixPlan), types)
        else:
            body = decoded(content, PlanBody)
            loose = read_body(body, types)
        return draft(loose), body

    return await services.programme.in_thread(work)


def router(body_bytes_max: int) -> OnceRouter:
    """The routes, which take larger bodies than a fan's."""
    return OnceRouter(
        path="/",
        route_handlers=operators.handlers,
        guards=[operators_only],
        request_max_body_size=body_bytes_max,
    )


ROUTERS = (operators,)
