"""The part of Mollie's documented interface (v2) that we use: payments, refunds, idempotency keys, errors. It is not
Mollie: what Mollie does beyond its documentation is not tested by it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from payments.minor_units import from_decimal, to_decimal
from tests.tills.server import Answer, Books, Unanswered

KEY = "test_of_the_tests_alone"
ENVIRON = {"ADMITONE_MOLLIE_API_KEY": KEY}


@dataclass
class MollieBooks(Books):
    """``can_cancel``: whether payments can be cancelled, which depends on their methods."""

    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    can_cancel: bool = True

    # -- what a fan and a bank do

    def pay(self, payment_id: str, amount: int | None = None) -> None:
        with self.lock:
            payment = self._payable(payment_id)
            if payment is not None:
                payment["status"] = "paid"
                if amount is not None:
                    currency = payment["amount"]["currency"]
                    payment["amount"] = {"currency": currency, "value": to_decimal(amount, currency)}

    def decline(self, payment_id: str) -> None:
        with self.lock:
            payment = self._payable(payment_id)
            if payment is not None:
                payment["status"] = "failed"

    def delay(self, payment_id: str) -> None:
        """A bank transfer stays open until its money has come; other methods are decided within minutes."""
        with self.lock:
            payment = self._payable(payment_id)
            if payment is not None and "banktransfer" in payment["methods"]:
                payment["method"] = "banktransfer"
            elif payment is not None:
                payment["status"] = "pending"

    def refuse(self, payment_id: str) -> None:
        with self.lock:
            payment = self._payable(payment_id)
            if payment is not None:
                payment["status"] = "expired"

    def kept(self) -> dict[str, int]:
        kept: dict[str, int] = {}
        for payment in self.payments.values():
            name = payment["metadata"]["payment"]
            currency = payment["amount"]["currency"]
            took = from_decimal(payment["amount"]["value"], currency) if payment["status"] == "paid" else 0
            kept[name] = kept.get(name, 0) + took - self._refunded(payment["id"])
        return kept

    def _payable(self, payment_id: str) -> dict[str, Any] | None:
        for payment in self.payments.values():
            if payment["metadata"]["payment"] == payment_id and payment["status"] in ("open", "pending"):
                return payment
        return None

    # -- calls

    def check(self, headers: dict[str, str]) -> None:
        if headers.get("authorization") != f"Bearer {KEY}":
            words = f"Missing authentication, or failed: {headers.get('authorization')}"
            raise Unanswered(401, {"status": 401, "title": "Unauthorized Request", "detail": words})

    def reused(self) -> Answer:
        return _refused("another body by the same key")

    def fault(self, status: int) -> Answer:
        return status, {"status": status, "title": "Fault", "detail": "fault"}

    def carry_out(self, method: str, path: str, body: bytes) -> Answer:
        url = urlsplit(path)
        document = msgspec.json.decode(body) if body else {}
        match method, url.path.removeprefix("/v2/").split("/"):
            case "POST", ["payments"]:
                return 201, self._payment(document)
            case "GET", ["payments"]:
                return 200, self._list(parse_qs(url.query))
            case "GET", ["payments", name] if name in self.payments:
                return 200, self._shown(name)
            case "DELETE", ["payments", name]:
                payment = self.payments[name]
                if payment["status"] != "open" or not self.can_cancel:
                    return _refused("The payment cannot be cancelled")
                payment["status"] = "canceled"
                return 200, self._shown(name)
            case "GET", ["payments", name, "refunds"]:
                mine = [one for one in self.refunds.values() if one["paymentId"] == name]
                return 200, {"count": len(mine), "_embedded": {"refunds": mine}, "_links": {"next": None}}
            case "POST", ["payments", name, "refunds"]:
                return self._refund(name, document)
        return 404, {"status": 404, "title": "Not Found", "detail": "no such"}

    def _payment(self, document: dict[str, Any]) -> dict[str, Any]:
        assert document["method"]
        is_slow = "banktransfer" in document["method"]
        assert ("dueDate" in document) == is_slow
        assert not is_slow or dt.date.fromisoformat(document["dueDate"]) > dt.datetime.now(dt.UTC).date()
        name = f"tr_{len(self.payments) + 1}"
        self.payments[name] = {
            "resource": "payment",
            "id": name,
            "mode": "test",
            "profileId": "pfl_1",
            "createdAt": dt.datetime.now(dt.UTC).isoformat(),
            "amount": document["amount"],
            "metadata": document["metadata"],
            "status": "open",
            "methods": document["method"],
            # Nobody has chosen one yet.
            "method": None,
            "redirectUrl": document["redirectUrl"],
            "webhookUrl": document.get("webhookUrl"),
        }
        return self._shown(name)

    def _list(self, query: dict[str, list[str]]) -> dict[str, Any]:
        names = list(reversed(self.payments))
        if "from" in query:
            names = names[names.index(query["from"][0]) :]
        following = None
        if len(names) > 2:
            following = {"href": f"{self.address}/v2/payments?from={names[2]}&limit=2", "type": "application/hal+json"}
        shown = [self._shown(name) for name in names[:2]]
        return {"count": len(shown), "_embedded": {"payments": shown}, "_links": {"next": following}}

    def _refund(self, name: str, document: dict[str, Any]) -> Answer:
        payment = self.payments[name]
        currency = document["amount"]["currency"]
        amount = from_decimal(document["amount"]["value"], currency)
        took = from_decimal(payment["amount"]["value"], currency) if payment["status"] == "paid" else 0
        if self._refunded(name) + amount > took:
            return _refused("The amount is higher than the remaining amount")
        refund = {"id": f"re_{len(self.refunds) + 1}", "status": "pending", "paymentId": name, **document}
        self.refunds[refund["id"]] = refund
        return 201, refund

    def _refunded(self, name: str) -> int:
        mine = [one["amount"] for one in self.refunds.values() if one["paymentId"] == name]
        return sum(from_decimal(one["value"], one["currency"]) for one in mine)

    def _shown(self, name: str) -> dict[str, Any]:
        payment = dict(self.payments[name])
        currency = payment["amount"]["currency"]
        if payment["status"] == "paid":
            payment["amountRefunded"] = {"currency": currency, "value": to_decimal(self._refunded(name), currency)}
        links = {}
        if payment["status"] == "open":
            links["checkout"] = {"href": f"https://www.mollie.com/checkout/{name}", "type": "text/html"}
        return {**payment, "_links": links}


def _refused(words: str) -> Answer:
    return 422, {"status": 422, "title": "Unprocessable Entity", "detail": words}
