"""Reserve, checkout, release, cancel; jobs; the fan's own holds and purchases."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from litestar import HttpMethod, Response
from litestar.params import Parameter

from booking_lane.commands import UNSTAMPED, BestAvailable, Cancel, Checkout, Command, Proof, Release, Reserve, Take
from booking_lane.results import JobRecord
from db.booking.live_holds import holds_of_fan
from db.booking.results import breakdown
from db.booking.seats import Seat
from db.booking.ticket_codes import with_codes
from db.events.sale import EventState
from gateway.booking.desk import WAIT_SECONDS_MAX, Ask, Booked
from gateway.captcha.altcha import Altcha
from gateway.contract.booking import (
    JOBS,
    CancelBody,
    CheckoutBody,
    HandOnLink,
    HandOnLinks,
    Job,
    JobAccepted,
    PurchaseAnswer,
    PurchaseLink,
    PurchaseList,
    ReservationAnswer,
    ReservationList,
    ReserveBody,
    SeatDetail,
    SeatNamed,
    TakeBody,
)
from gateway.contract.values import ID_MAX
from gateway.identity.answers import BOUGHT, CANCELLED, RELEASED, RESERVED, Step
from gateway.identity.guards import FAN_OF_BODY, JOB_OWNER, PURCHASE_FAN, PURCHASE_HOLDER, PURCHASE_KEY, TICKET_HOLDER
from gateway.identity.sessions import Session
from gateway.identity.suspicions import verdict_of
from gateway.routes.line import PASS_HEADER
from gateway.routes.routers import fan_router
from gateway.services import Services, address, network, services_of
from gateway.wire.addresses import below
from gateway.wire.negotiation import field, wait_seconds
from gateway.wire.openapi import header, link
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.requests import Answer, AnyRequest, origin_of
from tickets.signed import SignedTicket
from waiting_room.errors import TokenInvalid

fans = fan_router("booking")
KEY_CHARACTERS_MAX: Final = 128
PREFER_CHARACTERS_MAX: Final = 200

IdempotencyKey = Annotated[str | None, Parameter(header="Idempotency-Key", min_length=1, max_length=KEY_CHARACTERS_MAX)]
Prefer = Annotated[
    str | None, Parameter(header="Prefer", max_length=PREFER_CHARACTERS_MAX, description="wait=SECONDS, at most 30")
]
EventQuery = Annotated[int, Parameter(query="eventId", ge=1, le=ID_MAX)]
SUCCEEDED: Final = b'{"status":"succeeded"'
"""How the record of a command that did what was asked begins."""
CAPTCHA_HEADER_NAME: Final = "x-captcha-token"
CAPTCHA_HEADER: Final = header("X-Captcha-Token", "a solved captcha, where the job failed with `captcha_required`")
COMMAND_REFUSED: Final = (
    "invalid_request",
    "unknown_event",
    "idempotency_key_reused",
    "network_denied",
    "rate_limited",
    "overloaded",
)
TO_JOB: Final = link("bookingJob", {"job_id": "$response.body#/jobId"})
TO_JOBS_END: Final = link("bookingJob", {"job_id": "$response.body#/jobId", "wait": 10})
FROM_HOLD: Final = {
    "job": TO_JOB,
    "holds": link("bookingReservations", {"eventId": "$request.body#/eventId"}),
    "checkout": link(
        "bookingCheckoutPut",
        {"Prefer": "wait=10"},
        {"eventId": "$request.body#/eventId", "reservationId": "$response.body#/result/reservationId"},
    ),
    "release": link(
        "bookingRelease",
        {
            "reservation_id": "$response.body#/result/reservationId",
            "eventId": "$request.body#/eventId",
            "Prefer": "wait=10",
        },
    ),
    "seats": link("eventsSeats", {"event_id": "$request.body#/eventId"}),
}
TO_PURCHASE: Final = link("bookingPurchase", {"purchase_id": "$response.body#/result/purchaseId"})
TO_CANCEL: Final = link("bookingCancel", {"purchase_id": "$response.body#/purchaseId", "Prefer": "wait=10"}, {})
KEY_HEADER: Final = header(PURCHASE_KEY, "the key of the purchase's own link; it does as well as a session")
BODY_REFUSED: Final = ("not_you", "body_too_large", "unsupported_media_type")


def _answers(kind: str) -> dict[int, type | None]:
    return {200: JOBS[kind], 202: JobAccepted}


def seconds_preferred(request: AnyRequest, prefer: str | None) -> float:
    """How long the fan prefers to wait for the job's end; ``prefer`` is one of the header's lines."""
    return 0.0 if prefer is None else wait_seconds(field(request, "prefer"), WAIT_SECONDS_MAX)


def _seats(details: tuple[SeatDetail, ...], seats_max: int) -> tuple[Seat, ...]:
    """The seats in their lock order.

    Raises:
        ProblemError: ``invalid_request`` for too many or a seat named twice.
    """
    named = [
        (detail.ticket_type_id, row, number)
        for detail in details
        for row, number in zip(detail.meta_data.row_numbers, detail.meta_data.seat_numbers, strict=True)
    ]
    return in_order(named, seats_max, "$.seatDetails")


def in_order(named: list[Seat], seats_max: int, path: str) -> tuple[Seat, ...]:
    """The seats in their lock order; ``path`` is where the request names them.

    Raises:
        ProblemError: ``invalid_request`` for too many or a seat named twice.
    """
    if len(named) > seats_max:
        raise invalid(f"{len(named)} seats in one request; at most {seats_max} are taken", path)
    seats = tuple(sorted(set(named)))
    if len(seats) != len(named):
        raise invalid("a seat is named twice", path)
    return seats


async def _finished(services: Services, command_id: uuid.UUID, record: JobRecord) -> Response[bytes]:
    """A job's answer: its recorded body, with what the event's hall plan calls its seats."""
    outcome = b'{"status":"queued"}'
    if record.payment_id is not None and not record.body:
        step = await services.payments.step(record)
        if step is not None:
            outcome = b'{"status":"queued","payment":%s}' % msgspec.json.encode(step)
    if record.body:
        services.halls.note_answered(record)
        labels = await services.halls.labels(record.event_id)
        outcome = with_codes(labels.in_outcome(record.kind, record.body))
    head = b'{"jobId":"%s","kind":"%s",' % (str(command_id).encode(), record.kind.encode())
    return Answer(head + outcome[1:])


async def answer_of(services: Services, booked: Booked) -> Response[bytes]:
    """200 with the finished job, or 202: the job tells what becomes of it."""
    command_id, record = booked
    if record is not None and record.body:
        return await _finished(services, command_id, record)
    href = below(f"/api/jobs/{command_id}")
    step = None if record is None or record.payment_id is None else await services.payments.step(record)
    body = msgspec.json.encode(JobAccepted(job_id=command_id, status="queued", href=href, payment=step))
    return Answer(body, status_code=202, headers={b"location": href.encode()})


def _refuse_if_full(services: Services, arguments: Mapping[str, Any]) -> None:
    """Where a lane is full the session is not even looked at: refusing must stay cheap.

    Raises:
        ProblemError: ``overloaded``.
    """
    services.desk.refuse_if_full(arguments["data"].event_id)


@fans.post(
    "/api/reserve",
    guard=FAN_OF_BODY,
    weighed=RESERVED,
    first=_refuse_if_full,
    status_code=202,
    refuses=(
        *COMMAND_REFUSED,
        *BODY_REFUSED,
        "conduct_refused",
        "captcha_required",
        "account_required",
        "not_admitted",
        "event_cancelled",
        "captcha_failed",
        "captcha_unavailable",
    ),
    also=_answers("reserve"),
    headers=(PASS_HEADER, CAPTCHA_HEADER),
    links={"200": FROM_HOLD, "202": {"job": TO_JOBS_END}},
)
async def reserve(
    request: AnyRequest, user_id: int, data: ReserveBody, idempotency_key: IdempotencyKey = None, prefer: Prefer = None
) -> Response[bytes]:
    """Hold seats for ten minutes: those named, or the best available.

    The job fails with ``captcha_required`` where the fan let many holds end unbought, or where much is held and bought
    from the fan's network by fans who proved nothing: solve a captcha for ``reserve`` in the same session, and send it
    in ``X-Captcha-Token`` with a new request. The request itself is refused so where what the session did looks like a
    program's, and with ``conduct_refused`` where it goes on; both name their reasons.
    """
    services = services_of(request)
    seats = _seats(data.seat_details, services.settings.limit.seats_per_request_max) if data.seat_details else ()
    best, wanted = None, data.best_available
    if wanted is not None:
        best = BestAvailable(wanted.ticket_type_id, wanted.quantity)
        if best.quantity > services.settings.limit.seats_per_request_max:
            raise invalid(f"at most {services.settings.limit.seats_per_request_max} seats", "$.bestAvailable.quantity")
    hall = await services.hall_access.to_book(request, data.event_id)
    services.hall_access.require_account(request, hall)
    command = Reserve(
        **UNSTAMPED,
        event_id=data.event_id,
        user_id=user_id,
        seats=seats,
        best_available=best,
        accessible=wanted is not None and wanted.accessible,
    )
    verdict = verdict_of(request)

    async def permit(command_id: uuid.UUID) -> Command:
        # What this asks of Redis leaves together with what the admission asks.
        counting = None if hall.rehearsal_of is not None else services.permits.counting(command, address(request))
        await services.admission.require(request, data.event_id, user_id)
        permitted = await services.permits.permit(
            command,
            address(request),
            command_id,
            action="reserve",
            token=request.headers.get(CAPTCHA_HEADER_NAME),
            counting=counting,
        )
        if permitted.proof == Proof.FRESH:
            services.suspicions.proved(user_id)
        if services.captcha.provider != "off":
            verdict.require_proof(permitted.proof, fresh=Proof.FRESH)
        return permitted

    ask = Ask(command, idempotency_key, seconds_preferred(request, prefer), permit, behind=verdict.is_behind)
    booked = await services.desk.book(ask)
    _note_end(services, user_id, Step.RESERVE, booked)
    return await answer_of(services, booked)


def _note_end(services: Services, user_id: int, step: Step, booked: Booked) -> None:
    """Count how the command ended with what the fan did, where that is known by now."""
    record = booked.record
    if record is None or not record.body:
        return
    code = "captcha_required" if b'"code":"captcha_required"' in record.body else ""
    services.suspicions.ended(user_id, step, succeeded=record.body.startswith(SUCCEEDED), code=code)


@fans.route(
    "/api/checkout",
    methods=[HttpMethod.POST, HttpMethod.PUT],
    guard=FAN_OF_BODY,
    weighed=BOUGHT,
    first=_refuse_if_full,
    status_code=202,
    refuses=(
        *COMMAND_REFUSED,
        *BODY_REFUSED,
        "captcha_failed",
        "captcha_unavailable",
        "voucher_unknown",
        "too_many_codes",
        "answers_missing",
    ),
    also=_answers("checkout"),
    links={"PUT 200": {"job": TO_JOB, "purchase": TO_PURCHASE}, "PUT 202": {"job": TO_JOBS_END}},
)
async def checkout(
    request: AnyRequest, user_id: int, data: CheckoutBody, idempotency_key: IdempotencyKey = None, prefer: Prefer = None
) -> Response[bytes]:
    """Buy a hold, past a captcha: that of this request, or one that the fan solved in this session minutes before.

    Where the event takes payments the job stays queued and has a ``payment``: the fan pays at its ``href``. The job
    then succeeds with the purchase, or fails with ``payment_failed``.

    Where the event ``asks``, the fan has put the hold's answers before, or is refused with ``answers_missing``.

    A ``voucher`` lowers prices; what the hold costs with it is told by its quote. The job fails with ``voucher_used``,
    ``voucher_expired`` or ``voucher_not_for_these`` where it is not good any more, and the hold stays.
    """
    services = services_of(request)
    seats = _seats(data.seat_details, services.settings.limit.seats_per_request_max) if data.seat_details else ()
    hall = await services.hall_access.to_book(request, data.event_id)
    hold_id = data.reservation_id
    vouchers: tuple[bytes, ...] = ()
    if data.voucher is not None:
        vouchers = await services.vouchers.hashes(data.event_id, user_id, network(request), data.voucher)
    command = Checkout(
        **UNSTAMPED, event_id=data.event_id, user_id=user_id, seats=seats, reservation_id=hold_id, vouchers=vouchers
    )

    async def permit(command_id: uuid.UUID) -> Command:
        if hall.asks is not None:
            await services.orders.require_answers(hall, user_id, hold_id, seats)
        # A rehearsal's fans solve ours like everybody; one for people alone, of Google, no machine solves.
        is_exempt = hall.rehearsal_of is not None and not isinstance(services.captcha, Altcha)
        token = None if is_exempt else data.captcha_token or data.recaptcha_token
        permitted = await services.permits.permit(
            command,
            address(request),
            command_id,
            action="checkout",
            token=token,
            counting=None if hall.rehearsal_of is not None else services.permits.counting(command, address(request)),
        )
        if token is None and not permitted.proof and services.captcha.provider != "off" and not is_exempt:
            services.permits.require_token()
        if permitted.proof == Proof.FRESH:
            services.suspicions.proved(user_id)
        return permitted

    # A late retry's captcha has ended, and Redis has forgotten; what was bought is still bought.
    ask = Ask(command, idempotency_key, seconds_preferred(request, prefer), permit, repeats_recorded=True)
    booked = await services.desk.book(ask)
    _note_end(services, user_id, Step.CHECKOUT, booked)
    return await answer_of(services, booked)


def counted(
    request: AnyRequest, fan: Session, command: Command
) -> Callable[[uuid.UUID], Awaitable[Command | None]] | None:
    """Counts a command that needs no permit beside; a rehearsal's fan may ask for any number."""
    if fan.rehearses:
        return None

    async def permit(_: uuid.UUID) -> None:
        permits = services_of(request).permits
        await permits.count(permits.counting(command, address(request)), address(request))

    return permit


