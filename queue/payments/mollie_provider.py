"""Mollie, by its HTTP interface, version 2: fans pay on Mollie's own page.

Mollie's Python library waits in a thread for each call, while the cashier makes dozens at a time, and six calls are all
that is needed. Each payment names the methods that it may be paid by. A bank transfer, which takes days, is
one of them only where the event waits for banks: a hold lasts minutes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import msgspec

from db.payments.states import MOLLIE
from payments.minor_units import from_decimal, to_decimal
from payments.notices import mollie_signature
from payments.provider import (
    Answer,
    Opened,
    PaymentAsk,
    ProviderAwayError,
    ProviderRefusedError,
    Standing,
    Taken,
)
from payments.settings import MollieSettings

REFUSALS: Final = frozenset({400, 404, 405, 410, 422})
"""Answers that would be the same at the next try. A key that is refused (401, 403) is for an operator to mend."""
PAGE: Final = 250
DESCRIPTION_MAX: Final = 255
WORDS_MAX: Final = 200
SLOW_METHOD: Final = "banktransfer"
SLOW_CURRENCY: Final = "EUR"

Document = dict[str, Any]


class MollieProvider:
    """Calls that make something carry an idempotency key, which Mollie remembers for a time; so a refund is also
    looked for before it is made.

    Args:
        site: where fans come back to, and where Mollie posts notices, e.g. ``https://venue.example``.
        secret: the site's, which signs the addresses of notices.
    """

    name = MOLLIE

    def __init__(self, settings: MollieSettings, call_seconds: float, site: str, secret: str) -> None:
        self._settings = settings
        self._site = site
        self._secret = secret
        self._timeout = aiohttp.ClientTimeout(total=call_seconds)
        self._client: aiohttp.ClientSession | None = None

    async def open(self, ask: PaymentAsk) -> Opened:
        document: Document = {
            "amount": _amount(ask.amount, ask.currency),
            "description": ask.words[:DESCRIPTION_MAX],
            "redirectUrl": f"{self._site}/pay/{ask.payment_id}/back",
            "cancelUrl": f"{self._site}/pay/{ask.payment_id}",
            "method": list(self._settings.method_names),
            "metadata": {"event": ask.event_id, "payment": str(ask.payment_id)},
        }
        if ask.term_hours and ask.currency == SLOW_CURRENCY:
            document["method"].append(SLOW_METHOD)
            document["dueDate"] = due_date(dt.datetime.now(dt.UTC), ask.term_hours).isoformat()
        if self._site.startswith("https://"):
            # Mollie refuses an address that it cannot reach; without notices the payment is looked at all the same.
            named = {
                "event": ask.event_id,
                "payment": ask.payment_id,
                "key": mollie_signature(self._secret, ask.event_id, ask.payment_id),
            }
            document["webhookUrl"] = f"{self._site}/api/payments/{MOLLIE}/notices?{urlencode(named)}"
        payment = await self._call("POST", "/v2/payments", document, key=f"admitone-open-{ask.payment_id}")
        href = payment.get("_links", {}).get("checkout", {}).get("href", "")
        return Opened(payment["id"], href=href)

    async def open_there(self, ask: PaymentAsk) -> Opened:
        return await self.open(ask)

    async def look(self, ask: PaymentAsk) -> Answer:
        return self._answer(await self._call("GET", f"/v2/payments/{ask.provider_ref}"), ask)

    async def close(self, ask: PaymentAsk) -> Answer:
        try:
            return self._answer(await self._call("DELETE", f"/v2/payments/{ask.provider_ref}"), ask)
        except ProviderRefusedError:
            # It is paid or closed already, or of a method that nobody can cancel: Mollie ends it by itself.
            answer = await self.look(ask)
            return Answer(Standing.PENDING) if answer.standing is Standing.OPEN else answer

    async def refund(self, ask: PaymentAsk, refund_id: uuid.UUID, amount: int) -> str:
        path = f"/v2/payments/{ask.provider_ref}/refunds"
        async for refund in self._pages(f"{path}?limit={PAGE}", "refunds"):
            if _metadata(refund).get("refund") == str(refund_id) and refund["status"] not in ("failed", "canceled"):
                return str(refund["id"])
        refund = await self._call(
            "POST",
            path,
            {
                "amount": _amount(amount, ask.currency),
                "description": ask.words[:DESCRIPTION_MAX],
                "metadata": {"refund": str(refund_id)},
            },
            key=f"admitone-refund-{refund_id}",
        )
        if refund["status"] in ("failed", "canceled"):
            raise ProviderRefusedError(f"the refund {refund['status']}")
        return str(refund["id"])

    async def taken(self, since: dt.datetime) -> AsyncIterator[Taken]:
        async for payment in self._pages(f"/v2/payments?limit={PAGE}", "payments"):
            if dt.datetime.fromisoformat(payment["createdAt"]) < since:
                return
            named = _metadata(payment)
            if payment["status"] == "paid" and "payment" in named:
                currency = payment["amount"]["currency"]
                amount = from_decimal(payment["amount"]["value"], currency)
                event_id, payment_id = int(named["event"]), uuid.UUID(named["payment"])
                yield Taken(event_id, payment_id, payment["id"], amount, currency, _refunded(payment))

    async def end(self) -> None:
        if self._client is not None:
            await self._client.close()

    # -- what Mollie says

    def _answer(self, payment: Document, ask: PaymentAsk) -> Answer:
        if _metadata(payment).get("payment") != str(ask.payment_id):
            raise ProviderRefusedError("that is another payment")
        if payment["mode"] != self._settings.mode:
            raise ProviderRefusedError(f"that is a payment of Mollie's {payment['mode']} mode")
        if self._settings.profile and payment["profileId"] != self._settings.profile:
            raise ProviderRefusedError("that is a payment of another profile")
        match payment["status"]:
            case "paid":
                currency = payment["amount"]["currency"]
                amount = from_decimal(payment["amount"]["value"], currency)
                return Answer(Standing.CAPTURED, amount, currency, _refunded(payment))
            case "canceled" | "expired" | "failed":
                return Answer(Standing.CLOSED)
            case "open" | "pending" if payment.get("method") == SLOW_METHOD:
                # The fan knows where to send the money. Mollie calls it open until that has come.
                return Answer(Standing.PROCESSING)
            case "open":
                return Answer(Standing.OPEN)
        return Answer(Standing.PENDING)

    async def _pages(self, path: str, what: str) -> AsyncIterator[Document]:
        """The documents of a list, page by page."""
        while path:
            answer = await self._call("GET", path)
            for document in answer["_embedded"][what]:
                yield document
            following = (answer.get("_links", {}).get("next") or {}).get("href", "")
            # The key goes to Mollie alone, whatever an answer says.
            path = following.removeprefix(self._settings.url) if following.startswith(self._settings.url) else ""

    async def _call(self, method: str, path: str, document: Document | None = None, *, key: str = "") -> Document:
        """Ask Mollie; the document of its answer.

        Raises:
            ProviderAwayError, ProviderRefusedError
        """
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=self._timeout)
        headers = {"Authorization": f"Bearer {self._settings.api_key}"}
        if document is not None:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        content = None if document is None else msgspec.json.encode(document)
        try:
            async with self._client.request(
                method, self._settings.url + path, data=content, headers=headers, allow_redirects=False
            ) as answer:
                status, body = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderAwayError(type(error).__name__) from None
        try:
            found = msgspec.json.decode(body, type=Document) if body else {}
        except msgspec.MsgspecError:
            raise ProviderAwayError(f"{status}, and no JSON") from None
        if status < 300:
            return found
        words = f"{status} {found.get('title', '')}: {found.get('detail', '')}"[:WORDS_MAX]
        words = words.replace(self._settings.api_key, "…")
        if status in REFUSALS:
            raise ProviderRefusedError(words)
        raise ProviderAwayError(words)


def _amount(amount: int, currency: str) -> Document:
    return {"currency": currency, "value": to_decimal(amount, currency)}


def due_date(now: dt.datetime, term_hours: int) -> dt.date:
    """The last day on which the money of a bank transfer may come: that before the event's term ends, so that no money
    is on its way then. Mollie takes no day before tomorrow.
    """
    day = dt.timedelta(days=1)
    return max((now + dt.timedelta(hours=term_hours)).date() - day, now.date() + day)


def _refunded(payment: Document) -> int:
    """What was given back of a payment."""
    amount = payment.get("amountRefunded")
    return 0 if amount is None else from_decimal(amount["value"], amount["currency"])


def _metadata(document: Document) -> Document:
    found = document.get("metadata")
    return found if isinstance(found, dict) else {}
