"""Operators' webhooks over HTTP, delivered by a real worker to a real receiver."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from db.outbox.kinds import OutboxKind
from db.webhooks.endpoints import ENDPOINTS_MAX
from tests.acceptance.conftest import Site
from tests.client import Client

ENVIRON = {"ADMITONE_WEBHOOK_RETRY_FIRST_SECONDS": "1", "ADMITONE_WEBHOOK_ATTEMPTS_MAX": "1"}
API = "/api/ops/webhooks"
SECONDS_MAX = 20.0


class Taken(BaseHTTPRequestHandler):
    """Takes note of what arrives, and answers as the path says."""

    arrived: list[tuple[str, dict[str, str], bytes]] = []  # noqa: RUF012 - one receiver a module

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.arrived.append((self.path, dict(self.headers), body))
        self.send_response(500 if self.path.startswith("/fail") else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Taken) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


@pytest.fixture(autouse=True)
def no_webhook_left(operator: Client) -> Iterator[None]:
    yield
    for one in operator.get(API).json["webhooks"]:
        assert operator.call("DELETE", f"{API}/{one['webhookId']}").status == 204


def add(operator: Client, url: str, *kinds: str, **fields: Any) -> dict[str, Any]:
    answer = operator.post(API, {"url": url, "kinds": list(kinds or OutboxKind), **fields})
    assert answer.status == 201, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    made: dict[str, Any] = answer.json
    return made


def await_true(what: str, check: Callable[[], object]) -> None:
    until = time.monotonic() + SECONDS_MAX
    while not check():
        assert time.monotonic() < until, f"{what}: not within {SECONDS_MAX} s"
        time.sleep(0.05)


def arrived(path: str) -> list[tuple[dict[str, str], bytes]]:
    return [(headers, body) for at, headers, body in list(Taken.arrived) if at == path]


def test_a_pause_and_a_purchase_arrive_signed(site: Site, operator: Client, receiver: str) -> None:
    made = add(operator, f"{receiver}/hook", description="the shop")
    event = site.event()
    path = f"{API}/{made['webhook']['webhookId']}"
    assert operator.patch(path, {"eventId": event}).json["eventId"] == event
    assert made["webhook"]["enabled"]
    assert made["webhook"]["description"] == "the shop"
    await_true("the room is told to be open", lambda: arrived("/hook"))
    fan = site.admitted_fan(event)
    held = fan.reserve(event, [(1, 1, 1), (1, 1, 2)]).result
    bought = fan.checkout(event, held["reservationId"]).result
    assert operator.patch(f"/api/ops/rooms/{event}", {"paused": True}).status == 200
    await_true("all three arrive", lambda: len(arrived("/hook")) == 3)
    told = {}
    for headers, body in arrived("/hook"):
        message = Webhook(made["secret"]).verify(body, headers)
        told[message["type"]] = message["data"]
    assert set(told) == {"room.opened", "room.paused", "purchase.made"}
    assert told["purchase.made"] == {
        "eventId": event,
        "purchaseId": bought["purchaseId"],
        "userId": fan.user_id,
        "seats": 2,
        "totalAmount": bought["totalAmount"],
        "currency": "EUR",
    }
    assert told["room.paused"]["state"] == "paused"
    await_true("it is noted", lambda: operator.get(path).json["pending"] == 0)
    assert operator.get(path).json["deliveredAt"] is not None
    deliveries = operator.get(f"{path}/deliveries").json["deliveries"]
    assert {one["messageId"] for one in deliveries} == {headers["webhook-id"] for headers, _ in arrived("/hook")}
    assert {(one["state"], one["attempts"], one["status"]) for one in deliveries} == {("delivered", 1, 204)}
    again = operator.post(f"{path}/resend", {"messageId": deliveries[0]["messageId"]})
    assert again.json == {"resent": 1}
    await_true("it comes again", lambda: len(arrived("/hook")) == 4)
    assert arrived("/hook")[3][0]["webhook-id"] == deliveries[0]["messageId"]


def test_a_cancellation_arrives_with_what_is_to_be_refunded(site: Site, operator: Client, receiver: str) -> None:
    event = site.event()
    secret = add(operator, f"{receiver}/refunds", "purchase.cancelled", eventId=event)["secret"]
    fan = site.admitted_fan(event)
    bought = fan.buy(event, [(1, 1, 1), (1, 1, 2)])
    assert fan.cancel(event, bought["purchaseId"], [(1, 1, 2)]).result["refundAmount"] == 4900
    await_true("it arrives", lambda: arrived("/refunds"))
    ((headers, body),) = arrived("/refunds")
    assert Webhook(secret).verify(body, headers)["data"] == {
        "eventId": event,
        "purchaseId": bought["purchaseId"],
        "userId": fan.user_id,
        "seats": 1,
        "details": [{"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 2, "amount": 4900}],
        "refundAmount": 4900,
        "totalAmount": 4900,
        "currency": "EUR",
        "status": "confirmed",
    }


def test_what_was_given_up_is_shown_and_resent(site: Site, operator: Client, receiver: str) -> None:
    event = site.event()
    path = f"{API}/{add(operator, f'{receiver}/fail', 'room.closed', eventId=event)['webhook']['webhookId']}"
    operator.patch(f"/api/ops/rooms/{event}", {"closed": True})
    await_true("it is given up", lambda: operator.get(path).json["dead"] == 1)
    assert operator.get(path).json["failingSince"] is not None
    (one,) = operator.get(f"{path}/deliveries?state=dead").json["deliveries"]
    assert (one["state"], one["status"], one["error"]) == ("dead", 500, "it answered 500")
    assert operator.get(f"{path}/deliveries?state=delivered").json["deliveries"] == []
    assert operator.patch(path, {"url": f"{receiver}/mended"}).status == 200
    assert operator.post(f"{path}/resend", {}).json == {"resent": 1}
    await_true("it arrives", lambda: operator.get(path).json["dead"] == 0 and len(arrived("/mended")) == 1)
    assert operator.post(f"{path}/resend", {}).json == {"resent": 0}
    assert operator.post(f"{path}/resend", {"messageId": str(uuid.uuid4())}).json == {"resent": 0}


def test_changes_are_logged_with_who_and_secrets_are_not(operator: Client) -> None:
    made = add(operator, "http://127.0.0.1:9/hook", "room.paused", "room.paused")
    assert made["webhook"]["kinds"] == ["room.paused"]
    webhook_id = made["webhook"]["webhookId"]
    path = f"{API}/{webhook_id}"
    rotated = operator.post(f"{path}/rotate").json
    assert rotated["secret"] != made["secret"]
    assert rotated["webhook"]["oldSecretUntil"] is not None
    changed = operator.patch(path, {"enabled": False, "kinds": ["room.closed"], "description": "off for now"}).json
    assert not changed["enabled"]
    assert changed["disabledWhy"] == "operator"
    assert operator.patch(path, {"enabled": True}).json["disabledAt"] is None
    assert operator.call("DELETE", path).status == 204
    log = operator.get(f"{API}/log")
    entries = [one for one in log.json["entries"] if one["webhookId"] == webhook_id][::-1]
    assert [(one["field"], one["from"], one["to"]) for one in entries] == [
        ("url", "", "http://127.0.0.1:9/hook"),
        ("kinds", "", "room.paused"),
        ("secret", "", "replaced"),
        ("kinds", "room.paused", "room.closed"),
        ("description", "", "off for now"),
        ("enabled", "true", "false"),
        ("enabled", "false", "true"),
        ("url", "http://127.0.0.1:9/hook", ""),
    ]
    assert len({one["operator"] for one in entries}) == 1
    for secret in (made["secret"], rotated["secret"]):
        for answer in (log, operator.get(API)):
            assert secret not in answer.content.decode()


def test_refusals(site: Site, operator: Client) -> None:
    assert site.fan().get(API).code == "not_operator"
    assert site.client().get(API).code == "unauthenticated"
    made = add(operator, "http://127.0.0.1:9/hook")["webhook"]
    path = f"{API}/{made['webhookId']}"
    for url in ("http://user:word@shop.example.org/", "http:///x", "http://x.example:99999/"):
        assert operator.post(API, {"url": url, "kinds": ["room.paused"]}).code in ("url_refused", "invalid_request")
    assert operator.patch(path, {"url": "http://x.example:99999/"}).code == "url_refused"
    bodies: list[dict[str, Any]] = [
        {"kinds": []}, {"kinds": ["room.painted"]}, {"url": "ftp://x.example/"}, {"eventId": 0}, {},
    ]  # fmt: skip
    for body in bodies:
        assert operator.patch(path, body).code == "invalid_request", body
    assert operator.patch(path, {"eventId": 999_999}).code == "unknown_event"
    assert operator.post(API, {"url": "http://x.example/", "kinds": list(OutboxKind), "eventId": 999_999}).code == (
        "unknown_event"
    )
    for answer in (
        operator.get(f"{API}/999999"),
        operator.patch(f"{API}/999999", {"enabled": False}),
        operator.call("DELETE", f"{API}/999999"),
        operator.post(f"{API}/999999/rotate"),
        operator.post(f"{API}/999999/resend", {}),
        operator.get(f"{API}/999999/deliveries"),
    ):
        assert (answer.status, answer.code) == (404, "unknown_webhook")
    for number in range(ENDPOINTS_MAX - 1):
        add(operator, f"http://127.0.0.1:9/{number}")
    assert operator.post(API, {"url": "http://127.0.0.1:9/more", "kinds": list(OutboxKind)}).code == "too_many_webhooks"


def test_production_takes_public_https_only(site: Site) -> None:
    """What else is refused: tests/unit/test_webhook_urls.py."""
    refused = site.services.run(
        "webhook",
        "add",
        "https://localhost/hook",
        ADMITONE_ENV="production",
        ADMITONE_SECRET="w3bh00ks-0123456789-abcdefghijklmnop",
    )
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == "In production the URL must name a public host."


def test_the_command_line(site: Site, operator: Client) -> None:
    run = site.services.run
    made = run("webhook", "add", "http://127.0.0.1:9/hook", "--kind", "room.paused", "--event", str(site.event()))
    number, secret = made.stdout.split()
    assert secret.startswith("whsec_")
    assert operator.get(f"{API}/{number}").json["kinds"] == ["room.paused"]
    assert run("webhook", "list").stdout.startswith(f"{number} http://127.0.0.1:9/hook enabled; room.paused of event ")
    assert run("webhook", "resend", number).stdout == "0\n"
    assert run("webhook", "remove", number).returncode == 0
    assert operator.get(f"{API}/{number}").code == "unknown_webhook"
    assert run("webhook", "remove", number).returncode == 1
    assert "there are room.opened, " in run("webhook", "add", "http://x.example/", "--kind", "room.painted").stderr


def test_contract_and_page_know_every_kind(site: Site, operator: Client) -> None:
    schemas = operator.get("/schema/openapi.json").json["components"]["schemas"]
    assert sorted(kind.value for kind in OutboxKind) == sorted(schemas["OutboxKind"]["enum"])
    page = operator.get("/ops/webhooks").content.decode()
    for kind in OutboxKind:
        assert f'value="{kind}"' in page
        assert kind.headline in page
