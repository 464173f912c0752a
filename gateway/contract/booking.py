"""Bodies and answers of bookings: reserve, checkout, cancel, jobs, holds, purchases."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union

import msgspec
from msgspec import Meta

from db.booking.results import RESULTS, Breakdown, HeldSeat, SeatCharge
from gateway.contract.values import (
    LISTS_MAX,
    AnswerBody,
    CaptchaToken,
    EventId,
    Moment,
    RequestBody,
    SeatInt,
    TicketTypeId,
    UserId,
    VoucherCode,
)

TOKEN_CHARS_MAX: Final = 128


class SeatNumbers(RequestBody, kw_only=True):
    """Two arrays of equal length: the n-th row number and the n-th seat number name one seat."""

    row_numbers: Annotated[tuple[SeatInt, ...], Meta(min_length=1, max_length=LISTS_MAX)]
    seat_numbers: Annotated[tuple[SeatInt, ...], Meta(min_length=1, max_length=LISTS_MAX)]

    def __post_init__(self) -> None:
        if len(self.row_numbers) != len(self.seat_numbers):
            raise ValueError(
                f"rowNumbers has {len(self.row_numbers)} entries and seatNumbers {len(self.seat_numbers)}; "
                "they name seats pairwise"
            )

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        for numbers in schema["properties"].values():
            numbers["maxItems"] = seats_max


class SeatDetail(RequestBody, kw_only=True):
    ticket_type_id: TicketTypeId
    meta_data: SeatNumbers


class BestAvailableBody(RequestBody, kw_only=True):
    """Seats side by side in one row, as near as possible to the middle of what fans come to see. With ``accessible``,
    one of them is an accessible seat; without it, none is, and none is a companion's.
    """

    ticket_type_id: TicketTypeId
    quantity: Annotated[int, Meta(ge=1, le=LISTS_MAX)]
    accessible: bool = False

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["properties"]["quantity"]["maximum"] = seats_max


SeatDetails = Annotated[tuple[SeatDetail, ...], Meta(min_length=1, max_length=LISTS_MAX)]


_SEAT_DETAILS = [{"ticketTypeId": 1, "metaData": {"rowNumbers": [1, 1], "seatNumbers": [1, 2]}}]


def _either(seats: str, other: str, other_type: str) -> list[dict[str, Any]]:
    """The schemas of a body that has either the array ``seats`` or the ``other`` field."""
    null = {"type": "null"}
    return [
        {"required": [seats], "properties": {seats: {"type": "array"}, other: null}},
        {"required": [other], "properties": {seats: null, other: {"type": other_type}}},
    ]


class ReserveBody(RequestBody, kw_only=True):
    EXAMPLES = (
        {"eventId": 1, "seatDetails": _SEAT_DETAILS},
        {"eventId": 1, "bestAvailable": {"ticketTypeId": 1, "quantity": 2}},
    )

    event_id: EventId
    user_id: UserId | None = None
    seat_details: SeatDetails | None = None
    best_available: BestAvailableBody | None = None

    def __post_init__(self) -> None:
        if (self.seat_details is None) == (self.best_available is None):
            raise ValueError("name either seatDetails or bestAvailable")

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["properties"]["seatDetails"]["anyOf"][0]["maxItems"] = seats_max
        schema["oneOf"] = _either("seatDetails", "bestAvailable", "object")


class CheckoutBody(RequestBody, kw_only=True):
    EXAMPLES = (
        {"eventId": 1, "seatDetails": _SEAT_DETAILS, "captchaToken": "from /api/captcha/challenge"},
        {"eventId": 1, "reservationId": "019a5b1e-7c1a-7b44-9d3e-5f0a2b6c8d10", "captchaToken": "the same"},
    )

    event_id: EventId
    user_id: UserId | None = None
    seat_details: SeatDetails | None = None
    reservation_id: uuid.UUID | None = None
    captcha_token: CaptchaToken | None = None
    recaptcha_token: CaptchaToken | None = None
    voucher: VoucherCode | None = None

    def __post_init__(self) -> None:
        if (self.seat_details is None) == (self.reservation_id is None):
            raise ValueError("name either seatDetails or reservationId")

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["properties"]["seatDetails"]["anyOf"][0]["maxItems"] = seats_max
        schema["oneOf"] = _either("seatDetails", "reservationId", "string")


class SeatNamed(RequestBody, kw_only=True):
    ticket_type_id: TicketTypeId
    row_number: SeatInt
    seat_number: SeatInt


class CancelBody(RequestBody, kw_only=True):
    """The seats of a purchase that are to be given back; without ``details``, all seats that are left of it."""

    EXAMPLES = (
        {},
        {"details": [{"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 2}]},
    )

    details: Annotated[tuple[SeatNamed, ...], Meta(min_length=1, max_length=LISTS_MAX)] | None = None

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["properties"]["details"]["anyOf"][0] |= {"maxItems": seats_max, "uniqueItems": True}


class TakeBody(RequestBody, kw_only=True):
    """``token`` is what a link of `GET /api/purchases/{purchaseId}/hand-on` ends with."""

    EXAMPLES = ({"token": "aaaaaaaaaaaaafwa"},)

    token: Annotated[str, Meta(min_length=1, max_length=TOKEN_CHARS_MAX)]


class NoticeTaken(AnswerBody, kw_only=True):
    """A provider's notice was taken."""

    taken: Literal[True] = True


