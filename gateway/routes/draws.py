"""Draws of lobbies as everybody may recheck them, and each fan's own receipt."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import Response
from litestar.params import Parameter

from gateway.contract.line import DrawAnswer, DrawList, Receipt
from gateway.contract.values import ID_MAX, INT_MAX
from gateway.identity.sessions import Session
from gateway.routes.routers import fan_router, public_router
from gateway.services import Services, network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

public = public_router("draws")
fans = fan_router("draws")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
NO_STORE: Final = {"Cache-Control": "no-store"}
FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


async def _count_read(services: Services, request: AnyRequest) -> None:
    await services.limits.count("draw", network(request), services.settings.limit.draw_reads_per_minute)


async def _refuse_drawless(services: Services, request: AnyRequest, event_id: int) -> ProblemError:
    """The problem of an event without a draw; an event that the request may not know of raises its own."""
    await services.hall_access.to_read(request, event_id)
    return ProblemError("unknown_event", "This event has no lobby, so there is no draw.")


@public.get(
    "/api/events/{event_id:int}/draw",
    refuses=("invalid_request", "unknown_event", "rate_limited"),
)
async def draw(request: AnyRequest, event_id: PathEvent) -> Response[DrawAnswer]:
    """The draw: what was committed to before it, and the seed after it."""
    services = services_of(request)
    await _count_read(services, request)
    answer = await services.draws.answer(event_id)
    if answer is None:
        raise await _refuse_drawless(services, request, event_id)
    return Response(answer, headers=NO_STORE)


@public.get(
    "/api/events/{event_id:int}/draw/list",
    refuses=("invalid_request", "unknown_event", "rate_limited"),
    also={200: DrawList},
)
async def draw_list(
    request: AnyRequest,
    event_id: PathEvent,
    first: Annotated[int, Parameter(ge=1, le=INT_MAX, description="the number to begin with")] = 1,
) -> Response[bytes]:
    """Who took part, as hashes, in the drawn order; none before the draw."""
    services = services_of(request)
    await _count_read(services, request)
    found = await services.draws.of(event_id)
    if found is None:
        raise await _refuse_drawless(services, request, event_id)
    page = await services.draws.page(event_id, found, first)
    headers = NO_STORE if found.row.participants is None else FOREVER
    return Response(msgspec.json.encode(page), media_type="application/json", headers=headers)


@fans.get(
    "/api/queue/{event_id:int}/receipt",
    refuses=("invalid_request", "unknown_event"),
)
async def receipt(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[Receipt]:
    """What happened to the session's own fan in the line, and the proof of the draw."""
    services = services_of(request)
    await services.finding.require_room(event_id, fan)
    counts = await services.finding.counts(event_id)
    return Response(await services.receipts.receipt(event_id, fan.user_id, counts), headers=NO_STORE)


ROUTERS = (public, fans)
