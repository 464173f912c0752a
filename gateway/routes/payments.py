"""What payment providers post."""

from __future__ import annotations

from typing import Annotated, Final

from litestar.params import Parameter

from gateway.routes.routers import public_router
from gateway.services import services_of
from gateway.wire.openapi import header
from gateway.wire.requests import AnyRequest

public = public_router("payments")

SIGNED: Final = (header("x-test-signature", "the test provider's signature of the body"),)
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
    status_code=204,
    refuses=("invalid_request", "body_too_large", "signature_invalid", "payments_off"),
    headers=SIGNED,
    body=NOTICE,
)
async def notice(request: AnyRequest, provider: Annotated[str, Parameter(pattern="^[a-z]+$", max_length=20)]) -> None:
    """A payment provider says that there is news of a payment, which is then looked at there. It may say so often, late
    and in any order.
    """
    await services_of(request).payments.notice(provider, dict(request.headers), await request.body())


ROUTERS = (public,)