class PaymentStep(AnswerBody, kw_only=True):
    """What the fan does next where an event takes payments: pay at ``href``, a page of this site. ``clientSecret`` is
    the payment provider's for its own element in a browser, null until the provider knows the payment. The seats are
    held until ``expiresAt`` at least. ``processing``: the fan has paid, and a bank takes days for it.
    """

    href: str
    client_secret: str | None
    expires_at: Moment
    processing: bool


class JobAccepted(AnswerBody, kw_only=True, omit_defaults=True):
    """``payment`` is there where the checkout waits for its payment."""

    job_id: uuid.UUID
    status: Literal["queued"]
    href: str
    payment: PaymentStep | None = None


class _AnyJob(AnswerBody, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What became of a command: a job of each kind has its ``result`` once it has succeeded, or its ``problem`` once it
    has failed.
    """

    job_id: uuid.UUID
    status: Literal["queued", "succeeded", "failed"]
    problem: dict[str, Any] | None = None


JOBS: Final[Mapping[str, type[_AnyJob]]] = {
    kind: msgspec.defstruct(  # type: ignore[misc]
        f"{kind.capitalize()}Job",
        [("result", result | None, None), *([("payment", PaymentStep | None, None)] if kind == "checkout" else [])],
        bases=(_AnyJob,),
        tag=kind,
        kw_only=True,
        omit_defaults=True,
        rename="camel",
        namespace={"__doc__": f"What became of a {kind}."},
        module=__name__,
    )
    for kind, result in RESULTS.items()
}
"""A job of each kind."""
Job: Final[Any] = Union[tuple(JOBS.values())]  # noqa: UP007 - the kinds are not known to the type checker
"""A job of any kind, told apart by ``kind``."""


class ReservationAnswer(AnswerBody, kw_only=True, omit_defaults=True):
    """A live hold. ``breakdown`` says what of the total is fee and tax, and is missing where there is neither."""

    reservation_id: uuid.UUID
    event_id: int
    expires_at: Moment
    total_amount: int
    currency: str
    seats: tuple[HeldSeat, ...]
    breakdown: Breakdown | None = None


class ReservationList(AnswerBody, kw_only=True):
    reservations: tuple[ReservationAnswer, ...]


class PurchaseDetailAnswer(AnswerBody, kw_only=True):
    """A seat of a purchase. After its cancellation other fans can buy it, and its ``ticketCode`` and ``ticket`` are
    null, as those of every seat are once the event is cancelled. ``entrance`` is where its holder comes in, empty where
    the ticket type names none.

    ``ticket`` is the signed ticket, which the QR code says: a gate verifies it with the keys of
    `/.well-known/jwks.json`, without asking. ``issueNumber`` is 1 and rises each time the ticket is handed on. With
    ``handedOn`` another fan has it now, and its codes are null here.

    ``rowLabel`` and ``seatLabel`` are what the row and the seat are called where that is not their number, ``section``
    is the part of the hall; all three come from the hall plan that the event was given, and are null without one.
    ``cancelFee`` is what the event's rules kept of the ``amount`` when the seat was cancelled.

    ``amount`` is what was paid, and ``charge`` what of it was fee and tax when it was bought; null where neither was.
    """

    ticket_type_id: int
    ticket_type: str
    row_number: int
    seat_number: int
    row_label: str | None = None
    seat_label: str | None = None
    section: str | None = None
    entrance: str = ""
    amount: int
    charge: SeatCharge | None = None
    ticket_code: str | None
    ticket: str | None = None
    issue_number: int = 1
    handed_on: bool = False
    cancelled_at: Moment | None = None
    cancel_fee: int = 0


class PurchaseAnswer(AnswerBody, kw_only=True):
    """``totalAmount`` sums the seats that are not cancelled; ``status`` is ``confirmed``, ``cancelled`` if none of
    these is left, or ``event_cancelled`` where some are and the whole event was cancelled: they are void then.
    ``cancelUntil`` is until when its seats can be given back, as was promised with it; an event's date that moves does
    not take it away. Null for a purchase of an older release.

    With ``received`` another fan bought, and handed these tickets on to this one; they alone are in ``details`` and
    in ``totalAmount``, and cannot be cancelled.

    ``orderCode`` is what the fan tells the venue's office; ``complimentary`` tickets were given away by the venue.
    """

    purchase_id: uuid.UUID
    event_id: int
    user_id: int
    total_amount: int
    currency: str
    purchase_at: Moment
    status: str
    details: tuple[PurchaseDetailAnswer, ...]
    cancel_until: Moment | None = None
    received: bool = False
    order_code: str = ""
    complimentary: bool = False


class HandOnLink(AnswerBody, kw_only=True):
    """``href`` leads to a page by which another person takes the ticket, once; ``token`` is its end."""

    ticket_type_id: int
    row_number: int
    seat_number: int
    href: str
    token: str


class HandOnLinks(AnswerBody, kw_only=True):
    links: tuple[HandOnLink, ...]


class PurchaseLink(AnswerBody, kw_only=True):
    """``href`` opens the purchase on any device; ``key`` is the key in it, for the header ``X-Purchase-Key``."""

    href: str
    key: str


class PurchaseList(AnswerBody, kw_only=True):
    purchases: tuple[PurchaseAnswer, ...]
