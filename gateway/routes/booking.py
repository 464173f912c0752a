"""Reserve, checkout, release, cancel; jobs; the fan's own holds and purchases."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from litestar import HttpMethod, Response
from litestar.params import Parameter
from sqlalchemy import func, select

from booking_lane.commands import (
    BestAvailable,
    Cancel,
    Checkout,
    Command,
    Release,
    Reserve,
    Seat,
    body_hash,
    command_id_for,
)
from booking_lane.results import JobRecord
from db.booking.holds import seat_amounts
from db.tables.booking import Reservation
from gateway.booking.desk import WAIT_SECONDS_MAX
from gateway.captcha.altcha import Altcha
from gateway.captcha.checks import require_solved
from gateway.contract.booking import (
    CancelBody,
    CheckoutBody,
    HeldSeat,
    Job,
    JobAccepted,
    PurchaseAnswer,
    PurchaseList,
    ReservationAnswer,
    ReservationList,
    ReserveBody,
    SeatDetail,
    SeatNamed,
)
from gateway.contract.values import ID_MAX
from gateway.identity.guards import FAN_OF_BODY, JOB_OWNER
from gateway.identity.sessions import Session
from gateway.routes.line import PASS_HEADER
from gateway.routes.routers import fan_router
from gateway.services import AnyRequest, Services, address, services_of
from gateway.wire.openapi import link
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.requests import Answer

fans = fan_router("booking")

HOLDS_MAX: Final = 100
KEY_CHARACTERS_MAX: Final = 128
PREFER_CHARACTERS_MAX: Final = 200

IdempotencyKey = Annotated[str | None, Parameter(header="Idempotency-Key", min_length=1, max_length=KEY_CHARACTERS_MAX)]
Prefer = Annotated[
    str | None, Parameter(header="Prefer", max_length=PREFER_CHARACTERS_MAX, description="wait=SECONDS, at most 30")
]
EventQuery = Annotated[int, Parameter(query="eventId", ge=1, le=ID_MAX)]
COMMAND_ANSWERS: Final[dict[int, type | None]] = {200: Job, 202: JobAccepted}
COMMAND_REFUSED: Final = (
    "invalid_request",
    "unknown_event",
    "idempotency_key_reused",
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
BODY_REFUSED: Final = ("not_you", "body_too_large", "unsupported_media_type")


@lru_cache(maxsize=64)
def _wait_seconds(prefer: str | None) -> float:
    """The ``wait`` of RFC 7240; what cannot be read is ignored, as the RFC has it."""
    for part in (prefer or "").split(","):
        name, _, value = part.partition("=")
        if name.strip().lower() == "wait" and value.strip().isascii() and value.strip().isdigit():
            return min(float(value.strip()[:4]), WAIT_SECONDS_MAX)
    return 0.0


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
    return _in_order(named, seats_max, "$.seatDetails")


def _in_order(named: list[Seat], seats_max: int, path: str) -> tuple[Seat, ...]:
    if len(named) > seats_max:
        raise invalid(f"{len(named)} seats in one request; at most {seats_max} are taken", path)
    seats = tuple(sorted(set(named)))
    if len(seats) != len(named):
        raise invalid("a seat is named twice", path)
    return seats


def _finished(command_id: uuid.UUID, record: JobRecord) -> Response[bytes]:
    """A job's answer, its recorded body unchanged."""
    head = b'{"jobId":"%s","kind":"%s",' % (str(command_id).encode(), record.kind.encode())
    body = head + (record.body[1:] if record.body else b'"status":"queued"}')
    return Answer(body)


def _accepted(command_id: uuid.UUID) -> Response[bytes]:
    href = f"/api/jobs/{command_id}"
    body = msgspec.json.encode(JobAccepted(job_id=command_id, status="queued", href=href))
    return Answer(body, status_code=202, headers={b"location": href.encode()})


async def _earlier(
    services: Services, user_id: int, key: str | None, asked: bytes, wait_seconds: float
) -> tuple[uuid.UUID | None, Response[bytes] | None]:
    """The command id of an Idempotency-Key, and the answer where its first request was taken already."""
    if key is None:
        return None, None
    command_id = command_id_for(user_id, key)
    record = await services.desk.earlier(command_id, user_id, asked)
    if record is None:
        return command_id, None
    if not record.body and wait_seconds > 0:
        record = await services.desk.job(command_id, wait_seconds) or record
    return command_id, _finished(command_id, record) if record.body else _accepted(command_id)


