"""Access codes of an event, as its operators issue, count and revoke them."""

from __future__ import annotations

import uuid
from typing import Annotated

from litestar import Response
from litestar.params import Parameter

from db.operators.roles import STEWARD, VIEWER
from gateway.contract.rooms import CodeIssueList, CodesBody, CodesIssued
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event
from gateway.identity.sessions import Session
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.requests import AnyRequest

operators = operator_router("codes")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathIssue = Annotated[uuid.UUID, Parameter(description="the codes' issueId")]
CODES_REFUSED = ("invalid_request", "unknown_event")
NO_STORE = {"Cache-Control": "no-store"}


@operators.post(
    "/api/ops/rooms/{event_id:int}/codes",
    status_code=201,
    refuses=(*CODES_REFUSED, "conflict", "body_too_large", "unsupported_media_type"),
    needs=at_event(STEWARD),
)
async def issue(request: AnyRequest, operator: Session, event_id: PathEvent, data: CodesBody) -> Response[CodesIssued]:
    """Issue access codes: so many random ones, or one of a name of your own. They are told in this answer only."""
    services = services_of(request)
    await services.rooms.required_row(event_id)
    return Response(await services.code_issues.issue(event_id, data, operator.name), headers=NO_STORE)


@operators.get("/api/ops/rooms/{event_id:int}/codes", refuses=CODES_REFUSED, needs=at_event(VIEWER))
async def listed(request: AnyRequest, event_id: PathEvent) -> CodeIssueList:
    """What was issued, the newest first, and how often it was redeemed. The codes themselves nobody knows any more."""
    services = services_of(request)
    await services.rooms.required_row(event_id)
    return await services.code_issues.issued(event_id)


@operators.delete(
    "/api/ops/rooms/{event_id:int}/codes/{issue_id:uuid}",
    status_code=204,
    refuses=(*CODES_REFUSED, "unknown_codes"),
    needs=at_event(STEWARD),
)
async def revoke(request: AnyRequest, operator: Session, event_id: PathEvent, issue_id: PathIssue) -> None:
    """Let an issue's codes be redeemed no more. Who redeemed one keeps the place."""
    services = services_of(request)
    await services.rooms.required_row(event_id)
    await services.code_issues.revoke(event_id, issue_id, operator.name)


ROUTERS = (operators,)
