"""What payment providers post, and an event's payments for its operators."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from litestar.params import Parameter

from db.operators.roles import VIEWER
from db.payments.overview import read_figures
from db.payments.reconciling import read_latest
from gateway.contract.booking import NoticeTaken
from gateway.contract.payments import EventPayments, PaymentCounts, PaymentDifference, RefundCounts
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event
from gateway.routes.routers import operator_router, public_router
from gateway.services import services_of
from gateway.wire.openapi import header
from gateway.wire.requests import AnyRequest
from payments.notices import Posted

public = public_router("payments")
operators = operator_router("payments")

SIGNED: Final = (
    header("x-test-signature", "the test provider's signature of the body"),
    header("stripe-signature", "Stripe's signature of the body, not older than five minutes"),
)
NOTICE: Final = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "examples": [{"eventId": 1, "paymentId": "019a5b1e-8d30-7c21-a5b6-1e2f3a4b5c6d"}],
            }
        }
    },
}


@public.post(
    "/api/payments/{provider:str}/notices",
    status_code=200,
    refuses=("invalid_request", "body_too_large", "signature_invalid", "payments_off"),
    headers=SIGNED,
    body=NOTICE,
)
async def notice(
    request: AnyRequest,
    provider: Annotated[str, Parameter(pattern="^[a-z]+$", max_length=20)],
    event: Annotated[int | None, Parameter(ge=1, le=ID_MAX, description="of Mollie's address: the event")] = None,
    payment: Annotated[uuid.UUID | None, Parameter(description="of Mollie's address: the payment")] = None,
    key: Annotated[str | None, Parameter(max_length=64, description="of Mollie's address: our signature")] = None,
) -> NoticeTaken:
    """A payment provider says that there is news of a payment, which is then looked at there. It may say so often, late
    and in any order.
    """
    named = {"event": event, "payment": payment, "key": key}
    query = {name: str(value) for name, value in named.items() if value is not None}
    await services_of(request).payments.notice(provider, Posted(dict(request.headers), query, await request.body()))
    return NoticeTaken()


@operators.get(
    "/api/ops/events/{event_id:int}/payments", refuses=("invalid_request", "unknown_event"), needs=at_event(VIEWER)
)
async def of_event(
    request: AnyRequest, event_id: Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
) -> EventPayments:
    """An event's payments and refunds: how many are in which state, what is stuck, and what the last comparison with
    the provider's books found.
    """
    services = services_of(request)
    event = (await services.hall_access.to_read(request, event_id)).event
    async with services.engine.connect() as connection:
        minutes = services.settings.payment.stuck_minutes
        payments, refunds = await read_figures(connection, event_id, stuck_minutes=minutes)
        latest = await read_latest(connection)
    return EventPayments(
        event_id=event_id,
        provider=event.payments,
        currency=event.currency,
        captured_amount=payments.captured_amount,
        payments=PaymentCounts(**{name: getattr(payments, name) for name in PaymentCounts.__struct_fields__}),
        refunds=RefundCounts(**{name: getattr(refunds, name) for name in RefundCounts.__struct_fields__}),
        errors=tuple(error for error in (payments.error, refunds.error) if error),
        compared_at=None if latest is None else latest.ended_at,
        differences=tuple(
            PaymentDifference(payment_id=one.payment_id, sentence=one.sentence, mended=one.mended)
            for one in (() if latest is None else latest.differences)
            if one.event_id == event_id and one.payment_id is not None
        ),
    )


ROUTERS = (public, operators)
