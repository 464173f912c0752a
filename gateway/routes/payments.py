"""What payment providers post."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from litestar.params import Parameter

from gateway.contract.booking import NoticeTaken
from gateway.contract.values import ID_MAX
from gateway.routes.routers import public_router
from gateway.services import services_of
from gateway.wire.openapi import header
from gateway.wire.requests import AnyRequest
from payments.notices import Posted

public = public_router("payments")

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


ROUTERS = (public,)
