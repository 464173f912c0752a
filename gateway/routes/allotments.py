"""Allotments: seats that operators take out of the sale under a name, and put back."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from litestar import Response
from litestar.params import Parameter

from db.operators.roles import OWNER, VIEWER
from gateway.contract.allotments import AllotmentAnswer, AllotmentBody, AllotmentList, AllotmentMade
from gateway.contract.values import ID_MAX, SeatAnswer
from gateway.identity.needs import at_event
from gateway.identity.sessions import Session
from gateway.programme.drafts import Draft
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.requests import AnyRequest

operators = operator_router("allotments")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathAllotment = Annotated[uuid.UUID, Parameter(description="the allotmentId")]
REFUSED: Final = ("invalid_request", "unknown_event")


@operators.post(
    "/api/ops/events/{event_id:int}/allotments",
    status_code=201,
    refuses=(
        *REFUSED,
        "body_too_large",
        "unsupported_media_type",
        "event_invalid",
        "unknown_ticket_type",
        "unknown_seats",
        "seats_sold",
        "seats_held",
    ),
    needs=at_event(OWNER),
)
async def make(
    request: AnyRequest, operator: Session, event_id: PathEvent, data: AllotmentBody
) -> Response[AllotmentMade]:
    """Take free seats out of the sale: all of them, or none where one is sold or held. The hall is shown without them.

    A ticket type keeps one seat at least.
    """
    services = services_of(request)
    draft = Draft(services.settings.event.seats_max)
    allotment_id = uuid.uuid4()
    edit = await services.programme.in_thread(lambda: draft.allotment(data, allotment_id))
    await services.programme.edit(event_id, draft, edit, operator.name, why=data.why, revision=None, dry_run=False)
    assert edit.set_aside is not None
    return Response(AllotmentMade(allotment_id=allotment_id, name=edit.set_aside.name), status_code=201)


@operators.get("/api/ops/events/{event_id:int}/allotments", refuses=REFUSED, needs=at_event(VIEWER))
async def listed(request: AnyRequest, event_id: PathEvent) -> AllotmentList:
    """The seats that are out of the sale, the newest allotment first."""
    rows = await services_of(request).programme.allotments(event_id)
    return AllotmentList(
        allotments=tuple(
            AllotmentAnswer(
                allotment_id=row.allotment_id,
                name=row.name,
                made_at=row.made_at,
                made_by=row.made_by,
                seats=tuple(
                    SeatAnswer(ticket_type_id=type_id, row_number=number, seat_number=seat)
                    for type_id, number, seat in row.seats
                ),
            )
            for row in rows
        )
    )


@operators.delete(
    "/api/ops/events/{event_id:int}/allotments/{allotment_id:uuid}",
    status_code=204,
    refuses=(*REFUSED, "unknown_allotment"),
    needs=at_event(OWNER),
)
async def put_back(request: AnyRequest, operator: Session, event_id: PathEvent, allotment_id: PathAllotment) -> None:
    """Put the seats of an allotment back into the sale. They go to the line, as seats that were given back."""
    services = services_of(request)
    draft = Draft(services.settings.event.seats_max)
    await services.programme.edit(
        event_id, draft, draft.back(allotment_id), operator.name, why="", revision=None, dry_run=False
    )


ROUTERS = (operators,)