async def _submit(services: Services, command: Command, wait_seconds: float) -> Response[bytes]:
    record = await services.desk.submit(command, wait_seconds)
    return _accepted(command.command_id) if record is None else _finished(command.command_id, record)


def _refuse_if_full(services: Services, arguments: Mapping[str, Any]) -> None:
    """Where a lane is full the session is not even looked at: refusing must stay cheap.

    Raises:
        ProblemError: ``overloaded``.
    """
    services.desk.refuse_if_full(arguments["data"].event_id)


@fans.post(
    "/api/reserve",
    guard=FAN_OF_BODY,
    first=_refuse_if_full,
    status_code=202,
    refuses=(*COMMAND_REFUSED, *BODY_REFUSED, "not_admitted"),
    also=COMMAND_ANSWERS,
    headers=(PASS_HEADER,),
    links={"200": FROM_HOLD, "202": {"job": TO_JOBS_END}},
)
async def reserve(
    request: AnyRequest, user_id: int, data: ReserveBody, idempotency_key: IdempotencyKey = None, prefer: Prefer = None
) -> Response[bytes]:
    """Hold seats for ten minutes: those named, or the best available."""
    services = services_of(request)
    seats = _seats(data.seat_details, services.settings.limit.seats_per_request_max) if data.seat_details else ()
    best = None
    if data.best_available is not None:
        best = BestAvailable(data.best_available.ticket_type_id, data.best_available.quantity)
        if best.quantity > services.settings.limit.seats_per_request_max:
            raise invalid(f"at most {services.settings.limit.seats_per_request_max} seats", "$.bestAvailable.quantity")
    await services.hall_access.to_book(request, data.event_id)
    wait_seconds = _wait_seconds(prefer)
    asked = body_hash("reserve", (data.event_id, seats, best))
    command_id, answer = await _earlier(services, user_id, idempotency_key, asked, wait_seconds)
    if answer is not None:
        return answer
    await services.admission.require(request, data.event_id, user_id)
    head = services.desk.head(data.event_id, user_id, command_id, asked)
    return await _submit(services, Reserve(**head, seats=seats, best_available=best), wait_seconds)


@fans.route(
    "/api/checkout",
    methods=[HttpMethod.POST, HttpMethod.PUT],
    guard=FAN_OF_BODY,
    first=_refuse_if_full,
    status_code=202,
    refuses=(*COMMAND_REFUSED, *BODY_REFUSED, "captcha_failed", "captcha_unavailable"),
    also=COMMAND_ANSWERS,
    links={"PUT 200": {"job": TO_JOB, "purchase": TO_PURCHASE}, "PUT 202": {"job": TO_JOBS_END}},
)
async def checkout(
    request: AnyRequest, user_id: int, data: CheckoutBody, idempotency_key: IdempotencyKey = None, prefer: Prefer = None
) -> Response[bytes]:
    """Buy a hold, past a captcha."""
    services = services_of(request)
    seats = _seats(data.seat_details, services.settings.limit.seats_per_request_max) if data.seat_details else ()
    hall = await services.hall_access.to_book(request, data.event_id)
    wait_seconds = _wait_seconds(prefer)
    asked = body_hash("checkout", (data.event_id, seats, data.reservation_id))
    command_id, answer = await _earlier(services, user_id, idempotency_key, asked, wait_seconds)
    if answer is not None:
        return answer
    head = services.desk.head(data.event_id, user_id, command_id, asked)
    # A rehearsal's fans solve ours like everybody; one for people alone, of Google, no machine solves.
    is_exempt = hall.rehearsal_of is not None and not isinstance(services.captcha, Altcha)
    if services.captcha.provider != "off" and not is_exempt:
        token = data.captcha_token or data.recaptcha_token
        if token is None:
            raise ProblemError("captcha_failed", "Checkout needs a captchaToken; /api/captcha says which.")
        try:
            await require_solved(
                services.captcha,
                token,
                action="checkout",
                address=address(request),
                command_id=str(head["command_id"]),
            )
        except ProblemError:
            # A late retry's captcha has ended, and Redis has forgotten; what was bought is still bought.
            record = await services.desk.recorded(command_id) if command_id is not None else None
            if record is None or record.body_hash != asked:
                raise
            return _finished(head["command_id"], record)
    command = Checkout(**head, reservation_id=data.reservation_id, seats=seats)
    return await _submit(services, command, wait_seconds)


