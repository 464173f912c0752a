"""The page where a fan pays, and what the fan does there."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any, Final

from litestar import MediaType, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import SkipValidation

from gateway.pages.languages import prefix
from gateway.pages.look import page
from gateway.pages.plain import form_fields
from gateway.pages.views import PageData

Pages = NamedDependency[SkipValidation[PageData]]

AGAIN_SECONDS: Final = 1
"""A page that waits for news of a payment asks for it again after so long."""
TOLD: Final = "told"
"""The fan has said what becomes of the payment, and the page waits for what comes of it."""


def _to(path: str, further: dict[str, str] | None = None) -> Response[str]:
    headers = {"Location": f"{prefix()}/{path}", "Cache-Control": "no-store", **(further or {})}
    return Response("", status_code=303, media_type=MediaType.HTML, headers=headers)


@get("/pay/{payment_id:uuid}")
async def pay_page(request: Request[Any, Any, Any], pages: Pages, payment_id: uuid.UUID) -> Response[str]:
    """Pay what a checkout waits for; or what came of it."""
    user_id = pages.visitor(request).user_id
    payment = None if user_id is None else await pages.payment(request, user_id, payment_id)
    if payment is None:
        raise NotFoundException
    if payment.purchase_id is not None:
        return _to(f"purchases/{payment.purchase_id}")
    if TOLD in request.query_params and payment.stage == "open":
        # The cashier has not heard of it yet, and nobody is to press twice.
        payment = dataclasses.replace(payment, stage="waiting")
    shown = page("pay.html", payment=payment, event=payment.event, captcha="")
    if payment.stage == "waiting":
        shown.headers["Refresh"] = str(AGAIN_SECONDS)
    return shown


@post("/pay/{payment_id:uuid}")
async def pay_form(request: Request[Any, Any, Any], pages: Pages, payment_id: uuid.UUID) -> Response[str]:
    """What the fan does with the test provider, or that the fan came back from another. `PageData.ensure_session`
    refuses another site's form.
    """
    user_id, _ = await pages.ensure_session(request)
    payment = await pages.payment(request, user_id, payment_id)
    if payment is None:
        raise NotFoundException
    act = (await form_fields(request)).get("act", "")
    await pages.act_on_payment(payment, act)
    return _to(f"pay/{payment_id}?{TOLD}=1" if act else f"pay/{payment_id}")


PAYING: Final = (pay_page, pay_form)
