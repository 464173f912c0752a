"""Orders: what an event asks and a fan answers, a fan's own order, lost tickets, and the venue's office."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from litestar import Response
from litestar.params import Parameter
from litestar.response import Stream

from booking_lane.commands import UNSTAMPED, Cancel, Give
from db.booking.order_codes import code_of
from db.booking.seats import Seat
from db.currencies import minor_digits
from db.invoices.reading import InvoiceRow
from db.operators.roles import OWNER, STEWARD
from db.orders.asks import Asks
from db.orders.listing import NUMBER_MAX, OrderRow, PaymentRow, RefundRow
from gateway.booking.desk import Ask
from gateway.contract.booking import JOBS, JobAccepted, PurchaseAnswer, SeatNamed
from gateway.contract.orders import (
    AnswersBody,
    AsksAnswer,
    AsksBody,
    AttendeeAnswer,
    FindTicketsBody,
    FoundOrderAnswer,
    FoundOrders,
    GiftBody,
    OfficeOrder,
    OrderAnswer,
    OrderChangeBody,
    OrderInvoice,
    OrderLine,
    OrderList,
    OrderPayment,
    OrderRefund,
    OrderSeat,
    QuestionAnswer,
    RefundBody,
    ReplyAnswer,
    TicketsAgainBody,
)
from gateway.contract.values import ID_MAX
from gateway.identity.guards import PURCHASE_FAN
from gateway.identity.needs import at_event
from gateway.identity.sessions import Session
from gateway.routes.accounts import refuse_visitor
from gateway.routes.booking import KEY_HEADER, SUCCEEDED, answer_of, in_order, owned_purchase
from gateway.routes.routers import fan_router, operator_router, public_router
from gateway.services import Services, network, services_of
from gateway.wire.addresses import below
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest, origin_of
from gateway.wire.spreadsheets import cell

public = public_router("orders")
fans = fan_router("orders")
operators = operator_router("orders")

NO_STORE: Final = {"Cache-Control": "no-store"}
LISTED_MAX: Final = 100
SOUGHT_CHARS_MAX: Final = 254
WAIT_SECONDS: Final = 10.0
TOKEN_CHARS_MAX: Final = 1024
REFUSED: Final = ("invalid_request", "unknown_event")
BODY_REFUSED: Final = (*REFUSED, "body_too_large", "unsupported_media_type")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathPurchase = Annotated[uuid.UUID, Parameter(description="the order's purchaseId")]
Sought = Annotated[
    str,
    Parameter(
        query="q",
        max_length=SOUGHT_CHARS_MAX,
        description="an order's code or id, a mail address, whole words of a name, a ticket's code, a row and a seat",
    ),
]
Cursor = Annotated[int, Parameter(ge=0, le=NUMBER_MAX, description="the cursor of the page before; 0: the first page")]
Limit = Annotated[int, Parameter(ge=1, le=LISTED_MAX)]
COLUMNS: Final = (
    "orderCode", "purchaseId", "purchaseAt", "status", "complimentary", "name", "mail", "seats", "amount", "currency",
    "attendees", "termsVersion", "invoices",
)  # fmt: skip


@public.get("/api/events/{event_id:int}/asks", refuses=REFUSED)
async def asks(request: AnyRequest, event_id: PathEvent) -> AsksAnswer:
    """What a fan answers before a checkout."""
    hall = await services_of(request).hall_access.to_read(request, event_id)
    return _asks(event_id, hall.asks)


def _asks(event_id: int, found: Asks | None) -> AsksAnswer:
    asked = found or Asks()
    return AsksAnswer(
        event_id=event_id,
        asks=found is not None,
        attendees=asked.attendees,
        address=asked.address,
        questions=tuple(
            QuestionAnswer(question_id=one.question_id, text=one.text, required=one.required) for one in asked.questions
        ),
        terms=asked.terms,
        terms_version=asked.terms_version,
    )


@fans.put(
    "/api/reservations/{reservation_id:uuid}/answers",
    status_code=204,
    refuses=(*BODY_REFUSED, "hold_expired", "terms_changed", "rate_limited"),
)
async def answer(request: AnyRequest, fan: Session, reservation_id: uuid.UUID, data: AnswersBody) -> None:
    """Answer what the event asks, for a live hold, before its checkout. Sent again it takes the place of the first.

    Where the event asks for attendees there is one for each seat. The tickets are sent to the address.
    """
    services = services_of(request)
    hall = await services.hall_access.to_book(request, data.event_id)
    await services.orders.answer(hall, fan.user_id, reservation_id, data, network(request))


@fans.get(
    "/api/purchases/{purchase_id:uuid}/order",
    guard=PURCHASE_FAN,
    refuses=("invalid_request", "unknown_purchase"),
    headers=(KEY_HEADER,),
)
async def own_order(request: AnyRequest, fan: Session, purchase_id: uuid.UUID) -> Response[OrderAnswer]:
    """The fan's own order: whose it is, what was paid, and what went back. A fan to whom tickets were handed on has
    none of it.
    """
    services = services_of(request)
    owned = await owned_purchase(services, fan, purchase_id)
    purchase = None if owned is None else msgspec.json.decode(owned[1], type=PurchaseAnswer)
    if purchase is None or purchase.received:
        raise ProblemError("unknown_purchase")
    order = await services.orders.order(purchase.event_id, purchase_id)
    invoices = await services.invoices.of(purchase.event_id, purchase_id)
    answer = OrderAnswer(**order_members(*order, invoices))
    return Response(answer, headers=NO_STORE)


def order_members(
    row: OrderRow, payments: list[PaymentRow], refunds: list[RefundRow], invoices: list[InvoiceRow]
) -> dict[str, Any]:
    """The members of an `OrderAnswer`."""
    content = row.content
    return {
        "order_code": row.code,
        "purchase_id": row.purchase_id,
        "event_id": row.event_id,
        "status": row.status,
        "complimentary": row.given_by is not None,
        "total_amount": row.total_amount,
        "currency": row.currency,
        "purchase_at": row.purchase_at,
        "name": None if content is None else content.name,
        "mail": row.mail,
        "address": "" if content is None else content.address,
        "attendees": tuple(
            AttendeeAnswer(
                ticket_type_id=one.ticket_type_id,
                row_number=one.row_number,
                seat_number=one.seat_number,
                name=one.name,
            )
            for one in (() if content is None else content.attendees)
        ),
        "answers": tuple(
            ReplyAnswer(question_id=one.question_id, question=one.question, answer=one.answer)
            for one in (() if content is None else content.answers)
        ),
        "terms_version": row.terms_version,
        "payments": tuple(OrderPayment(**one._asdict()) for one in payments),
        "refunds": tuple(OrderRefund(**one._asdict()) for one in refunds),
        "invoices": tuple(
            OrderInvoice(
                number=one.code,
                kind=one.kind,
                corrects=one.of_code,
                made_at=one.made_at,
                amount=one.amount,
                tax=one.tax,
            )
            for one in invoices
        ),
    }


@public.post(
    "/api/tickets/find",
    status_code=204,
    refuses=(
        "invalid_request",
        "body_too_large",
        "unsupported_media_type",
        "cross_site",
        "network_denied",
        "rate_limited",
        "messages_off",
    ),
)
async def find_tickets(request: AnyRequest, data: FindTicketsBody) -> None:
    """Send the owner of an address a link to the tickets that were bought with it. The answer is the same whether or
    not there are any. The link is good for an hour; an address gets one in ten minutes at most.
    """
    refuse_visitor(request)
    await services_of(request).orders.ask_link(data.mail, data.language, network(request))


@public.get("/api/tickets/found/{token:str}", refuses=("invalid_request", "link_spent"), also={200: FoundOrders})
async def found_tickets(
    request: AnyRequest, token: Annotated[str, Parameter(max_length=TOKEN_CHARS_MAX, description="the end of the link")]
) -> Response[FoundOrders]:
    """The tickets of the address to which the link was sent, those of the latest events first."""
    services = services_of(request)
    found = await services.orders.found(token)
    if found is None:
        raise ProblemError("link_spent")
    purchases = tuple(
        FoundOrderAnswer(
            order_code=code_of(one.order_number),
            event_id=one.event_id,
            event_name=one.event_name,
            purchase_id=one.purchase_id,
            status=one.status,
            purchase_at=one.purchase_at,
            href=f"{origin_of(request)}{below(f'/purchases/{one.purchase_id}')}"
            f"?key={services.orders.key_of(one.purchase_id, one.user_id)}",
        )
        for one in found
    )
    return Response(FoundOrders(purchases=purchases), headers=NO_STORE)


# -- the office


@operators.put("/api/ops/events/{event_id:int}/asks", refuses=BODY_REFUSED, needs=at_event(OWNER))
async def set_asks(request: AnyRequest, operator: Session, event_id: PathEvent, data: AsksBody) -> AsksAnswer:
    """Set what fans answer before they buy. It holds for the next checkout; who has answered before answers anew only
    where the terms are new.
    """
    services = services_of(request)
    await services.orders.set_asks(event_id, data, operator.name)
    hall = await services.hall_access.to_read(request, event_id)
    return _asks(event_id, hall.asks)


@operators.get("/api/ops/events/{event_id:int}/orders", refuses=REFUSED, needs=at_event(STEWARD))
async def listed(
    request: AnyRequest, event_id: PathEvent, sought: Sought = "", cursor: Cursor = 0, limit: Limit = 50
) -> Response[OrderList]:
    """The event's orders, the newest first; with ``q`` those that it finds."""
    services = services_of(request)
    await services.hall_access.to_read(request, event_id)
    rows = await services.orders.page(event_id, _without_nul(sought).strip(), cursor or None, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    orders = tuple(
        OrderLine(
            order_code=row.code,
            purchase_id=row.purchase_id,
            user_id=row.user_id,
            status=row.status,
            seats=row.seats,
            total_amount=row.total_amount,
            currency=row.currency,
            purchase_at=row.purchase_at,
            given_by=row.given_by,
            name=None if row.content is None else row.content.name,
            mail=row.mail,
        )
        for row in rows
    )
    return Response(OrderList(orders=orders, cursor=rows[-1].order_number if more else None), headers=NO_STORE)


def _without_nul(text: str) -> str:
    """Postgres takes no NUL in a text."""
    return text.replace("\0", "")


@operators.get(
    "/api/ops/events/{event_id:int}/orders.csv", refuses=REFUSED, needs=at_event(OWNER), media_type="text/csv"
)
async def as_csv(request: AnyRequest, event_id: PathEvent) -> Stream:
    """All orders as a CSV, with amounts in the currency's major unit, and a column for each question of the event."""
    services = services_of(request)
    hall = await services.hall_access.to_read(request, event_id)
    asked = hall.asks or Asks()
    questions = {question.question_id: question.text for question in asked.questions}
    return Stream(
        _spreadsheet(services, event_id, questions),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="orders-{event_id}.csv"', **NO_STORE},
    )


async def _spreadsheet(services: Services, event_id: int, questions: dict[int, str]) -> AsyncIterator[str]:
    yield _lines([[*COLUMNS, *[cell(text) for text in questions.values()]]])
    async for rows in services.orders.pages(event_id):
        codes = await services.invoices.codes(event_id, [row.purchase_id for row in rows])
        yield _lines([_cells(row, questions, codes.get(row.purchase_id, [])) for row in rows])


def _lines(rows: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cells(row: OrderRow, questions: dict[int, str], invoices: list[str]) -> list[str]:
    content = row.content
    given = {} if content is None else {one.question_id: one.answer for one in content.answers}
    names = [] if content is None else [one.name for one in content.attendees]
    texts = [
        row.code,
        str(row.purchase_id),
        row.purchase_at.isoformat(),
        row.status,
        str(row.given_by is not None).lower(),
        "" if content is None else content.name,
        row.mail or "",
        str(row.seats),
        str(Decimal(row.total_amount).scaleb(-minor_digits(row.currency))),
        row.currency,
        ", ".join(names),
        str(row.terms_version),
        ", ".join(invoices),
        *[given.get(question_id, "") for question_id in questions],
    ]
    return [cell(text) for text in texts]


@operators.get(
    "/api/ops/events/{event_id:int}/orders/{purchase_id:uuid}",
    refuses=(*REFUSED, "unknown_order"),
    needs=at_event(STEWARD),
)
async def one(request: AnyRequest, event_id: PathEvent, purchase_id: PathPurchase) -> Response[OfficeOrder]:
    """One order, with its seats, what was paid, and what went back."""
    services = services_of(request)
    row, payments, refunds = await services.orders.order(event_id, purchase_id)
    found = await services.reader.purchase(row.user_id, purchase_id)
    if found is None:
        raise ProblemError("unknown_order")
    purchase = msgspec.json.decode(found, type=PurchaseAnswer)
    answer = OfficeOrder(
        **order_members(row, payments, refunds, await services.invoices.of(event_id, purchase_id)),
        user_id=row.user_id,
        given_by=row.given_by,
        seats=tuple(
            OrderSeat(
                ticket_type_id=detail.ticket_type_id,
                ticket_type=detail.ticket_type,
                row_number=detail.row_number,
                seat_number=detail.seat_number,
                row=detail.row_label or str(detail.row_number),
                seat=detail.seat_label or str(detail.seat_number),
                amount=detail.amount,
                cancelled_at=detail.cancelled_at,
                cancel_fee=detail.cancel_fee,
                handed_on=detail.handed_on,
            )
            for detail in purchase.details
        ),
    )
    return Response(answer, headers=NO_STORE)


@operators.patch(
    "/api/ops/events/{event_id:int}/orders/{purchase_id:uuid}",
    status_code=204,
    refuses=(*BODY_REFUSED, "unknown_order"),
    needs=at_event(STEWARD),
)
async def change(
    request: AnyRequest, operator: Session, event_id: PathEvent, purchase_id: PathPurchase, data: OrderChangeBody
) -> None:
    """Change what the fan of an order told: names, addresses, answers. A new mail address is sent the tickets."""
    services = services_of(request)
    # Most changes are of a name, and need no hall.
    asked = (await services.hall_access.to_read(request, event_id)).asks if data.answers else None
    await services.orders.change(event_id, purchase_id, data, asked or Asks(), operator.name)


@operators.post(
    "/api/ops/events/{event_id:int}/orders/{purchase_id:uuid}/tickets",
    status_code=204,
    refuses=(*BODY_REFUSED, "unknown_order", "no_address", "messages_off"),
    needs=at_event(STEWARD),
)
async def resend(
    request: AnyRequest, operator: Session, event_id: PathEvent, purchase_id: PathPurchase, data: TicketsAgainBody
) -> None:
    """Send the tickets to the order's address once more."""
    await services_of(request).orders.resend(event_id, purchase_id, operator.name, data.why)


@operators.post(
    "/api/ops/events/{event_id:int}/orders/{purchase_id:uuid}/cancel",
    status_code=202,
    refuses=(*BODY_REFUSED, "unknown_order", "overloaded"),
    needs=at_event(OWNER),
    also={200: JOBS["cancel"], 202: JobAccepted},
)
async def refund(
    request: AnyRequest, operator: Session, event_id: PathEvent, purchase_id: PathPurchase, data: RefundBody
) -> Response[bytes]:
    """Take seats back, or all that are left: they are sold again, and all that was paid for them goes back. The end of
    cancelling and its fee are for fans; tickets that were handed on or let in cannot be taken back.
    """
    services = services_of(request)
    seats = _seats(services, data.details or (), "$.details")
    row, _, _ = await services.orders.order(event_id, purchase_id)
    await services.orders.log_refund(row, seats, operator.name, data.why)
    command = Cancel(
        **UNSTAMPED, event_id=event_id, user_id=row.user_id, purchase_id=purchase_id, seats=seats, by_venue=True
    )
    return await answer_of(services, await services.desk.book(Ask(command, None, WAIT_SECONDS)))


@operators.post(
    "/api/ops/events/{event_id:int}/gifts",
    status_code=202,
    refuses=(*BODY_REFUSED, "overloaded"),
    needs=at_event(OWNER),
    also={200: JOBS["give"], 202: JobAccepted},
)
async def give(request: AnyRequest, operator: Session, event_id: PathEvent, data: GiftBody) -> Response[bytes]:
    """Give free seats to a guest, for nothing: a purchase like any other, which is sent to the address. Limits, the
    line and the sale's times are for fans; a seat that is held or sold is refused with ``seats_taken``.
    """
    services = services_of(request)
    seats = _seats(services, data.seats, "$.seats")
    hall = await services.hall_access.to_read(request, event_id)
    if hall.rehearsal_of is not None:
        raise ProblemError("unknown_event")
    guest = await services.orders.new_guest(event_id, data)
    await services.orders.log_gift(event_id, guest.user_id, len(seats), operator.name, data.why)
    command = Give(**UNSTAMPED, **guest._asdict(), seats=seats, given_by=operator.name)
    booked = await services.desk.book(Ask(command, None, WAIT_SECONDS))
    if booked.record is not None and booked.record.body and not booked.record.body.startswith(SUCCEEDED):
        await services.orders.forget_guest(guest)
    return await answer_of(services, booked)


def _seats(services: Services, named: tuple[SeatNamed, ...], path: str) -> tuple[Seat, ...]:
    seats = [(one.ticket_type_id, one.row_number, one.seat_number) for one in named]
    return in_order(seats, services.settings.limit.seats_per_request_max, path)


ROUTERS = (public, fans, operators)
