"""Vouchers: as operators issue, count and revoke them, and as a fan asks what a hold costs with one."""

from __future__ import annotations

import uuid
from typing import Annotated

from litestar import Response
from litestar.params import Parameter

from db.booking.live_holds import holds_of_fan
from db.booking.results import breakdown
from db.operators.roles import STEWARD, VIEWER
from gateway.contract.values import ID_MAX
from gateway.contract.vouchers import Quote, QuoteBody, VoucherIssueList, VouchersBody, VouchersIssued
from gateway.identity.needs import at_event
from gateway.identity.sessions import Session
from gateway.routes.routers import fan_router, operator_router
from gateway.services import network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

fans = fan_router("vouchers")
operators = operator_router("vouchers")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathIssue = Annotated[uuid.UUID, Parameter(description="the vouchers' issueId")]
REFUSED = ("invalid_request", "unknown_event")
BODY_REFUSED = (*REFUSED, "body_too_large", "unsupported_media_type")
NO_STORE = {"Cache-Control": "no-store"}


@fans.post(
    "/api/reservations/{reservation_id:uuid}/quote",
    status_code=200,
    refuses=(
        *BODY_REFUSED,
        "hold_expired",
        "voucher_unknown",
        "voucher_used",
        "voucher_expired",
        "voucher_not_for_these",
        "too_many_codes",
    ),
)
async def quote(request: AnyRequest, fan: Session, reservation_id: uuid.UUID, data: QuoteBody) -> Quote:
    """Say what the fan's live hold costs with a voucher. Send the voucher with the checkout to buy it so.

    Nothing is used up before: a voucher with few uses may be used up by then, and the checkout's job fails.
    """
    services = services_of(request)
    hall = await services.hall_access.to_book(request, data.event_id)
    async with services.engine.connect() as connection:
        holds = await holds_of_fan(connection, data.event_id, fan.user_id)
    hold = next((one for one in holds if one.reservation_id == reservation_id), None)
    if hold is None:
        raise ProblemError("hold_expired")
    charges = await services.vouchers.charges(hold, network(request), data.voucher)
    return Quote(
        reservation_id=hold.reservation_id,
        event_id=hold.event_id,
        total_amount=sum(charge.amount for charge in charges),
        currency=hall.event.currency,
        seats=hall.labels.held_seats(hold.seats, charges),
        breakdown=breakdown(charges),
    )


@operators.post(
    "/api/ops/events/{event_id:int}/vouchers",
    status_code=201,
    refuses=(*BODY_REFUSED, "unknown_ticket_type", "conflict"),
    needs=at_event(STEWARD),
)
async def issue(
    request: AnyRequest, operator: Session, event_id: PathEvent, data: VouchersBody
) -> Response[VouchersIssued]:
    """Issue vouchers: so many random ones, or one of a name of your own. They are told in this answer only."""
    return Response(await services_of(request).vouchers.issue(event_id, data, operator.name), headers=NO_STORE)


@operators.get("/api/ops/events/{event_id:int}/vouchers", refuses=REFUSED, needs=at_event(VIEWER))
async def listed(request: AnyRequest, event_id: PathEvent) -> VoucherIssueList:
    """What was issued, the newest first, and how often it was used. The codes themselves nobody knows any more."""
    services = services_of(request)
    await services.hall_access.to_read(request, event_id)
    return await services.vouchers.issued(event_id)


@operators.delete(
    "/api/ops/events/{event_id:int}/vouchers/{issue_id:uuid}",
    status_code=204,
    refuses=(*REFUSED, "unknown_vouchers"),
    needs=at_event(STEWARD),
)
async def revoke(request: AnyRequest, operator: Session, event_id: PathEvent, issue_id: PathIssue) -> None:
    """Let an issue's vouchers be used no more. What was bought with one stays as it was bought."""
    await services_of(request).vouchers.revoke(event_id, issue_id, operator.name)


ROUTERS = (fans, operators)
