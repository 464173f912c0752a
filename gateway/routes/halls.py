"""Events, their counts and seats: what a fan reads before buying."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from litestar import Response
from litestar.params import Parameter

from gateway.contract.hall import EventList, InitialCall, SeatMap
from gateway.contract.values import ID_MAX, Moment
from gateway.hall.hall import Rendered
from gateway.line.places import room_state
from gateway.routes.routers import public_router
from gateway.services import Services, services_of
from gateway.wire.negotiation import field, has_already, takes_gzip
from gateway.wire.openapi import header
from gateway.wire.problems import invalid
from gateway.wire.requests import Answer, AnyRequest
from gateway.wire.stream import Stream, StreamResponse

public = public_router("events")

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
GZIP_BYTES_MIN = 4096
CHARACTERS_MAX = 200

KNOWN_HEADER = header("If-None-Match", "the ETags of what the client has, or `*`")
LAST_ID_HEADER = header("Last-Event-ID", "the last event's id; the stream goes on from there")
PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
# Not `int | None`: Litestar would read the word "null" as None.
MinVersion = Annotated[
    int, Parameter(query="minVersion", ge=0, le=ID_MAX, description="answer with this version at least")
]


async def _room_json(services: Services, event_id: int) -> bytes:
    """``{state, waiting}`` of the event's room; an event without one needs no pass."""
    counts = await services.counts.of(event_id)
    if counts is None:
        return b'{"state":"off","waiting":0}'
    waiting = counts.waiting + (counts.lobby if counts.undrawn else 0)
    return b'{"state":"%s","waiting":%d}' % (room_state(counts).encode(), waiting)


def _cacheable(request: AnyRequest, rendered: Rendered) -> Response[bytes]:
    """The answer with an ETag, gzipped where that pays, or 304 where the client has it."""
    headers = {b"etag": rendered.tag.encode(), b"cache-control": b"no-cache"}
    if has_already(field(request, "if-none-match"), rendered.tag):
        return Answer(b"", status_code=304, headers=headers)
    if len(rendered.body) < GZIP_BYTES_MIN:
        return Answer(rendered.body, headers=headers)
    headers[b"vary"] = b"Accept-Encoding"
    if not takes_gzip(field(request, "accept-encoding")):
        return Answer(rendered.body, headers=headers)
    headers[b"content-encoding"] = b"gzip"
    return Answer(rendered.gzipped, headers=headers)


READ_REFUSED = ("invalid_request", "unknown_event")


@public.get(
    "/api/initial-call/{event_id:int}",
    refuses=READ_REFUSED,
    also={200: InitialCall, 304: None},
    headers=(KNOWN_HEADER,),
)
async def initial_call(request: AnyRequest, event_id: PathEvent, min_version: MinVersion = 0) -> Response[bytes]:
    """The event, its ticket types with their counts, and its room."""
    services = services_of(request)
    hall = await services.hall_access.to_read(request, event_id, version_min=min_version)
    return _cacheable(request, hall.initial_call(await _room_json(services, event_id)))


@public.get(
    "/api/events/{event_id:int}/seats", refuses=READ_REFUSED, also={200: SeatMap, 304: None}, headers=(KNOWN_HEADER,)
)
async def seats(request: AnyRequest, event_id: PathEvent, min_version: MinVersion = 0) -> Response[bytes]:
    """The hall, and the seats that are not free."""
    hall = await services_of(request).hall_access.to_read(request, event_id, version_min=min_version)
    return _cacheable(request, hall.seats_rendered(min_version))


@public.get(
    "/api/events/{event_id:int}/live",
    media_type="text/event-stream",
    refuses=(*READ_REFUSED, "too_many_streams"),
    headers=(LAST_ID_HEADER,),
)
async def live(request: AnyRequest, event_id: PathEvent) -> StreamResponse:
    """Seats as they change: a snapshot, then deltas whose id is the event's version."""
    services = services_of(request)
    services.stream_slots.require_free()
    hall = await services.hall_access.to_read(request, event_id)
    last = request.headers.get("last-event-id", "")
    last_version = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None

    async def subscribe(stream: Stream) -> Callable[[], Awaitable[None]]:
        return hall.subscribe(stream, last_version)

    return StreamResponse(subscribe, services.stream_slots)


@public.get("/api/events", refuses=("invalid_request",))
async def events(
    request: AnyRequest,
    q: Annotated[str, Parameter(max_length=CHARACTERS_MAX, description="in name, artist or venue")] = "",
    venue: Annotated[str, Parameter(max_length=CHARACTERS_MAX)] = "",
    # Texts, since Litestar would read a number as seconds of the epoch.
    from_: Annotated[str | None, Parameter(query="from", max_length=40, schema_extra={"format": "date-time"})] = None,
    to: Annotated[str | None, Parameter(max_length=40, schema_extra={"format": "date-time"})] = None,
    cursor: Annotated[str | None, Parameter(max_length=CHARACTERS_MAX)] = None,
    limit: Annotated[int, Parameter(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
) -> EventList:
    """Events by date, the soonest first; go on with ``cursor`` while there is one."""
    return await services_of(request).catalogue.search(
        text=q,
        venue=venue,
        date_min=_moment(from_, "from"),
        date_max=_moment(to, "to"),
        cursor=cursor,
        limit=limit,
    )


def _moment(text: str | None, name: str) -> dt.datetime | None:
    if text is None:
        return None
    try:
        return msgspec.convert(text, Moment)
    except msgspec.ValidationError:
        raise invalid("a time with its offset is needed, e.g. 2026-06-12T19:30:00Z", name) from None


ROUTERS = (public,)