@fans.delete(
    "/api/reservations/{reservation_id:uuid}",
    status_code=202,
    refuses=COMMAND_REFUSED,
    also=COMMAND_ANSWERS,
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
    user_id = fan.user_id
    await services.hall_access.to_book(request, event_id)
    wait_seconds = _wait_seconds(prefer)
    asked = body_hash("release", (event_id, reservation_id))
    command_id, answer = await _earlier(services, user_id, idempotency_key, asked, wait_seconds)
    if answer is not None:
        return answer
    head = services.desk.head(event_id, user_id, command_id, asked)
    return await _submit(services, Release(**head, reservation_id=reservation_id), wait_seconds)


@fans.post(
    "/api/purchases/{purchase_id:uuid}/cancel",
    status_code=202,
    refuses=(*COMMAND_REFUSED, "unknown_purchase", "body_too_large", "unsupported_media_type"),
    also=COMMAND_ANSWERS,
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
    named is none of the purchase or is cancelled already, and with ``cancel_closed`` from its ``cancelUntil`` on.
    """
    services = services_of(request)
    user_id = fan.user_id
    details: tuple[SeatNamed, ...] = (data.details if data is not None else None) or ()
    seats = _in_order(
        [(detail.ticket_type_id, detail.row_number, detail.seat_number) for detail in details],
        services.settings.limit.seats_per_request_max,
        "$.details",
    )
    found = await services.reader.purchase(user_id, purchase_id)
    if found is None:
        raise ProblemError("unknown_purchase")
    event_id = msgspec.json.decode(found, type=PurchaseAnswer).event_id
    await services.hall_access.to_book(request, event_id)
    wait_seconds = _wait_seconds(prefer)
    asked = body_hash("cancel", (event_id, purchase_id, seats))
    command_id, answer = await _earlier(services, user_id, idempotency_key, asked, wait_seconds)
    if answer is not None:
        return answer
    head = services.desk.head(event_id, user_id, command_id, asked)
    return await _submit(services, Cancel(**head, purchase_id=purchase_id, seats=seats), wait_seconds)


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
    return _finished(job_id, record)


@fans.get("/api/reservations", refuses=("invalid_request", "unknown_event"))
async def reservations(request: AnyRequest, fan: Session, event_id: EventQuery) -> ReservationList:
    """The fan's live holds."""
    services = services_of(request)
    user_id = fan.user_id
    hall = await services.hall_access.to_book(request, event_id)
    async with services.engine.connect() as connection:
        rows = await connection.execute(
            select(Reservation)
            .where(
                Reservation.event_id == event_id,
                Reservation.user_id == user_id,
                Reservation.state == "held",
                Reservation.expires_at > func.clock_timestamp(),
            )
            .order_by(Reservation.expires_at)
            .limit(HOLDS_MAX)
        )
        found = rows.all()
    return ReservationList(
        reservations=tuple(
            ReservationAnswer(
                reservation_id=row.reservation_id,
                event_id=row.event_id,
                expires_at=row.expires_at,
                total_amount=row.total_amount,
                currency=hall.event.currency,
                seats=tuple(
                    HeldSeat(ticket_type_id=kind, row_number=number, seat_number=seat, amount=amount)
                    for kind, number, seat, amount in zip(
                        row.ticket_type_ids,
                        row.row_numbers,
                        row.seat_numbers,
                        seat_amounts(row.amounts, row.total_amount, len(row.seat_numbers)),
                        strict=True,
                    )
                ),
            )
            for row in found
        )
    )


@fans.get("/api/purchases", also={200: PurchaseList})
async def purchases(request: AnyRequest, fan: Session) -> Response[bytes]:
    """The fan's own purchases."""
    services = services_of(request)
    found = await services.reader.purchases(fan.user_id)
    return Answer(b'{"purchases":[%s]}' % b",".join(found))


@fans.get(
    "/api/purchases/{purchase_id:uuid}",
    refuses=("invalid_request", "unknown_purchase"),
    also={200: PurchaseAnswer},
    links={"200": {"cancel": TO_CANCEL}},
)
async def purchase(request: AnyRequest, fan: Session, purchase_id: uuid.UUID) -> Response[bytes]:
    """One of the fan's own purchases."""
    services = services_of(request)
    found = await services.reader.purchase(fan.user_id, purchase_id)
    if found is None:
        raise ProblemError("unknown_purchase")
    return Answer(found)


ROUTERS = (fans,)
