"""Bodies and answers of bookings: reserve, checkout, cancel, jobs, holds, purchases."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.contract.values import (
    LISTS_MAX,
    AnswerBody,
    CaptchaToken,
    EventId,
    Moment,
    RequestBody,
    SeatAnswer,
    SeatInt,
    TicketTypeId,
    UserId,
)


class SeatNumbers(RequestBody, kw_only=True):
    """Arrays of one length: the n-th row and the n-th seat are one seat."""

    row_numbers: Annotated[tuple[SeatInt, ...], Meta(min_length=1, max_length=LISTS_MAX)]
    seat_numbers: Annotated[tuple[SeatInt, ...], Meta(min_length=1, max_length=LISTS_MAX)]

    def __post_init__(self) -> None:
        if len(self.row_numbers) != len(self.seat_numbers):
            raise ValueError(
                f"rowNumbers has {len(self.row_numbers)} entries and seatNumbers {len(self.seat_numbers)}; "
                "they name seats pairwise"
            )


class SeatDetail(RequestBody, kw_only=True):
    ticket_type_id: TicketTypeId
    meta_data: SeatNumbers


class BestAvailableBody(RequestBody, kw_only=True):
    ticket_type_id: TicketTypeId
    quantity: Annotated[int, Meta(ge=1, le=LISTS_MAX)]


SeatDetails = Annotated[tuple[SeatDetail, ...], Meta(min_length=1, max_length=LISTS_MAX)]


class ReserveBody(RequestBody, kw_only=True):
    event_id: EventId
    user_id: UserId | None = None
    seat_details: SeatDetails | None = None
    best_available: BestAvailableBody | None = None

    def __post_init__(self) -> None:
        if (self.seat_details is None) == (self.best_available is None):
            raise ValueError("name either seatDetails or bestAvailable")


class CheckoutBody(RequestBody, kw_only=True):
    event_id: EventId
    user_id: UserId | None = None
    seat_details: SeatDetails | None = None
    reservation_id: uuid.UUID | None = None
    captcha_token: CaptchaToken | None = None
    recaptcha_token: CaptchaToken | None = None

    def __post_init__(self) -> None:
        if (self.seat_details is None) == (self.reservation_id is None):
            raise ValueError("name either seatDetails or reservationId")


class SeatNamed(RequestBody, kw_only=True):
    ticket_type_id: TicketTypeId
    row_number: SeatInt
    seat_number: SeatInt


class CancelBody(RequestBody, kw_only=True):
    """Seats of a purchase to be given back; without ``details`` all that are left of it."""

    details: Annotated[tuple[SeatNamed, ...], Meta(min_length=1, max_length=LISTS_MAX)] | None = None


class JobAccepted(AnswerBody, kw_only=True):
    job_id: uuid.UUID
    status: Literal["queued"]
    href: str


class Job(AnswerBody, kw_only=True, omit_defaults=True):
    job_id: uuid.UUID
    kind: str
    status: Literal["queued", "succeeded", "failed"]
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None


class HeldSeat(SeatAnswer, kw_only=True):
    """``amount`` is what was agreed when it was held, whatever its ticket type costs by now."""

    amount: int


class ReservationAnswer(AnswerBody, kw_only=True):
    reservation_id: uuid.UUID
    event_id: int
    expires_at: Moment
    total_amount: int
    currency: str
    seats: tuple[HeldSeat, ...]


class ReservationList(AnswerBody, kw_only=True):
    reservations: tuple[ReservationAnswer, ...]


class PurchaseDetailAnswer(AnswerBody, kw_only=True):
    """A seat of a purchase. Cancelled, it is somebody else's to buy, and has no ``ticketCode`` any more."""

    ticket_type_id: int
    ticket_type: str
    row_number: int
    seat_number: int
    amount: int
    ticket_code: str | None
    cancelled_at: Moment | None = None


class PurchaseAnswer(AnswerBody, kw_only=True):
    """``total_amount`` is of the seats that are not cancelled; ``status`` is ``cancelled`` where none is left."""

    purchase_id: uuid.UUID
    event_id: int
    user_id: int
    total_amount: int
    currency: str
    purchase_at: Moment
    status: str
    details: tuple[PurchaseDetailAnswer, ...]


class PurchaseList(AnswerBody, kw_only=True):
    purchases: tuple[PurchaseAnswer, ...]
