"""Bodies and answers of orders: what an event asks, what its fans answer, and what its office sees and does."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from msgspec import Meta

from db.orders.answers import NAME_CHARS_MAX
from db.orders.asks import QUESTION_CHARS_MAX, QUESTIONS_MAX, TERMS_CHARS_MAX
from db.texts import NO_NUL, ONE_LINE
from gateway.contract.booking import SeatNamed
from gateway.contract.values import LISTS_MAX, AnswerBody, EventId, Moment, RequestBody, SeatInt, TicketTypeId, Why

MAIL_CHARS_MAX: Final = 254
ANSWER_CHARS_MAX: Final = 1000
LANGUAGE_CHARS_MAX: Final = 8
ADDRESS_CHARS_MAX: Final = 300

Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX, pattern=ONE_LINE)]
Mail = Annotated[str, Meta(min_length=3, max_length=MAIL_CHARS_MAX, pattern=ONE_LINE, examples=["ada@example.org"])]
Language = Annotated[str, Meta(max_length=LANGUAGE_CHARS_MAX, pattern=ONE_LINE)]
_ADA: Final = {"name": "Ada King", "mail": "ada@example.org"}
_SEAT: Final = {"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 2}


class QuestionBody(RequestBody, kw_only=True):
    text: Annotated[str, Meta(min_length=1, max_length=QUESTION_CHARS_MAX, pattern=ONE_LINE)]
    required: bool = False


class AsksBody(RequestBody, kw_only=True):
    """What a fan answers before buying. An event that ``asks`` wants a name and a mail address, and what else is set
    here (``address`` is for the invoice); with ``asks`` false it wants nothing. ``terms`` is a text that fans agree to;
    a new text is a new version.
    """

    EXAMPLES = (
        {"asks": False},
        {
            "asks": True,
            "attendees": True,
            "questions": [{"text": "How did you hear of us?"}],
            "terms": "No bottles.",
            "why": "as the house asks",
        },
    )

    asks: bool
    attendees: bool = False
    address: bool = False
    questions: Annotated[tuple[QuestionBody, ...], Meta(max_length=QUESTIONS_MAX)] = ()
    terms: Annotated[str, Meta(max_length=TERMS_CHARS_MAX, pattern=NO_NUL)] = ""
    why: Why = ""


class QuestionAnswer(AnswerBody, kw_only=True):
    question_id: int
    text: str
    required: bool


class AsksAnswer(AnswerBody, kw_only=True):
    """What a fan of the event answers before a checkout; nothing where ``asks`` is false. ``termsVersion`` goes up with
    each new text of the terms, and is 0 where there are none.
    """

    event_id: int
    asks: bool
    attendees: bool
    address: bool
    questions: tuple[QuestionAnswer, ...]
    terms: str
    terms_version: int


class AttendeeBody(RequestBody, kw_only=True):
    """Who is to sit on a seat of the hold."""

    ticket_type_id: TicketTypeId
    row_number: SeatInt
    seat_number: SeatInt
    name: Name


class QuestionReplyBody(RequestBody, kw_only=True):
    """An answer to a question of the event's."""

    question_id: Annotated[int, Meta(ge=1, le=QUESTIONS_MAX)]
    answer: Annotated[str, Meta(max_length=ANSWER_CHARS_MAX, pattern=ONE_LINE)]


class AnswersBody(RequestBody, kw_only=True):
    """What a fan answers for a hold. ``termsVersion`` is of the terms that the fan read and agrees to."""

    EXAMPLES = (
        {"eventId": 1, **_ADA},
        {
            "eventId": 1,
            **_ADA,
            "attendees": [{**_SEAT, "name": "Ada King"}],
            "answers": [{"questionId": 1, "answer": "From a friend"}],
            "termsVersion": 1,
            "language": "en",
        },
    )

    event_id: EventId
    name: Name
    mail: Mail
    attendees: Annotated[tuple[AttendeeBody, ...], Meta(max_length=LISTS_MAX)] = ()
    answers: Annotated[tuple[QuestionReplyBody, ...], Meta(max_length=QUESTIONS_MAX)] = ()
    address: Annotated[str, Meta(max_length=ADDRESS_CHARS_MAX, pattern=NO_NUL)] = ""
    terms_version: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    language: Language = "en"


class AttendeeAnswer(AnswerBody, kw_only=True):
    ticket_type_id: int
    row_number: int
    seat_number: int
    name: str


class ReplyAnswer(AnswerBody, kw_only=True):
    question_id: int
    question: str
    answer: str


class OrderPayment(AnswerBody, kw_only=True):
    provider: str
    amount: int
    currency: str
    paid_at: Moment


class OrderRefund(AnswerBody, kw_only=True):
    """``cause`` is ``cancelled`` for seats that were given back; ``state`` is ``done`` once the provider has it."""

    amount: int
    cause: str
    state: str
    created_at: Moment
    done_at: Moment | None


