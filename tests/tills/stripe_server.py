"""The part of Stripe's documented interface that we use: PaymentIntents, Checkout's sessions, refunds, idempotency
keys, errors, and signed webhooks. It is not Stripe: what Stripe does beyond its documentation is not tested by it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.tills.server import Answer, Books, Unanswered

KEY = "sk_test_of_the_tests_alone"
WEBHOOK_SECRET = "whsec_of_the_tests_alone"
PUBLIC_KEY = "pk_test_of_the_tests_alone"

ENVIRON = {
    "ADMITONE_STRIPE_SECRET_KEY": KEY,
    "ADMITONE_STRIPE_PUBLIC_KEY": PUBLIC_KEY,
    "ADMITONE_STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
}


@dataclass
class StripeBooks(Books):
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)

    # -- what a fan and a bank do

    def pay(self, payment_id: str, amount: int | None = None) -> None:
        with self.lock:
            intent = self._payable(payment_id)
            if intent is not None:
                intent["status"] = "succeeded"
                intent["amount_received"] = intent["amount"] if amount is None else amount
                intent["latest_charge"] = f"ch_{intent['id']}"

    def decline(self, payment_id: str) -> None:
        """A declined card leaves an intent payable; the fan gives up, and so an operator or Stripe cancels it."""
        with self.lock:
            intent = self._payable(payment_id)
            if intent is not None:
                intent["status"] = "canceled"

    def delay(self, payment_id: str) -> None:
        with self.lock:
            intent = self._payable(payment_id)
            if intent is not None:
                intent["status"] = "processing"

    def refuse(self, payment_id: str) -> None:
        """A bank that was asked for days says no; the intent may be paid anew then."""
        with self.lock:
            intent = self._payable(payment_id)
            if intent is not None:
                intent["status"] = "requires_payment_method"

    def kept(self) -> dict[str, int]:
        """What was taken and not given back, by the payments' ids."""
        kept: dict[str, int] = {}
        for intent in self.intents.values():
            name = intent["metadata"]["admitone_payment"]
            kept[name] = kept.get(name, 0) + intent["amount_received"] - self._refunded(intent["id"])
        return kept

    def _payable(self, payment_id: str) -> dict[str, Any] | None:
        """The intent that the fan's browser can pay; the page of a session makes one."""
        for session in self.sessions.values():
            if session["metadata"]["admitone_payment"] == payment_id and session["status"] == "open":
                methods = session["payment_method_types"]
                intent = self._intent(session["amount_total"], session["currency"], session["metadata"], methods)
                session |= {"status": "complete", "payment_intent": intent["id"]}
                return intent
        payable = ("requires_payment_method", "requires_action", "processing")
        for intent in self.intents.values():
            if intent["metadata"]["admitone_payment"] == payment_id and intent["status"] in payable:
                return intent
        return None

    # -- calls

    def check(self, headers: dict[str, str]) -> None:
        if headers.get("authorization") != f"Bearer {KEY}":
            words = f"Invalid API Key provided: {headers.get('authorization')}"
            raise Unanswered(401, {"error": {"type": "invalid_request_error", "message": words}})

    def reused(self) -> Answer:
        return 400, {"error": {"type": "idempotency_error", "message": "another body by the same key"}}

    def fault(self, status: int) -> Answer:
        if status == 409:
            return 409, {
                "error": {"type": "invalid_request_error", "code": "idempotency_key_in_use", "message": "busy"}
            }
        return status, {"error": {"type": "api_error", "message": "fault"}}

    def carry_out(self, method: str, path: str, body: bytes) -> Answer:
        url = urlsplit(path)
        form = dict(parse_qsl(body.decode() or url.query))
        match method, url.path.removeprefix("/v1/").split("/"):
            case "POST", ["payment_intents"]:
                if "payment_method_types[0]" in form:
                    return _refused("payment_method_types_no_longer_supported")
                return 200, self._intent(int(form["amount"]), form["currency"], _metadata(form), _methods(form))
            case "GET", ["payment_intents"]:
                shown = [self._shown(one) for one in reversed(list(self.intents))]
                after = form.get("starting_after")
                if after:
                    shown = shown[[one["id"] for one in shown].index(after) + 1 :]
                return 200, {
                    "object": "list",
                    "url": "/v1/payment_intents",
                    "data": shown[:2],
                    "has_more": len(shown) > 2,
                }
            case "GET", ["payment_intents", intent_id] if intent_id in self.intents:
                return 200, self._shown(intent_id)
            case "POST", ["payment_intents", intent_id, "cancel"]:
                intent = self.intents[intent_id]
                if intent["status"] in ("succeeded", "canceled", "processing"):
                    return _refused("payment_intent_unexpected_state")
                intent["status"] = "canceled"
                return 200, intent
            case "POST", ["checkout", "sessions"]:
                return 200, self._session(form)
            case "GET", ["checkout", "sessions", session_id]:
                session = dict(self.sessions[session_id])
                if session["payment_intent"]:
                    session["payment_intent"] = self._shown(session["payment_intent"])
                return 200, session
            case "POST", ["checkout", "sessions", session_id, "expire"]:
                session = self.sessions[session_id]
                if session["status"] != "open":
                    return _refused("resource_not_open")
                session["status"] = "expired"
                return 200, session
            case "GET", ["refunds"]:
                mine = [one for one in self.refunds.values() if one["payment_intent"] == form["payment_intent"]]
                return 200, {"object": "list", "data": mine, "has_more": False, "url": "/v1/refunds"}
            case "POST", ["refunds"]:
                return self._refund(form)
        return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "no such"}}

    def _intent(self, amount: int, currency: str, metadata: dict[str, str], methods: list[str]) -> dict[str, Any]:
        intent_id = f"pi_{len(self.intents) + 1}"
        self.intents[intent_id] = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": 0,
            "currency": currency,
            "status": "requires_payment_method",
            "client_secret": f"{intent_id}_secret",
            "latest_charge": None,
            "livemode": False,
            "payment_method_types": methods,
            "metadata": metadata,
        }
        return self.intents[intent_id]

    def _session(self, form: dict[str, str]) -> dict[str, Any]:
        session_id = f"cs_test_{len(self.sessions) + 1}"
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "status": "open",
            "payment_intent": None,
            "livemode": False,
            "url": f"https://checkout.stripe.com/c/pay/{session_id}",
            "amount_total": int(form["line_items[0][price_data][unit_amount]"]),
            "currency": form["line_items[0][price_data][currency]"],
            "metadata": _metadata(form),
            "payment_method_types": _methods(form),
            "success_url": form["success_url"],
        }
        return self.sessions[session_id]

    def _refund(self, form: dict[str, str]) -> Answer:
        intent = self.intents[form["payment_intent"]]
        amount = int(form["amount"])
        if self._refunded(intent["id"]) + amount > intent["amount_received"]:
            return _refused("charge_already_refunded")
        refund_id = f"re_{len(self.refunds) + 1}"
        self.refunds[refund_id] = {
            "id": refund_id,
            "object": "refund",
            "amount": amount,
            "payment_intent": intent["id"],
            "status": "succeeded",
            "metadata": _metadata(form),
        }
        return 200, self.refunds[refund_id]

    def _refunded(self, intent_id: str) -> int:
        return sum(one["amount"] for one in self.refunds.values() if one["payment_intent"] == intent_id)

    def _shown(self, intent_id: str) -> dict[str, Any]:
        intent = dict(self.intents[intent_id])
        if intent["latest_charge"] is not None:
            refunded = self._refunded(intent_id)
            intent["latest_charge"] = {"id": intent["latest_charge"], "object": "charge", "amount_refunded": refunded}
        return intent


def _metadata(form: dict[str, str]) -> dict[str, str]:
    return {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")}


def _methods(form: dict[str, str]) -> list[str]:
    """What it can be paid by: without a word of ours also by debits, which take days."""
    named = [value for name, value in form.items() if name.startswith("allowed_payment_method_types[")]
    return named or ["card", "sepa_debit"]


def _refused(code: str) -> Answer:
    return 400, {"error": {"type": "invalid_request_error", "code": code, "message": code}}


def notice(
    metadata: dict[str, str], *, secret: str = WEBHOOK_SECRET, age_seconds: int = 0, **changes: Any
) -> tuple[bytes, dict[str, str]]:
    """A webhook of Stripe's about a payment: its body, and the header that signs it."""
    intent = {"id": "pi_1", "object": "payment_intent", "metadata": metadata}
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "data": {"object": intent},
        **changes,
    }
    body = json.dumps(event).encode()
    at = int(time.time()) - age_seconds
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"Stripe-Signature": f"t={at},v1={signature}"}
