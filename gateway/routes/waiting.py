"""The waiting list of a sold-out event: entering, leaving, the own place, and the list as everybody may see it."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from litestar import Response
from litestar.params import Parameter

from booking_lane.commands import UNSTAMPED, Command, Leave, Wait
from db.operators.roles import VIEWER
from db.waiting.reading import FanEntry, entries_from, entry_of_fan, waiting_counts
from gateway.booking.desk import Ask
from gateway.contract.booking import JOBS, JobAccepted
from gateway.contract.values import ID_MAX, INT_MAX
from gateway.contract.waiting import (
    WaitBody,
    WaitingEntryAnswer,
    WaitingEntryList,
    WaitingEntryListed,
    WaitingFigures,
    WaitingOfType,
)
from gateway.identity.needs import at_event
from gateway.identity.sessions import Session
from gateway.routes.booking import (
    CAPTCHA_HEADER,
    CAPTCHA_HEADER_NAME,
    COMMAND_REFUSED,
    TO_JOBS_END,
    IdempotencyKey,
    Prefer,
    answer_of,
    counted,
    seconds_preferred,
)
from gateway.routes.routers import fan_router, operator_router, public_router
from gateway.services import address, network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

fans = fan_router("waiting")
public = public_router("waiting")
operators = operator_router("waiting")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
LISTED_MAX: Final = 1000
NO_STORE: Final = {"Cache-Control": "no-store"}


def entry_answer(event_id: int, entry: FanEntry) -> WaitingEntryAnswer:
    """A fan's entry as the fan is told it."""
    return WaitingEntryAnswer(
        event_id=event_id,
        number=entry.number,
        ticket_type_id=entry.ticket_type_id,
        quantity=entry.quantity,
        state=entry.became,
        entered_at=entry.entered_at,
        link=entry.link,
        ahead=entry.ahead if entry.waits else None,
        reservation_id=entry.reservation_id if entry.is_offered else None,
        offer_ends_at=entry.expires_at if entry.is_offered else None,
    )


@fans.post(
    "/api/events/{event_id:int}/waiting-list",
    status_code=202,
    refuses=(
        *COMMAND_REFUSED,
        "account_required",
        "captcha_failed",
        "captcha_unavailable",
        "body_too_large",
        "unsupported_media_type",
    ),
    also={200: JOBS["wait"], 202: JobAccepted},
    headers=(CAPTCHA_HEADER,),
    links={"202": {"job": TO_JOBS_END}},
)
async def wait(
    request: AnyRequest,
    fan: Session,
    event_id: PathEvent,
    data: WaitBody,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[bytes]:
    """Enter the waiting list of a sold-out event. It needs no place in line and no pass.

    The job fails with ``waiting_list_off`` where the event has no list, ``not_sold_out`` where so many seats can still
    be had, ``already_waiting`` where the fan has another entry or an offer, ``limit_exceeded``, and
    ``captcha_required`` where many wait from the fan's network. The same entry asked for twice is one.
    """
    services = services_of(request)
    hall = await services.hall_access.to_book(request, event_id)
    services.hall_access.require_account(request, hall)
    command = Wait(
        **UNSTAMPED,
        event_id=event_id,
        user_id=fan.user_id,
        ticket_type_id=data.ticket_type_id,
        quantity=data.quantity,
    )

    async def permit(command_id: uuid.UUID) -> Command:
        counting = None if hall.rehearsal_of is not None else services.permits.counting(command, address(request))
        return await services.permits.permit(
            command,
            address(request),
            command_id,
            action="reserve",
            token=request.headers.get(CAPTCHA_HEADER_NAME),
            counting=counting,
        )

    ask = Ask(command, idempotency_key, seconds_preferred(request, prefer), permit)
    return await answer_of(services, await services.desk.book(ask))


@fans.delete(
    "/api/events/{event_id:int}/waiting-list",
    status_code=202,
    refuses=COMMAND_REFUSED,
    also={200: JOBS["leave"], 202: JobAccepted},
    links={"202": {"job": TO_JOBS_END}},
)
async def leave(
    request: AnyRequest,
    fan: Session,
    event_id: PathEvent,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[bytes]:
    """Leave the waiting list, or decline the seats that are offered: they go to the next at once."""
    services = services_of(request)
    await services.hall_access.to_book(request, event_id)
    command = Leave(**UNSTAMPED, event_id=event_id, user_id=fan.user_id)
    ask = Ask(command, idempotency_key, seconds_preferred(request, prefer), counted(request, fan, command))
    return await answer_of(services, await services.desk.book(ask))


@fans.get(
    "/api/events/{event_id:int}/waiting-list",
    refuses=("invalid_request", "unknown_event", "not_waiting"),
)
async def own_entry(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[WaitingEntryAnswer]:
    """The fan's latest entry: its place, or what became of it. An offer is a hold of the fan's, to be bought as any."""
    services = services_of(request)
    await services.hall_access.to_book(request, event_id)
    async with services.engine.connect() as connection:
        entry = await entry_of_fan(connection, event_id, fan.user_id)
    if entry is None:
        raise ProblemError("not_waiting")
    return Response(entry_answer(event_id, entry), headers=NO_STORE)


@public.get(
    "/api/events/{event_id:int}/waiting-list/entries",
    refuses=("invalid_request", "unknown_event", "rate_limited"),
)
async def entries(
    request: AnyRequest,
    event_id: PathEvent,
    first: Annotated[int, Parameter(ge=1, le=INT_MAX, description="the number to begin with")] = 1,
) -> Response[WaitingEntryList]:
    """The list in its order, and what became of each entry; it names nobody. Each ``link`` is the SHA-256 of the link
    before and of ``event:number:ticketType:quantity:milliseconds``, so no entry was put in later.
    """
    services = services_of(request)
    await services.limits.count("draw", network(request), services.settings.limit.draw_reads_per_minute)
    await services.hall_access.to_read(request, event_id)
    async with services.engine.connect() as connection:
        found = await entries_from(connection, event_id, first, LISTED_MAX)
    answer = WaitingEntryList(
        entries=tuple(
            [
                WaitingEntryListed(
                    number=entry.number,
                    ticket_type_id=entry.ticket_type_id,
                    quantity=entry.quantity,
                    state=entry.became,
                    entered_at=entry.entered_at,
                    ended_at=entry.ended_at,
                    link=entry.link,
                )
                for entry in found
            ]
        ),
        next=found[-1].number + 1 if len(found) == LISTED_MAX else None,
    )
    return Response(answer, headers=NO_STORE)


@operators.get(
    "/api/ops/rooms/{event_id:int}/waiting-list",
    refuses=("invalid_request", "unknown_event"),
    needs=at_event(VIEWER),
)
async def figures(request: AnyRequest, event_id: PathEvent) -> WaitingFigures:
    """How many wait for each ticket type, and what became of the offers."""
    services = services_of(request)
    row = await services.rooms.required_row(event_id)
    hall = await services.halls.hall(event_id)
    types = {
        kind: WaitingOfType(ticket_type_id=kind, ticket_type=ticket.ticket_type)
        for kind, ticket in hall.tickets.items()
    }
    async with services.engine.connect() as connection:
        for count in await waiting_counts(connection, event_id):
            of_type = types.get(count.ticket_type_id)
            if of_type is not None:
                setattr(of_type, count.became, count.entries)
                if count.became == "waiting":
                    of_type.seats = count.seats
    return WaitingFigures(
        event_id=event_id,
        is_on=row.waiting_list,
        offer_minutes=row.offer_minutes,
        types=tuple(types[kind] for kind in sorted(types)),
    )


ROUTERS = (fans, public, operators)
