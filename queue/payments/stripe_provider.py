"""Stripe, by its own library: PaymentIntents that fans pay in Stripe's element, and Checkout for fans without scripts.

Cards are taken, with what phones make of them, and each payment says so. SEPA debits, which take days, are taken where
the event waits for them.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final, TypeVar

import aiohttp
import stripe

from db.payments.states import STRIPE
from payments.minor_units import from_stripe, to_stripe
from payments.notices import STRIPE_EVENT as EVENT
from payments.notices import STRIPE_PAYMENT as PAYMENT
from payments.provider import (
    AlreadySettledError,
    Answer,
    Opened,
    PaymentAsk,
    ProviderAwayError,
    ProviderRefusedError,
    Standing,
    Taken,
)
from payments.settings import StripeSettings

_T = TypeVar("_T")

REFUND: Final = "admitone_refund"
METHODS: Final = ("card",)
SLOW_METHODS: Final = ("sepa_debit",)
SLOW_CURRENCY: Final = "EUR"
SESSION: Final = "cs_"
"""What the names of Checkout's sessions begin with."""
PAGE: Final = 100
IN_PROGRESS: Final = 409
"""Stripe answers so while it still works on a call with the same idempotency key: the call is made again later."""


class StripeProvider:
    """Each call carries an idempotency key of its payment or refund. Stripe forgets such keys after a day; so a refund
    is also looked for before it is made. A payment that is opened once more after a day is another one at Stripe, and
    nobody was ever given what the first one is paid by.

    Args:
        site: where fans come back to, e.g. ``https://venue.example``.
    """

    name = STRIPE

    def __init__(self, settings: StripeSettings, call_seconds: float, site: str) -> None:
        self._secret = settings.secret_key
        self._is_live = settings.is_live
        self._site = site
        # It tells of each call, and the cashier tells what came of it.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        self._http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=call_seconds))
        self._stripe = stripe.StripeClient(
            settings.secret_key,
            stripe_account=settings.account or None,
            base_addresses={"api": settings.url},
            http_client=self._http,
            # The cashier tries again, and knows when.
            max_network_retries=0,
        ).v1

    async def open(self, ask: PaymentAsk) -> Opened:
        intent = await self._asked(
            self._stripe.payment_intents.create_async(
                {
                    "amount": to_stripe(ask.amount, ask.currency),
                    "currency": ask.currency.lower(),
                    "allowed_payment_method_types": _methods(ask),
                    "description": ask.words,
                    "metadata": _named(ask),
                },
                {"idempotency_key": f"admitone-open-{ask.payment_id}"},
            )
        )
        _refuse_other_methods(intent, ask)
        return Opened(intent.id, intent.client_secret or "")

    async def open_there(self, ask: PaymentAsk) -> Opened:
        if not ask.provider_ref.startswith(SESSION):
            # Of the element and the session only one can be paid.
            answer = await self.close(ask)
            if answer.standing is not Standing.CLOSED:
                raise AlreadySettledError(answer.standing)
        page = f"{self._site}/pay/{ask.payment_id}"
        session = await self._asked(
            self._stripe.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "allowed_payment_method_types": _methods(ask),
                    # Otherwise a fan may pay in another currency than the one that was agreed.
                    "adaptive_pricing": {"enabled": False},
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": ask.currency.lower(),
                                "unit_amount": to_stripe(ask.amount, ask.currency),
                                "product_data": {"name": ask.words},
                            },
                        }
                    ],
                    "payment_intent_data": {"description": ask.words, "metadata": _named(ask)},
                    "metadata": _named(ask),
                    "success_url": f"{page}/back",
                    "cancel_url": page,
                },
                {"idempotency_key": f"admitone-session-{ask.payment_id}"},
            )
        )
        _refuse_other_methods(session, ask)
        return Opened(session.id, href=session.url or "")

    async def look(self, ask: PaymentAsk) -> Answer:
        if ask.provider_ref.startswith(SESSION):
            return self._answer_of_session(await self._session(ask), ask)
        intent = await self._asked(
            self._stripe.payment_intents.retrieve_async(ask.provider_ref, {"expand": ["latest_charge"]})
        )
        return self._answer(intent, ask)

    async def close(self, ask: PaymentAsk) -> Answer:
        is_session = ask.provider_ref.startswith(SESSION)
        call: Awaitable[Any] = (
            self._stripe.checkout.sessions.expire_async(ask.provider_ref)
            if is_session
            else self._stripe.payment_intents.cancel_async(ask.provider_ref)
        )
        try:
            closed = await self._asked(call)
        except ProviderRefusedError:
            # It is paid or closed already, or the bank is working on it.
            return await (self._close_paid(ask) if is_session else self.look(ask))
        return self._answer_of_session(closed, ask) if is_session else self._answer(closed, ask)

    async def _close_paid(self, ask: PaymentAsk) -> Answer:
        """Close what a fan has paid by a session: if the bank has refused it since, it could be paid anew."""
        session = await self._session(ask)
        answer = self._answer_of_session(session, ask)
        if answer.standing is not Standing.OPEN or session.payment_intent is None:
            return answer
        try:
            return self._answer(
                await self._asked(self._stripe.payment_intents.cancel_async(session.payment_intent.id)), ask
            )
        except ProviderRefusedError:
            return await self.look(ask)

    async def refund(self, ask: PaymentAsk, refund_id: uuid.UUID, amount: int) -> str:
        intent_id = ask.provider_ref
        if intent_id.startswith(SESSION):
            intent = (await self._session(ask)).payment_intent
            if intent is None:
                raise ProviderRefusedError("nothing was paid")
            intent_id = intent.id
        made = await self._asked(self._stripe.refunds.list_async({"payment_intent": intent_id, "limit": PAGE}))
        async for refund in made.auto_paging_iter():
            if _metadata(refund).get(REFUND) == str(refund_id) and refund.status not in ("failed", "canceled"):
                return str(refund.id)
        refund = await self._asked(
            self._stripe.refunds.create_async(
                {
                    "payment_intent": intent_id,
                    "amount": to_stripe(amount, ask.currency),
                    "metadata": {**_named(ask), REFUND: str(refund_id)},
                },
                {"idempotency_key": f"admitone-refund-{refund_id}"},
            )
        )
        if refund.status in ("failed", "canceled"):
            raise ProviderRefusedError(f"the refund {refund.status}")
        return str(refund.id)

    async def taken(self, since: dt.datetime) -> AsyncIterator[Taken]:
        first = await self._asked(
            self._stripe.payment_intents.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": PAGE, "expand": ["data.latest_charge"]}
            )
        )
        intents = first.auto_paging_iter()
        while True:
            try:
                intent = await self._asked(anext(intents))
            except StopAsyncIteration:
                return
            named = _metadata(intent)
            if intent.status == "succeeded" and PAYMENT in named:
                currency = intent.currency.upper()
                yield Taken(
                    int(named[EVENT]),
                    uuid.UUID(named[PAYMENT]),
                    intent.id,
                    from_stripe(intent.amount_received, currency),
                    currency,
                    _refunded(intent),
                )

    async def end(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    # -- what Stripe says

    async def _session(self, ask: PaymentAsk) -> Any:
        return await self._asked(
            self._stripe.checkout.sessions.retrieve_async(
                ask.provider_ref, {"expand": ["payment_intent.latest_charge"]}
            )
        )

    def _answer_of_session(self, session: Any, ask: PaymentAsk) -> Answer:
        self._refuse_foreign(session, ask)
        intent = session.payment_intent
        if intent is not None and not isinstance(intent, str):
            answer = self._answer(intent, ask)
            if answer.standing is not Standing.OPEN:
                return answer
        return Answer(Standing.CLOSED if session.status == "expired" else Standing.OPEN)

    def _answer(self, intent: Any, ask: PaymentAsk) -> Answer:
        self._refuse_foreign(intent, ask)
        currency = intent.currency.upper()
        if intent.status == "succeeded":
            paid = from_stripe(intent.amount_received, currency)
            return Answer(Standing.CAPTURED, paid, currency, _refunded(intent))
        if intent.status == "canceled":
            return Answer(Standing.CLOSED)
        return Answer(Standing.PROCESSING if intent.status == "processing" else Standing.OPEN)

    def _refuse_foreign(self, found: Any, ask: PaymentAsk) -> None:
        """Refuse what is not this payment, or is money of another kind than ours.

        Raises:
            ProviderRefusedError
        """
        if _metadata(found).get(PAYMENT) != str(ask.payment_id):
            raise ProviderRefusedError("that is another payment")
        if found.livemode != self._is_live:
            raise ProviderRefusedError("that is money of Stripe's test mode" if self._is_live else "that is real money")

    async def _asked(self, call: Awaitable[_T]) -> _T:
        """The answer of a call.

        Raises:
            ProviderAwayError, ProviderRefusedError
        """
        try:
            return await call
        except (stripe.InvalidRequestError, stripe.IdempotencyError, stripe.CardError) as error:
            if error.http_status == IN_PROGRESS:
                raise ProviderAwayError(self._said(error)) from None
            raise ProviderRefusedError(self._said(error)) from None
        except stripe.StripeError as error:
            # No connection, a limit, a fault over there, or a key that an operator has to mend.
            raise ProviderAwayError(self._said(error)) from None

    def _said(self, error: stripe.StripeError) -> str:
        """What an operator is told of an error: never the key, which Stripe may name."""
        words = f"{type(error).__name__}: {error.user_message or error}"
        return words.replace(self._secret, "…") if self._secret else words


def _methods(ask: PaymentAsk) -> list[Any]:
    """By their names at Stripe, whose library has a type of its own for each call's."""
    return [*METHODS, *SLOW_METHODS] if ask.term_hours and ask.currency == SLOW_CURRENCY else [*METHODS]


def _refuse_other_methods(opened: Any, ask: PaymentAsk) -> None:
    """Refuse what could be paid by other methods than ours: one of them may take days.

    Raises:
        ProviderRefusedError
    """
    if not {*opened.payment_method_types} <= {*_methods(ask)}:
        raise ProviderRefusedError(f"it could be paid by {', '.join(opened.payment_method_types)}")


def _refunded(intent: Any) -> int:
    """What was given back of what an intent took."""
    charge = intent.latest_charge
    refunded = charge.amount_refunded if charge is not None and not isinstance(charge, str) else 0
    return from_stripe(refunded, intent.currency.upper())


def _metadata(found: Any) -> dict[str, str]:
    metadata: dict[str, str] = {} if found.metadata is None else found.metadata.to_dict()
    return metadata


def _named(ask: PaymentAsk) -> dict[str, str]:
    return {EVENT: str(ask.event_id), PAYMENT: str(ask.payment_id)}
