"""Payments over HTTP: through a real gateway, worker and cashier, with the built-in test provider."""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import redis

from booking_lane.results import opened_key
from payments.notices import test_signature as signature_of_notice
from tests.acceptance.conftest import Site
from tests.client import Answer, Fan
from tests.factories import OPEN_DOOR, SECRET, make_event, plan_event
from tests.services import free_port
from tests.tills import stripe_server
from tests.tills.server import serving
from tests.tills.stripe_server import StripeBooks
from tests.waiting import await_that

ENVIRON = {
    "ADMITONE_PAYMENT_PROVIDERS": "test stripe",
    "ADMITONE_COMMAND_DEADLINE_SECONDS": "2",
    "ADMITONE_INVOICE_SELLER": "Kulturhalle GmbH",
    "ADMITONE_INVOICE_SERIES": "V{event}-",
    **stripe_server.ENVIRON,
}
NOTICES = "/api/payments/test/notices"
A1, A2, A3, A4 = (1, 1, 1), (1, 1, 2), (1, 1, 3), (1, 1, 4)


@pytest.fixture(scope="module", autouse=True)
def books() -> Iterator[StripeBooks]:
    """Stripe's, in its place on this machine. Started before the site, which is told of it."""
    kept, port = StripeBooks(), free_port()
    with serving(kept, port):
        ENVIRON["ADMITONE_STRIPE_URL"] = f"http://127.0.0.1:{port}"
        yield kept


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    return make_event(site.database_url, plan_event(room=OPEN_DOOR, payments="test"))


def to_pay(site: Site, event_id: int, seat: tuple[int, int, int], *, wait: int = 10) -> tuple[Fan, dict[str, Any]]:
    """A fan whose checkout waits for its payment; gives the job."""
    fan = site.admitted_fan(event_id)
    answer = fan.checkout(event_id, fan.hold(event_id, [seat])["reservationId"], wait=wait, key=f"buy {seat}")
    assert (answer.status, answer.json["status"]) == (202, "queued"), answer.content
    return fan, answer.json


def step(fan: Fan, job_id: str) -> dict[str, Any]:
    """What the fan does to pay, once the provider knows the payment."""

    def found() -> dict[str, Any] | None:
        payment: dict[str, Any] | None = fan.job(job_id).json.get("payment")
        return payment if payment and payment["clientSecret"] else None

    payment = await_that(found, what="the payment is open")
    assert payment is not None
    return payment


def page(fan: Fan, href: str, act: str = "") -> Answer:
    headers = {"Cookie": f"admitone_session={fan.token}", "Authorization": "", "Accept": "text/html"}
    if not act:
        return fan.call("GET", href, headers=headers)
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": fan.url}
    return fan.call("POST", href, raw=urlencode({"act": act}).encode(), headers={**headers, **form})


def ended(fan: Fan, event_id: int, job_id: str) -> Answer:
    def look() -> Answer | None:
        answer = fan.job(job_id, wait="5")
        return answer if answer.json["status"] != "queued" else None

    answer = await_that(look, 30, what="the job has ended")
    assert answer is not None
    fan.note("checkout", event_id, answer)
    return answer


