"""Check-in at the gates, and its counts."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from litestar.params import Parameter
from msgspec import UnsetType

from db.entries.entries import Scan, TicketKey
from db.operators.roles import DOOR, VIEWER
from db.texts import tidy
from gateway.contract.entries import (
    EntryAnswer,
    EntryBody,
    EntryCounts,
    FoundTickets,
    GateEventAnswer,
    GateEvents,
    GateStanding,
    SyncBody,
    SyncedScans,
    TicketList,
)
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event, somewhere
from gateway.identity.sessions import Session
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.requests import AnyRequest

operators = operator_router("entries")

SOUGHT_CHARS_MAX: Final = 400
CURSOR_CHARS_MAX: Final = 40
REFUSED: Final = ("invalid_request", "unknown_event")
BODY_REFUSED: Final = (*REFUSED, "body_too_large", "unsupported_media_type")
TICKET_REFUSED: Final = (
    "unknown_ticket",
    "other_event",
    "ticket_used",
    "ticket_cancelled",
    "ticket_handed_on",
    "event_cancelled",
    "scan_repeated",
)

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathEntry = Annotated[uuid.UUID, Parameter(description="the entry's entryId")]


@operators.get("/api/ops/gates", needs=somewhere(DOOR))
async def events(request: AnyRequest, operator: Session) -> GateEvents:
    """The events that the operator may check tickets in for: those to come, and those that began lately."""
    found = await services_of(request).check_in.events(operator.grants.events_of(DOOR))
    return GateEvents(events=tuple(GateEventAnswer(**one._asdict()) for one in found))


@operators.post(
    "/api/ops/events/{event_id:int}/entries",
    status_code=201,
    needs=at_event(DOOR),
    refuses=(*BODY_REFUSED, *TICKET_REFUSED),
)
async def enter(request: AnyRequest, operator: Session, event_id: PathEvent, data: EntryBody) -> EntryAnswer:
    """Let a ticket in, once. The same scan once more is answered like the first time.

    ``ticket_used`` has the members ``entryId``, ``gate`` and ``scannedAt`` of the entry that the ticket had before.
    """
    scan = Scan(
        event_id=event_id,
        gate=tidy(data.gate),
        device=data.device_id,
        scan_id=data.scan_id,
        operator=operator.name,
    )
    return await services_of(request).check_in.enter(_ticket(data), scan)


def _ticket(data: EntryBody) -> str | TicketKey:
    if not isinstance(data.ticket, UnsetType):
        return data.ticket
    assert not isinstance(data.seat, UnsetType)
    seat = data.seat
    return TicketKey(seat.purchase_id, (seat.ticket_type_id, seat.row_number, seat.seat_number))


@operators.delete(
    "/api/ops/events/{event_id:int}/entries/{entry_id:uuid}",
    status_code=204,
    needs=at_event(DOOR),
    refuses=("invalid_request", "unknown_entry"),
)
async def undo(request: AnyRequest, operator: Session, event_id: PathEvent, entry_id: PathEntry) -> None:
    """Take an entry back, so that the ticket can be checked in again."""
    await services_of(request).check_in.undo(event_id, entry_id, operator.name)


@operators.post(
    "/api/ops/events/{event_id:int}/entries/sync", status_code=200, needs=at_event(DOOR), refuses=BODY_REFUSED
)
async def sync(request: AnyRequest, operator: Session, event_id: PathEvent, data: SyncBody) -> SyncedScans:
    """Enter what a device let in without a network. What cannot be entered is recorded as a conflict, with both times.

    The same scans again are answered like the first time, and change nothing.
    """
    scans = [
        (
            one.ticket,
            Scan(
                event_id=event_id,
                gate=tidy(one.gate),
                device=data.device_id,
                scan_id=one.scan_id,
                operator=operator.name,
                offline_at=one.scanned_at,
            ),
        )
        for one in data.scans
    ]
    return SyncedScans(scans=tuple(await services_of(request).check_in.sync(scans)))


@operators.get("/api/ops/events/{event_id:int}/entries", needs=at_event(DOOR), refuses=REFUSED)
async def standing(request: AnyRequest, operator: Session, event_id: PathEvent) -> GateStanding:
    """The counts by gate and ticket type, and the newest conflicts, for the gates."""
    return await services_of(request).check_in.standing(event_id)


@operators.get("/api/ops/rooms/{event_id:int}/entries", needs=at_event(VIEWER), refuses=REFUSED)
async def counts(request: AnyRequest, operator: Session, event_id: PathEvent) -> EntryCounts:
    """The counts by gate and ticket type, for the console."""
    return await services_of(request).check_in.counts(event_id)


@operators.get("/api/ops/events/{event_id:int}/tickets", needs=at_event(DOOR), refuses=(*REFUSED, "other_event"))
async def find(
    request: AnyRequest,
    operator: Session,
    event_id: PathEvent,
    sought: Annotated[
        str,
        Parameter(
            query="q",
            min_length=1,
            max_length=SOUGHT_CHARS_MAX,
            description="an order's number, a mail address, a ticket or its code, or a row and a seat: 12 7",
        ),
    ],
) -> FoundTickets:
    """Find tickets by what a fan can tell, the valid ones first."""
    found = await services_of(request).check_in.find(event_id, sought)
    return FoundTickets(tickets=tuple(found))


@operators.get("/api/ops/events/{event_id:int}/tickets/valid", needs=at_event(DOOR), refuses=REFUSED)
async def valid(
    request: AnyRequest,
    operator: Session,
    event_id: PathEvent,
    cursor: Annotated[
        str | None, Parameter(query="cursor", max_length=CURSOR_CHARS_MAX, description="the next of the part before")
    ] = None,
) -> TicketList:
    """A part of the event's valid tickets, as hashes, for a device that has to do without a network."""
    services = services_of(request)
    return await services.check_in.valid_tickets(event_id, cursor, services.clock.moment())


ROUTERS = (operators,)