@fans.delete(
    "/api/reservations/{reservation_id:uuid}",
    weighed=RELEASED,
    status_code=202,
    refuses=COMMAND_REFUSED,
    also=_answers("release"),
    links={"202": {"job": TO_JOBS_END}},
)
async def release(
    request: AnyRequest,
    fan: Session,
    reservation_id: uuid.UUID,
    event_id: EventQuery,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[bytes]:
    """Give a hold back before its end."""
    services = services_of(request)
    await services.hall_access.to_book(request, event_id)
    command = Release(**UNSTAMPED, event_id=event_id, user_id=fan.user_id, reservation_id=reservation_id)
    ask = Ask(command, idempotency_key, seconds_preferred(request, prefer), counted(request, fan, command))
    booked = await services.desk.book(ask)
    _note_end(services, fan.user_id, Step.RELEASE, booked)
    return await answer_of(services, booked)


async def owned_purchase(services: Services, fan: Session, purchase_id: uuid.UUID) -> tuple[int, bytes] | None:
    """A purchase of the fan's, and as whom the fan made it: an account's fan may have been another one before."""
    found = await services.reader.purchase(fan.user_id, purchase_id)
    if found is not None:
        return fan.user_id, found
    for earlier in (await services.accounts.fans_of(fan))[1:]:
        found = await services.reader.purchase(earlier, purchase_id)
        if found is not None:
            return earlier, found
    return None


@fans.post(
    "/api/purchases/{purchase_id:uuid}/cancel",
    weighed=CANCELLED,
    status_code=202,
    refuses=(*COMMAND_REFUSED, "unknown_purchase", "body_too_large", "unsupported_media_type"),
    guard=PURCHASE_FAN,
    also=_answers("cancel"),
    headers=(KEY_HEADER,),
    links={"200": {"job": TO_JOB}, "202": {"job": TO_JOBS_END}},
)
async def cancel(
    request: AnyRequest,
    fan: Session,
    purchase_id: uuid.UUID,
    data: CancelBody | None = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[bytes]:
    """Cancel a purchase, or some of its seats: they are on sale again, to the line.

    All or nothing. The result's ``details`` are the seats that this cancelled; ``refundAmount`` is what they cost, told
    once, and the venue's to pay back, for no money moves here. The job fails with ``not_cancellable`` where a seat
    named is none of the purchase or is cancelled already, with ``cancel_closed`` from its ``cancelUntil`` on, and
    with ``event_cancelled`` where the whole event was cancelled. Who has the purchase's key and no session learns the
    end of a queued job by sending the same again under the same ``Idempotency-Key``.
    """
    services = services_of(request)
    details: tuple[SeatNamed, ...] = (data.details if data is not None else None) or ()
    seats = in_order(
        [(detail.ticket_type_id, detail.row_number, detail.seat_number) for detail in details],
        services.settings.limit.seats_per_request_max,
        "$.details",
    )
    owned = await owned_purchase(services, fan, purchase_id)
    if owned is None:
        raise ProblemError("unknown_purchase")
    user_id, found = owned
    event_id = msgspec.json.decode(found, type=PurchaseAnswer).event_id
    await services.hall_access.to_book(request, event_id)
    command = Cancel(**UNSTAMPED, event_id=event_id, user_id=user_id, purchase_id=purchase_id, seats=seats)
    ask = Ask(command, idempotency_key, seconds_preferred(request, prefer), counted(request, fan, command))
    return await answer_of(services, await services.desk.book(ask))


@fans.get("/api/jobs/{job_id:uuid}", guard=JOB_OWNER, refuses=("invalid_request", "unknown_job"), also={200: Job})
async def job(
    request: AnyRequest,
    owner_id: int | None,
    job_id: uuid.UUID,
    wait: Annotated[float, Parameter(ge=0, le=WAIT_SECONDS_MAX, description="seconds to wait for its end")] = 0,
) -> Response[bytes]:
    """What became of a command. Somebody else's job is not known."""
    services = services_of(request)
    record = await services.desk.job(job_id, wait)
    if record is None or (owner_id is not None and record.user_id != owner_id):
        raise ProblemError("unknown_job")
    return await _finished(services, job_id, record)


@fans.get("/api/reservations", refuses=("invalid_request", "unknown_event"))
async def reservations(request: AnyRequest, fan: Session, event_id: EventQuery) -> ReservationList:
    """The fan's live holds."""
    services = services_of(request)
    user_id = fan.user_id
    hall = await services.hall_access.to_book(request, event_id)
    async with services.engine.connect() as connection:
        # Those of a cancelled event can be bought no longer, though the sweep that ends them comes a moment later.
        is_cancelled = hall.event.event_state is EventState.CANCELLED
        holds = [] if is_cancelled else await holds_of_fan(connection, event_id, user_id)
    return ReservationList(
        reservations=tuple(
            ReservationAnswer(
                reservation_id=hold.reservation_id,
                event_id=hold.event_id,
                expires_at=hold.expires_at,
                total_amount=hold.total_amount,
                currency=hall.event.currency,
                seats=hall.labels.held_seats(hold.seats, hold.charges),
                breakdown=breakdown(hold.charges),
            )
            for hold in holds
        )
    )


@fans.get("/api/purchases", guard=TICKET_HOLDER, also={200: PurchaseList})
async def purchases(request: AnyRequest, holder: Session) -> Response[bytes]:
    """The fan's own purchases. They keep their session until their events are over; one that ended is renewed.

    An account's are those of all its devices, and those that its fan made before signing in, with another ``userId``.
    """
    services = services_of(request)
    found = [one for fan in await services.accounts.fans_of(holder) for one in await services.reader.purchases(fan)]
    await services.tickets.keep(request, holder, found)
    return Answer(b'{"purchases":[%s]}' % b",".join(found))


@fans.get(
    "/api/purchases/{purchase_id:uuid}",
    guard=PURCHASE_HOLDER,
    refuses=("invalid_request", "unknown_purchase"),
    also={200: PurchaseAnswer},
    headers=(KEY_HEADER,),
    links={"200": {"cancel": TO_CANCEL}},
)
async def purchase(request: AnyRequest, holder: Session, purchase_id: uuid.UUID) -> Response[bytes]:
    """One of the fan's own purchases. It keeps its session until its event is over; one that ended is renewed. The
    key of the purchase's own link opens it without a session, at any time.
    """
    services = services_of(request)
    owned = await owned_purchase(services, holder, purchase_id)
    await services.tickets.keep(request, holder, () if owned is None else (owned[1],))
    if owned is None:
        raise ProblemError("unknown_purchase")
    return Answer(owned[1])


@fans.get("/api/purchases/{purchase_id:uuid}/link", refuses=("invalid_request", "unknown_purchase"))
async def purchase_link(request: AnyRequest, fan: Session, purchase_id: uuid.UUID) -> Response[PurchaseLink]:
    """The purchase's own link, which opens the tickets on any device. Who has the link has the tickets."""
    services = services_of(request)
    owned = await owned_purchase(services, fan, purchase_id)
    if owned is None:
        raise ProblemError("unknown_purchase")
    key = services.identity.purchase_keys.key(purchase_id, owned[0])
    href = f"{origin_of(request)}{below(f'/purchases/{purchase_id}')}?key={key}"
    return Response(PurchaseLink(href=href, key=key), headers={"Cache-Control": "no-store"})


@fans.get("/api/purchases/{purchase_id:uuid}/hand-on", refuses=("invalid_request", "unknown_purchase"))
async def hand_on(request: AnyRequest, fan: Session, purchase_id: uuid.UUID) -> Response[HandOnLinks]:
    """Links that hand the fan's tickets of a purchase on: the first who takes one has that ticket, and the codes that
    it had are no longer valid. A ticket that was issued as often as it may be has none.
    """
    services = services_of(request)
    owned = await owned_purchase(services, fan, purchase_id)
    if owned is None:
        raise ProblemError("unknown_purchase")
    purchase = msgspec.json.decode(owned[1], type=PurchaseAnswer)
    links = []
    for one in purchase.details:
        if one.ticket is None or one.issue_number >= services.settings.hold.ticket_issues_max:
            continue
        seat = (one.ticket_type_id, one.row_number, one.seat_number)
        token = services.ticket_links.token(SignedTicket(purchase.event_id, purchase_id, seat, one.issue_number))
        href = f"{origin_of(request)}{below(f'/purchases/take/{token}')}"
        links.append(
            HandOnLink(ticket_type_id=seat[0], row_number=seat[1], seat_number=seat[2], href=href, token=token)
        )
    return Response(HandOnLinks(links=tuple(links)), headers={"Cache-Control": "no-store"})


@fans.post(
    "/api/tickets/take",
    status_code=202,
    refuses=(
        *COMMAND_REFUSED,
        "body_too_large",
        "unsupported_media_type",
        "account_required",
        "ticket_link_ended",
    ),
    also=_answers("take"),
    links={"200": {"job": TO_JOB}, "202": {"job": TO_JOBS_END}},
)
async def take(
    request: AnyRequest, fan: Session, data: TakeBody, idempotency_key: IdempotencyKey = None, prefer: Prefer = None
) -> Response[bytes]:
    """Take a ticket by a link that its holder gave. The codes that it had are no longer valid.

    The job fails with ``ticket_link_ended`` where somebody else took it before, it was cancelled, or the event has
    begun. A fan who took it already gets the same result again.
    """
    services = services_of(request)
    try:
        offered = services.ticket_links.ticket(data.token)
    except TokenInvalid:
        raise ProblemError("ticket_link_ended") from None
    hall = await services.hall_access.to_book(request, offered.event_id)
    services.hall_access.require_account(request, hall)
    command = Take(**UNSTAMPED, user_id=fan.user_id, **offered._asdict())
    ask = Ask(command, idempotency_key, seconds_preferred(request, prefer), counted(request, fan, command))
    return await answer_of(services, await services.desk.book(ask))


ROUTERS = (fans,)
