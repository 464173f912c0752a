"""The page where a fan pays, and what the fan does there."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any, Final

from litestar import MediaType, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import SkipValidation

from db.payments.states import STRIPE
from gateway.pages.languages import prefix
from gateway.pages.look import page
from gateway.pages.plain import form_fields
from gateway.pages.views import PageData

Pages = NamedDependency[SkipValidation[PageData]]

STRIPE_SCRIPT: Final = "https://js.stripe.com/endive/stripe.js"
"""Of the same release as the interface that our library of Stripe speaks."""
NUMBER_CHARS_MAX: Final = 5
NEWS_SECONDS_MAX: Final = 3.0
"""A page that waits for news of a payment is answered with them, or after so long."""
AGAIN_SECONDS: Final = 1
"""And is asked for again after so long."""
TOLD: Final = "told"
"""The fan has said what becomes of the payment, or came back from the provider, and the page waits for what comes of
it. The parameter counts how often it was looked at.
"""
TOLD_MAX: Final = 6
"""After so many times the page lets the fan pay again: who came back may have turned round."""
THERE: Final = "there"
"""The fan wants to pay on the provider's own page, and this page waits until it is open."""


def _to(path: str, further: dict[str, str] | None = None) -> Response[str]:
    headers = {"Location": f"{prefix()}/{path}", "Cache-Control": "no-store", **(further or {})}
    return Response("", status_code=303, media_type=MediaType.HTML, headers=headers)


@get("/pay/{payment_id:uuid}")
async def pay_page(request: Request[Any, Any, Any], pages: Pages, payment_id: uuid.UUID) -> Response[str]:
    """Pay what a checkout waits for; or what came of it."""
    user_id = pages.visitor(request).user_id
    payment = None if user_id is None else await pages.payment(request, user_id, payment_id)
    if user_id is None or payment is None:
        raise NotFoundException
    told = _number(request.query_params.get(TOLD, ""))
    has_told = 0 < told < TOLD_MAX
    if payment.stage == "waiting" or (payment.stage == "open" and has_told):
        payment = await pages.payment_with_news(request, user_id, payment, NEWS_SECONDS_MAX) or payment
    if payment.purchase_id is not None:
        return _to(f"purchases/{payment.purchase_id}")
    again = ""
    if payment.stage == "open" and has_told:
        # The cashier has not heard of it yet, and nobody is to press twice.
        payment = dataclasses.replace(payment, stage="waiting")
        again = f"; url={prefix()}/pay/{payment_id}?{TOLD}={told + 1}"
    elif payment.stage == "open" and THERE in request.query_params and not payment.href:
        payment = dataclasses.replace(payment, stage="waiting")
    by_script = STRIPE if payment.stage == "open" and payment.provider == STRIPE and not payment.href else ""
    shown = page(
        "pay.html",
        payment=payment,
        event=payment.event,
        pay_by=by_script,
        by_script=by_script,
        stripe_script=STRIPE_SCRIPT,
        data={
            "publicKey": pages.stripe_key,
            "clientSecret": payment.client_secret,
            "back": f"{prefix()}/pay/{payment_id}/back",
        },
    )
    if payment.stage == "waiting":
        shown.headers["Refresh"] = f"{AGAIN_SECONDS}{again}"
    return shown


@get("/pay/{payment_id:uuid}/back")
async def paid_page(request: Request[Any, Any, Any], pages: Pages, payment_id: uuid.UUID) -> Response[str]:
    """A fan comes back from the provider, so there may be news of the payment."""
    user_id, _ = await pages.ensure_session(request)
    payment = await pages.payment(request, user_id, payment_id)
    if payment is None:
        raise NotFoundException
    await pages.act_on_payment(payment, "")
    return _to(f"pay/{payment_id}?{TOLD}=1")


@post("/pay/{payment_id:uuid}")
async def pay_form(request: Request[Any, Any, Any], pages: Pages, payment_id: uuid.UUID) -> Response[str]:
    """What the fan does with the test provider, or that the fan wants a provider's own page. `PageData.ensure_session`
    refuses another site's form.
    """
    user_id, _ = await pages.ensure_session(request)
    payment = await pages.payment(request, user_id, payment_id)
    if payment is None:
        raise NotFoundException
    act = (await form_fields(request)).get("act", "")
    await pages.act_on_payment(payment, act)
    if act == THERE:
        return _to(f"pay/{payment_id}?{THERE}=1")
    return _to(f"pay/{payment_id}?{TOLD}=1" if act else f"pay/{payment_id}")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < NUMBER_CHARS_MAX else 0


PAYING: Final = (pay_page, paid_page, pay_form)
