"""Access codes of an event, as its operators issue, count and revoke them."""

from __future__ import annotations

import uuid
from typing import Annotated

from litestar import Response
from litestar.params import Parameter

from db.codes.access_codes import CodeTakenError, IssueRow, TooManyIssuesError, issue_codes, issues, revoke_issue
from db.rooms.rooms import UnknownRoomError
from gateway.contract.rooms import CodeIssueAnswer, CodeIssueList, CodesBody, CodesIssued
from gateway.contract.values import ID_MAX
from gateway.identity.sessions import Session
from gateway.routes.routers import operator_router
from gateway.services import AnyRequest, Services, services_of
from gateway.wire.problems import ProblemError
from waiting_room.access import random_codes

operators = operator_router("codes")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathIssue = Annotated[uuid.UUID, Parameter(description="the codes' issueId")]
CODES_REFUSED = ("invalid_request", "unknown_event")
NO_STORE = {"Cache-Control": "no-store"}


async def _known_room(services: Services, event_id: int) -> None:
    if await services.rooms.row(event_id) is None:
        raise ProblemError("unknown_event", "This event has no waiting room.")


@operators.post(
    "/api/ops/rooms/{event_id:int}/codes",
    status_code=201,
    refuses=(*CODES_REFUSED, "conflict", "body_too_large", "unsupported_media_type"),
)
async def issue(request: AnyRequest, operator: Session, event_id: PathEvent, data: CodesBody) -> Response[CodesIssued]:
    """Issue access codes: so many random ones, or one of a name of your own. They are told in this answer only."""
    services = services_of(request)
    await _known_room(services, event_id)
    codes = [data.code] if data.code is not None else random_codes(data.count)
    try:
        async with services.engine.begin() as connection:
            issue_id = await issue_codes(
                connection,
                event_id,
                [services.codes.hasher.hash(event_id, code) for code in codes],
                label=data.label.strip(),
                uses_max=data.uses_max,
                starts_at=data.starts_at,
                ends_at=data.ends_at,
                operator=operator.name,
                why=data.why,
            )
    except UnknownRoomError:
        raise ProblemError("unknown_event", "This event has no waiting room.") from None
    except CodeTakenError:
        raise ProblemError("conflict", "This event has such a code already.") from None
    except TooManyIssuesError:
        raise ProblemError("conflict", "This event has as many issues of codes as one may have.") from None
    return Response(CodesIssued(issue_id=issue_id, codes=tuple(codes)), headers=NO_STORE)


@operators.get("/api/ops/rooms/{event_id:int}/codes", refuses=CODES_REFUSED)
async def listed(request: AnyRequest, event_id: PathEvent) -> CodeIssueList:
    """What was issued, the newest first, and how often it was redeemed. The codes themselves nobody knows any more."""
    services = services_of(request)
    await _known_room(services, event_id)
    async with services.engine.connect() as connection:
        found = await issues(connection, event_id)
    return CodeIssueList(issues=tuple(_issue(row) for row in found))


def _issue(row: IssueRow) -> CodeIssueAnswer:
    return CodeIssueAnswer(
        issue_id=row.issue_id,
        label=row.label,
        codes=row.codes,
        uses_max=row.uses_max,
        uses=row.uses,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        issued_at=row.issued_at,
        issued_by=row.issued_by,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
    )


@operators.delete(
    "/api/ops/rooms/{event_id:int}/codes/{issue_id:uuid}",
    status_code=204,
    refuses=(*CODES_REFUSED, "unknown_codes"),
)
async def revoke(request: AnyRequest, operator: Session, event_id: PathEvent, issue_id: PathIssue) -> None:
    """Let an issue's codes be redeemed no more. Who redeemed one keeps the place."""
    services = services_of(request)
    await _known_room(services, event_id)
    async with services.engine.begin() as connection:
        if not await revoke_issue(connection, event_id, issue_id, operator.name):
            raise ProblemError("unknown_codes")


ROUTERS = (operators,)
