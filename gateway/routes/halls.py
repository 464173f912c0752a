"""Events, their counts and seats: what a fan reads before buying."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final

import msgspec
from litestar import Response
from litestar.params import Parameter

from db.edge.keys import LISTS, event_key
from db.events.sale import REASONS, sale_state
from db.plans.best_seats import Wish
from db.search.reading import Wanted
from db.texts import END, NO_NUL
from gateway.contract.hall import EventList, InitialCall, ProposalList, SeatMap
from gateway.contract.plans import PlanOverview, PlanSectionSeats
from gateway.contract.values import (
    CURRENCY,
    CURSOR_CHARACTERS_MAX,
    ID_MAX,
    INT_MAX,
    LISTS_MAX,
    MONTH,
    PRICE_MAX,
    Moment,
)
from gateway.hall.hall import Hall, Rendered, UnknownEventError
from gateway.hall.plans import PlanAnswers, UnknownPlanError
from gateway.line.places import is_quiet, room_state
from gateway.routes.routers import public_router
from gateway.search.answers import as_of, read_cursor
from gateway.search.catalogue import Search, Sort
from gateway.services import Services, network, services_of
from gateway.wire.negotiation import field, has_already, takes_gzip
from gateway.wire.openapi import header
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.requests import Answer, AnyRequest
from gateway.wire.shared import MOVING_SECONDS, header_lines, seconds_until_change
from gateway.wire.stream import Stream, StreamResponse
from waiting_room.model import RoomCounts

public = public_router("events")

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
GZIP_BYTES_MIN = 4096
CHARACTERS_MAX = 200

KNOWN_HEADER = header("If-None-Match", "the ETags of what the client has, or `*`")
LAST_ID_HEADER = header("Last-Event-ID", "the last event's id; the stream goes on from there")
PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathPlanVersion = Annotated[
    str, Parameter(pattern=f"^[0-9a-f]{{16}}{END}", description="the `planVersion` of the overview")
]
PathSection = Annotated[int, Parameter(ge=0, le=INT_MAX, description="section id")]
IMMUTABLE = b"public, max-age=31536000, immutable"
IMMUTABLE_PRIVATE = b"private, max-age=31536000, immutable"
NO_CACHE: Final[Mapping[bytes, bytes]] = {b"cache-control": b"no-cache"}
# Not `int | None`: Litestar would read the word "null" as None.
MinVersion = Annotated[
    int, Parameter(query="minVersion", ge=0, le=ID_MAX, description="answer with this version at least")
]


def _room_json(services: Services, hall: Hall, counts: RoomCounts | None) -> bytes:
    """The `RoomSummary` of the event; an event without a room needs no pass."""
    waiting = 0 if counts is None else counts.waiting + (counts.lobby if counts.undrawn else 0)
    sale = sale_state(hall.event, services.clock.moment())
    return b'{"state":"%s","waiting":%d,"sale":"%s","reason":"%s"}' % (
        b"off" if counts is None else room_state(counts).encode(),
        waiting,
        sale.encode(),
        REASONS[sale].encode(),
    )


def _cacheable(request: AnyRequest, rendered: Rendered, control: Mapping[bytes, bytes] = NO_CACHE) -> Response[bytes]:
    """The answer with an ETag and these headers, gzipped where that pays, or 304 where the client has it."""
    pays = len(rendered.body) >= GZIP_BYTES_MIN
    is_gzipped = pays and takes_gzip(field(request, "accept-encoding"))
    tag = rendered.gzipped_tag if is_gzipped else rendered.tag
    headers = {b"etag": tag.encode(), **control}
    if pays:
        headers[b"vary"] = b"Accept-Encoding"
    if has_already(field(request, "if-none-match"), tag):
        return Answer(b"", status_code=304, headers=headers)
    if not is_gzipped:
        return Answer(rendered.body, headers=headers)
    headers[b"content-encoding"] = b"gzip"
    return Answer(rendered.gzipped, headers=headers)


def _still_seconds(services: Services, hall: Hall, counts: RoomCounts | None) -> int:
    """How long the event, its counts and its room stay as they are, unless an operator changes them: as its page."""
    lobby = None if counts is None else services.places.lobby(hall.event_id, counts)
    state, now = "off" if counts is None else room_state(counts), services.clock.moment()
    if not is_quiet(sale_state(hall.event, now), state, lobby):
        return MOVING_SECONDS
    moments = [*hall.changes_at(), *([] if lobby is None else [lobby.opens_at])]
    return seconds_until_change(now, moments, services.settings.edge.quiet_seconds)


def _moving(request: AnyRequest, hall: Hall, version_min: int, seconds: int = MOVING_SECONDS) -> Mapping[bytes, bytes]:
    """How long an edge may keep what changes with every booking. It must not answer a fan of a session, a reader who
    asks for a version, or the simulated fans of a rehearsal.
    """
    if version_min or hall.rehearsal_of is not None or services_of(request).identity.has_token(request):
        return NO_CACHE
    return header_lines(seconds, event_key(hall.event_id))


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
    counts = await services.counts.of(hall.event_id)
    answer = hall.initial_call(_room_json(services, hall, counts))
    return _cacheable(request, answer, _moving(request, hall, min_version, _still_seconds(services, hall, counts)))


@public.get(
    "/api/events/{event_id:int}/seats", refuses=READ_REFUSED, also={200: SeatMap, 304: None}, headers=(KNOWN_HEADER,)
)
async def seats(request: AnyRequest, event_id: PathEvent, min_version: MinVersion = 0) -> Response[bytes]:
    """The hall, and the seats that are not free.

    While many seats change, a large hall's answer may be a quarter of a second old. A fan whose booking this gateway
    has answered sees it at once; a reader without a session names ``minVersion``.
    """
    services = services_of(request)
    hall = await services.hall_access.to_read(request, event_id, version_min=min_version)
    rendered = hall.seats_rendered(min_version)
    if rendered.version < hall.answered:
        fan = services.identity.known(request)
        if fan is not None:
            rendered = await hall.seats_for(fan.user_id)
    return _cacheable(request, rendered, _moving(request, hall, min_version))


@public.get(
    "/api/events/{event_id:int}/plan",
    refuses=READ_REFUSED,
    also={200: PlanOverview, 304: None},
    headers=(KNOWN_HEADER,),
)
async def plan(request: AnyRequest, event_id: PathEvent, min_version: MinVersion = 0) -> Response[bytes]:
    """The hall plan without its seats: what stands where, and what is left in each section.

    A plan that the venue has not given is made of the ticket types, rows and seat numbers.
    """
    services = services_of(request)
    hall = await services.hall_access.to_read(request, event_id, version_min=min_version)
    answers = await _plan_of(services, hall)
    return _cacheable(request, answers.overview(hall, min_version), _moving(request, hall, min_version))


@public.get(
    "/api/events/{event_id:int}/plan/{plan_version:str}/sections/{section_id:int}",
    refuses=(*READ_REFUSED, "unknown_plan"),
    also={200: PlanSectionSeats, 304: None},
    headers=(KNOWN_HEADER,),
)
async def plan_section(
    request: AnyRequest, event_id: PathEvent, plan_version: PathPlanVersion, section_id: PathSection
) -> Response[bytes]:
    """The seats of one section of the plan. Under this address they never change, so they may be kept for a year."""
    services = services_of(request)
    hall = await services.hall_access.to_read(request, event_id)
    answers = await _plan_of(services, hall)
    try:
        rendered = answers.seats_of(plan_version, section_id)
    except UnknownPlanError:
        raise ProblemError("unknown_plan") from None
    control = IMMUTABLE if hall.rehearsal_of is None else IMMUTABLE_PRIVATE
    return _cacheable(request, rendered, {b"cache-control": control})


async def _plan_of(services: Services, hall: Hall) -> PlanAnswers:
    try:
        return await services.hall_plans.of(hall)
    except UnknownEventError:
        raise ProblemError("unknown_event") from None


@public.get(
    "/api/events/{event_id:int}/proposals",
    refuses=(*READ_REFUSED, "unknown_seats"),
    also={200: ProposalList, 304: None},
    headers=(KNOWN_HEADER,),
)
async def proposals(
    request: AnyRequest,
    event_id: PathEvent,
    quantity: Annotated[int, Parameter(ge=1, le=LISTS_MAX, description="how many seats side by side")],
    ticket_type_id: Annotated[
        int, Parameter(query="ticketTypeId", ge=0, le=INT_MAX, description="of this ticket type; 0 for any")
    ] = 0,
    accessible: Annotated[bool, Parameter(description="one of the seats is to be an accessible seat")] = False,
    min_version: MinVersion = 0,
) -> Response[bytes]:
    """Two or three proposals of free seats side by side. Nothing is held: reserve the seats of one by ``seatDetails``.

    Accessible seats and their companions' are proposed only where they are asked for.
    """
    services = services_of(request)
    if quantity > services.settings.limit.seats_per_request_max:
        raise invalid(f"at most {services.settings.limit.seats_per_request_max} seats", "quantity")
    hall = await services.hall_access.to_read(request, event_id, version_min=min_version)
    if ticket_type_id and ticket_type_id not in hall.tickets:
        raise ProblemError("unknown_seats", "There is no such ticket type.")
    wish = Wish(quantity, accessible)
    now = services.clock.moment()
    answer = await services.hall_proposals.answer(hall, wish, ticket_type_id, min_version, now)
    return _cacheable(request, answer)


@public.get(
    "/api/events/{event_id:int}/live",
    media_type="text/event-stream",
    refuses=(*READ_REFUSED, "too_many_streams"),
    headers=(LAST_ID_HEADER,),
)
async def live(request: AnyRequest, event_id: PathEvent) -> StreamResponse:
    """Seats as they change: a snapshot, then deltas whose id is the event's version.

    A network may have some dozens of these streams open without a session. With ``bye`` the stream ends, also where the
    line needs its connection: the seats can be read instead.
    """
    services = services_of(request)
    session = services.identity.known(request)
    slots = services.stream_slots
    slot = slots.of_network(network(request)) if session is None else slots.of_fan(session.user_id, yields=True)
    slot.require_free()
    hall = await services.hall_access.to_read(request, event_id)
    last = request.headers.get("last-event-id", "")
    last_version = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None

    async def subscribe(stream: Stream) -> Callable[[], Awaitable[None]]:
        return hall.subscribe(stream, last_version)

    return StreamResponse(subscribe, slot)


@public.get(
    "/api/events",
    refuses=("invalid_request",),
    also={200: EventList, 304: None},
    headers=(KNOWN_HEADER,),
)
async def events(
    request: AnyRequest,
    q: Annotated[
        str,
        Parameter(max_length=CHARACTERS_MAX, pattern=NO_NUL, description="in name, artist, venue, town, tags or date"),
    ] = "",
    venue: Annotated[str, Parameter(max_length=CHARACTERS_MAX, pattern=NO_NUL)] = "",
    # Texts, since Litestar would read a number as seconds of the epoch.
    from_: Annotated[str | None, Parameter(query="from", max_length=40, schema_extra={"format": "date-time"})] = None,
    to: Annotated[str | None, Parameter(max_length=40, schema_extra={"format": "date-time"})] = None,
    cursor: Annotated[str | None, Parameter(max_length=CURSOR_CHARACTERS_MAX)] = None,
    limit: Annotated[int, Parameter(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    sort: Annotated[Sort, Parameter(description="the soonest first, or what fits best and can be bought")] = Sort.DATE,
    town: Annotated[str, Parameter(max_length=CHARACTERS_MAX, pattern=NO_NUL, description="in this town")] = "",
    tag: Annotated[str, Parameter(max_length=CHARACTERS_MAX, pattern=NO_NUL, description="with this tag")] = "",
    month: Annotated[str, Parameter(pattern=MONTH, description="in this month at the venue, as 2027-06")] = "",
    currency: Annotated[str, Parameter(pattern=CURRENCY, description="of the prices")] = "",
    price_min: Annotated[
        int, Parameter(query="priceMin", ge=0, le=PRICE_MAX, description="the cheapest seat costs so much at least")
    ] = 0,
    price_max: Annotated[
        int, Parameter(query="priceMax", ge=0, le=PRICE_MAX, description="the cheapest seat costs less; 0: any price")
    ] = 0,
    available: Annotated[bool, Parameter(description="only events with a seat that is neither sold nor held")] = False,
    facets: Annotated[bool, Parameter(description="count the events that were found by town, month and price")] = False,
    suggest: Annotated[bool, Parameter(description="name what a fan who types `q` may mean")] = False,
) -> Response[bytes]:
    """Events that are found by words of their name, artist, venue, town, tags or date, in any script and with
    mistakes; go on with ``cursor`` while there is one. Shared caches may keep the answer for some seconds.
    """
    services = services_of(request)
    ask = Search(
        wanted=Wanted(
            text=q,
            venue=venue,
            town=town,
            tag=tag,
            month=month,
            currency=currency,
            price_min=price_min or None,
            price_max=price_max or None,
            date_min=_moment(from_, "from"),
            date_max=_moment(to, "to"),
            available=available,
        ),
        sort=sort,
        limit=limit,
        now=as_of(services.clock.moment()),
        after=None if cursor is None else read_cursor(cursor, sort),
        facets=facets,
        suggestions=suggest,
    )
    rendered = await services.catalogue.answer(ask)
    return _cacheable(request, rendered, header_lines(services.settings.edge.list_seconds, LISTS))


def _moment(text: str | None, name: str) -> dt.datetime | None:
    if text is None:
        return None
    try:
        return msgspec.convert(text, Moment)
    except msgspec.ValidationError:
        raise invalid("a time with its offset is needed, e.g. 2026-06-12T19:30:00Z", name) from None


ROUTERS = (public,)