class OrderInvoice(AnswerBody, kw_only=True):
    """An invoice, or a credit note that ``corrects`` it. ``amount`` contains ``tax``; of a credit note it is what went
    back.
    """

    number: str
    kind: Annotated[str, Meta(pattern="^(invoice|credit_note)$")]
    corrects: str | None
    made_at: Moment
    amount: int
    tax: int


class OrderAnswer(AnswerBody, kw_only=True):
    """An order: what a purchase is to its fan and to the venue's office. ``name`` is null where the event asked for
    nothing; ``mail`` is then an address that the fan gave for messages, or null.
    """

    order_code: str
    purchase_id: uuid.UUID
    event_id: int
    status: str
    complimentary: bool
    total_amount: int
    currency: str
    purchase_at: Moment
    name: str | None
    mail: str | None
    address: str
    attendees: tuple[AttendeeAnswer, ...]
    answers: tuple[ReplyAnswer, ...]
    terms_version: int
    payments: tuple[OrderPayment, ...]
    refunds: tuple[OrderRefund, ...]
    invoices: tuple[OrderInvoice, ...]


class OrderLine(AnswerBody, kw_only=True):
    """An order in the office's list. ``seats`` were not given back; ``givenBy`` is the operator who gave it away."""

    order_code: str
    purchase_id: uuid.UUID
    user_id: int
    status: str
    seats: int
    total_amount: int
    currency: str
    purchase_at: Moment
    given_by: str | None
    name: str | None
    mail: str | None


class OrderList(AnswerBody, kw_only=True):
    """Orders, the newest first. ``cursor`` leads to the next page; null on the last one."""

    orders: tuple[OrderLine, ...]
    cursor: int | None


class OrderSeat(AnswerBody, kw_only=True):
    """A seat of an order, for its office: without its codes."""

    ticket_type_id: int
    ticket_type: str
    row_number: int
    seat_number: int
    row: str
    seat: str
    amount: int
    cancelled_at: Moment | None
    cancel_fee: int
    handed_on: bool


class OfficeOrder(OrderAnswer, kw_only=True):
    """An order with all that its office sees of it."""

    user_id: int
    given_by: str | None
    seats: tuple[OrderSeat, ...]


class OrderChangeBody(RequestBody, kw_only=True):
    """What the office changes of an order; what is left out stays. An order without a name is given both. A new
    ``mail`` address is sent the tickets. ``answers`` are to questions that the fan answered or the event asks; an empty
    one is taken away. ``address`` stands on invoices that are not written yet.
    """

    EXAMPLES = (
        {"name": "Ada Lovelace", "why": "married"},
        {"mail": "ada@example.org", "why": "typing error"},
        {"answers": [{"questionId": 1, "answer": "Vegan"}], "why": "she called"},
    )

    name: Name | None = None
    mail: Mail | None = None
    attendees: Annotated[tuple[AttendeeBody, ...], Meta(max_length=LISTS_MAX)] = ()
    answers: Annotated[tuple[QuestionReplyBody, ...], Meta(max_length=QUESTIONS_MAX)] = ()
    address: Annotated[str, Meta(max_length=ADDRESS_CHARS_MAX, pattern=NO_NUL)] | None = None
    why: Why = ""


class TicketsAgainBody(RequestBody, kw_only=True):
    EXAMPLES = ({"why": "she deleted the mail"},)

    why: Why = ""


class RefundBody(RequestBody, kw_only=True):
    """The seats that the venue takes back, or without ``details`` all that are left. All that was paid for them goes
    back, however late it is.
    """

    EXAMPLES = ({"why": "fell ill"}, {"details": [_SEAT], "why": "fell ill"})

    details: Annotated[tuple[SeatNamed, ...], Meta(min_length=1, max_length=LISTS_MAX)] | None = None
    why: Why = ""

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["properties"]["details"]["anyOf"][0] |= {"maxItems": seats_max, "uniqueItems": True}


class GiftBody(RequestBody, kw_only=True):
    """Free seats for a guest of the venue, who is sent the tickets."""

    EXAMPLES = ({**_ADA, "seats": [_SEAT], "why": "press"},)

    name: Name
    mail: Mail
    seats: Annotated[tuple[SeatNamed, ...], Meta(min_length=1, max_length=LISTS_MAX)]
    language: Language = "en"
    why: Why = ""

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["properties"]["seats"] |= {"maxItems": seats_max, "uniqueItems": True}


class FindTicketsBody(RequestBody, kw_only=True):
    """The address that was given with the tickets."""

    EXAMPLES = ({"mail": "ada@example.org", "language": "en"},)

    mail: Mail
    language: Language = "en"


class FoundOrderAnswer(AnswerBody, kw_only=True):
    """An order of the address. ``href`` opens its tickets on any device."""

    order_code: str
    event_id: int
    event_name: str
    purchase_id: uuid.UUID
    status: str
    purchase_at: Moment
    href: str


class FoundOrders(AnswerBody, kw_only=True):
    purchases: tuple[FoundOrderAnswer, ...]