def test_a_fan_pays_on_our_page_and_has_the_tickets(site: Site, event_id: int) -> None:
    fan, job = to_pay(site, event_id, A1)
    payment = step(fan, job["jobId"])
    assert job["payment"]["href"] == payment["href"] == f"/pay/{payment['href'].rsplit('/', 1)[1]}"
    shown = page(fan, payment["href"])
    assert shown.status == 200, shown.content
    assert b"49.00" in shown.content
    await_that(lambda: b'name="act"' in page(fan, payment["href"]).content, what="the payment is open")
    told = page(fan, f"{payment['href']}?told=1")
    refresh = f"1; url={payment['href']}?told=2"
    assert (told.headers["Refresh"], b'name="act"' in told.content) == (refresh, False), "nobody is to press twice"
    assert b'name="act"' in page(fan, f"{payment['href']}?told=20").content, "who turned round pays after all"
    again = fan.checkout(
        event_id, fan.get(f"/api/reservations?eventId={event_id}").json["reservations"][0]["reservationId"]
    )
    assert again.json["payment"]["href"] == payment["href"], "one hold has one payment"
    stranger = site.fan()
    asked = urllib.request.Request(site.url + payment["href"], headers={"Cookie": f"admitone_session={stranger.token}"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(asked)
    assert stranger.job(job["jobId"]).code == "unknown_job"
    paid = page(fan, payment["href"], "pay")
    assert (paid.status, paid.headers["Location"]) == (303, f"{payment['href']}?told=1")
    assert page(fan, paid.headers["Location"]).headers["Location"].startswith("/purchases/"), "one page waits for all"
    purchase = ended(fan, event_id, job["jobId"]).result
    assert purchase["totalAmount"] == 4900
    fan.note("checkout", event_id, ended(fan, event_id, again.json["jobId"]))
    assert page(fan, payment["href"]).headers["Location"] == f"/purchases/{purchase['purchaseId']}"
    assert "payment" not in fan.job(job["jobId"]).json
    has_its_invoice(site, fan, event_id, purchase["purchaseId"])


def has_its_invoice(site: Site, fan: Fan, event_id: int, purchase_id: str) -> None:
    """The fan and the office see the invoice, and nobody else does."""

    def order() -> dict[str, Any] | None:
        found: dict[str, Any] = fan.get(f"/api/purchases/{purchase_id}/order").json
        return found if found["invoices"] else None

    (invoice,) = (await_that(order, 30, what="the invoice is there") or {})["invoices"]
    assert (invoice["number"], invoice["kind"], invoice["amount"]) == (f"V{event_id}-00001", "invoice", 4900)
    link = f"/purchases/{purchase_id}/invoice.pdf"
    assert link.encode() in page(fan, f"/purchases/{purchase_id}").content
    assert page(fan, link).content[:5] == b"%PDF-"
    with pytest.raises(AssertionError, match="404"):
        page(site.fan(), link)
    operator = site.operator()
    office = f"/api/ops/events/{event_id}"
    assert operator.get(f"{office}/orders/{purchase_id}/invoice.pdf").content[:5] == b"%PDF-"
    assert operator.get(f"{office}/orders/{uuid.uuid4()}/invoice.pdf").code == "no_invoice"
    (line,) = csv.DictReader(io.StringIO(operator.get(f"{office}/invoices.csv").content.decode()))
    assert (line["number"], line["amount"], line["net"], line["corrects"]) == (invoice["number"], "49.00", "49.00", "")
    (order_line,) = csv.DictReader(io.StringIO(operator.get(f"{office}/orders.csv").content.decode()))
    assert order_line["invoices"] == invoice["number"]
    body = {"name": "Band e.V.", "taxId": "DE2", "series": "B{year}-", "why": "as agreed"}
    answer = operator.call("PUT", f"{office}/seller", body)
    assert (answer.status, answer.json["name"], operator.get(f"{office}/seller").json["taxId"]) == (
        200,
        "Band e.V.",
        "DE2",
    )
    assert operator.call("PUT", f"{office}/seller", {"name": "B", "series": "{what}"}).code == "invalid_request"
    assert operator.call("PUT", f"{office}/seller", {"name": ""}).json["name"] == ""
    assert operator.get("/api/ops/events/999999/seller").code == "unknown_event"


def test_a_declined_payment_fails_and_can_be_tried_again(site: Site, event_id: int) -> None:
    fan, job = to_pay(site, event_id, A2, wait=0)
    payment = step(fan, job["jobId"])
    page(fan, payment["href"], "decline")
    failed = ended(fan, event_id, job["jobId"])
    assert (failed.json["status"], failed.code) == ("failed", "payment_failed")
    assert b"nothing was charged" in page(fan, payment["href"]).content
    hold = fan.get(f"/api/reservations?eventId={event_id}").json["reservations"][0]["reservationId"]
    again = fan.checkout(event_id, hold)
    second = step(fan, again.json["jobId"])
    assert second["href"] != payment["href"]
    page(fan, second["href"], "pay")
    assert ended(fan, event_id, again.json["jobId"]).result["totalAmount"] == 4900


def test_looks_at_a_paying_job_read_no_postgres_while_redis_knows(site: Site, event_id: int) -> None:
    fan, job = to_pay(site, event_id, A4)
    assert job["payment"]["clientSecret"], "the checkout waited until the fan can pay"
    payment_id = uuid.UUID(job["payment"]["href"].rsplit("/", 1)[1])
    with redis.Redis.from_url(site.redis_url) as client:
        # First of all, while the payment is young: five seconds after the checkout it is not.
        assert client.delete(opened_key(payment_id)) == 1
        assert fan.job(job["jobId"]).json["payment"]["clientSecret"] is None, "a young payment is not open yet"
        assert step(fan, job["jobId"]) == job["payment"], "an older one may have been forgotten, and Postgres says"
        assert client.exists(opened_key(payment_id)) == 1
    with psycopg.connect(site.database_url) as connection:
        connection.execute("LOCK TABLE payment, payment_job IN ACCESS EXCLUSIVE MODE")
        assert fan.job(job["jobId"]).json["payment"] == job["payment"]
        assert fan.job(job["jobId"], wait="0.5").json["payment"] == job["payment"]
    page(fan, job["payment"]["href"], "pay")
    assert ended(fan, event_id, job["jobId"]).result["totalAmount"] == 4900


def test_a_webhook_alone_is_enough_and_others_signatures_are_refused(site: Site, event_id: int) -> None:
    fan, job = to_pay(site, event_id, A3)
    payment = step(fan, job["jobId"])
    page(fan, payment["href"], "silent")
    body = json.dumps({"eventId": event_id, "paymentId": payment["href"].rsplit("/", 1)[1]}).encode()

    def posted(signature: str, path: str = NOTICES, content: bytes = body) -> Answer:
        return site.client().call("POST", path, raw=content, headers={"X-Test-Signature": signature})

    assert posted("00").code == "signature_invalid"
    assert posted(signature_of_notice(SECRET, body), content=body + b" ").code == "signature_invalid"
    assert posted(signature_of_notice(SECRET, body), "/api/payments/other/notices").code == "payments_off"
    for _ in range(5):
        assert posted(signature_of_notice(SECRET, body)).status == 200
    purchase = ended(fan, event_id, job["jobId"]).result
    assert posted(signature_of_notice(SECRET, body)).status == 200
    cancelled = fan.cancel(event_id, purchase["purchaseId"])
    assert cancelled.result["refundAmount"] == 4900


def test_a_fan_pays_by_stripe_in_its_form_or_on_its_own_page(site: Site, books: StripeBooks) -> None:
    event_id = make_event(site.database_url, plan_event(room=OPEN_DOOR, payments="stripe"))
    fan, job = to_pay(site, event_id, A1)
    payment = step(fan, job["jobId"])
    shown = page(fan, payment["href"])
    policy = shown.headers["Content-Security-Policy"]
    assert "script-src 'self' https://js.stripe.com" in policy
    assert "https://hooks.stripe.com" in policy, "where a bank asks its question"
    assert b'src="https://js.stripe.com/' in shown.content
    assert payment["clientSecret"].encode() in shown.content
    assert "stripe" not in page(fan, f"/events/{event_id}").headers["Content-Security-Policy"]
    assert stripe_server.KEY.encode() not in shown.content
    # Without scripts.
    there = page(fan, payment["href"], "there")
    assert there.headers["Location"] == f"{payment['href']}?there=1"
    await_that(lambda: b"https://checkout.stripe.com/" in page(fan, payment["href"]).content, what="the page is open")
    opened = page(fan, payment["href"])
    assert b"js.stripe.com" not in opened.content
    assert "stripe" not in opened.headers["Content-Security-Policy"]
    name = payment["href"].rsplit("/", 1)[1]
    books.pay(name)
    body, signed = stripe_server.notice({"admitone_event": str(event_id), "admitone_payment": name})
    assert site.client().call("POST", "/api/payments/stripe/notices", raw=body, headers=signed).status == 200
    forged = {"Stripe-Signature": signed["Stripe-Signature"][:-1] + "x"}
    refused = site.client().call("POST", "/api/payments/stripe/notices", raw=body, headers=forged)
    assert refused.code == "signature_invalid"
    back = page(fan, f"{payment['href']}/back")
    assert (back.status, back.headers["Location"]) == (303, f"{payment['href']}?told=1")
    assert ended(fan, event_id, job["jobId"]).result["totalAmount"] == 4900
    await_that(lambda: site.services.run("payments", "reconcile").returncode == 0, 30, each_seconds=0.5)
    found = site.operator().get(f"/api/ops/events/{event_id}/payments").json
    assert (found["provider"], found["payments"]["booked"], found["capturedAmount"]) == ("stripe", 1, 4900)
    assert (found["differences"], found["comparedAt"] is None) == ([], False)


def test_an_event_without_payments_is_bought_at_once(site: Site) -> None:
    other = site.event()
    fan = site.admitted_fan(other)
    assert fan.buy(other, [A1])["totalAmount"] == 4900


def test_an_operator_sets_it_before_the_first_hold_alone(site: Site, event_id: int) -> None:
    operator = site.operator()
    assert operator.get(f"/api/ops/events/{event_id}").json["payments"] == "test"
    refused = operator.patch(f"/api/ops/events/{event_id}", {"payments": ""})
    assert (refused.status, refused.code) == (409, "payments_in_use")
    fresh = site.event()
    assert operator.patch(f"/api/ops/events/{fresh}", {"payments": "test"}).json["payments"] == "test"
    assert operator.patch(f"/api/ops/events/{fresh}", {"payments": "other"}).status == 400


def test_the_providers_books_are_ours(site: Site) -> None:
    def compared() -> bool:
        return site.services.run("payments", "reconcile").returncode == 0

    await_that(compared, 30, each_seconds=0.5, what="refunds are done")
