"""The published description: it names every path of the contract, and answers are as it says."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from tests.acceptance.conftest import Site
from tests.client import Answer

CONTRACT = {
    "/api/events/{event_id}/draw": {"get": 200},
    "/api/events/{event_id}/draw/list": {"get": 200},
    "/api/events/{event_id}/waiting-list": {"get": 200, "post": 202, "delete": 202},
    "/api/events/{event_id}/waiting-list/entries": {"get": 200},
    "/api/ops/rooms/{event_id}/waiting-list": {"get": 200},
    "/api/queue/{event_id}/receipt": {"get": 200},
    "/api/session": {"post": 201, "delete": 204},
    "/api/account": {"get": 200},
    "/api/account/links": {"post": 204},
    "/api/account/password": {"post": 201, "put": 204},
    "/api/account/session": {"post": 201},
    "/api/account/session/passkey": {"post": 201},
    "/api/account/session/passkey/options": {"post": 200},
    "/api/account/identities": {"get": 200, "post": 200, "delete": 204},
    "/api/account/joins": {"get": 200, "post": 204},
    "/api/account/joins/proof": {"post": 200},
    "/api/account/passkeys": {"get": 200, "post": 204},
    "/api/account/passkeys/options": {"post": 200},
    "/api/account/passkeys/{passkey_id}": {"delete": 204},
    "/api/account/sessions": {"get": 200, "delete": 204},
    "/api/captcha": {"get": 200},
    "/api/captcha/challenge": {"get": 200},
    "/api/initial-call/{event_id}": {"get": 200},
    "/api/events": {"get": 200},
    "/api/events/{event_id}/seats": {"get": 200},
    "/api/events/{event_id}/live": {"get": 200},
    "/api/events/{event_id}/plan": {"get": 200},
    "/api/events/{event_id}/proposals": {"get": 200},
    "/api/events/{event_id}/plan/{plan_version}/sections/{section_id}": {"get": 200},
    "/api/reserve": {"post": 202},
    "/api/checkout": {"put": 202, "post": 202},
    "/api/reservations": {"get": 200},
    "/api/reservations/{reservation_id}": {"delete": 202},
    "/api/reservations/{reservation_id}/quote": {"post": 200},
    "/api/jobs/{job_id}": {"get": 200},
    "/api/purchases": {"get": 200},
    "/api/purchases/{purchase_id}": {"get": 200},
    "/api/purchases/{purchase_id}/link": {"get": 200},
    "/api/purchases/{purchase_id}/cancel": {"post": 202},
    "/api/purchases/{purchase_id}/hand-on": {"get": 200},
    "/api/tickets/take": {"post": 202},
    "/api/tickets/find": {"post": 204},
    "/api/tickets/found/{token}": {"get": 200},
    "/api/events/{event_id}/asks": {"get": 200},
    "/api/reservations/{reservation_id}/answers": {"put": 204},
    "/api/purchases/{purchase_id}/order": {"get": 200},
    "/api/queue/{event_id}": {"post": 201, "get": 200, "delete": 204},
    "/api/queue/{event_id}/stream": {"get": 200},
    "/api/queue/{event_id}/claim": {"post": 200},
    "/api/queue/{event_id}/choosing": {"post": 200},
    "/api/queue/{event_id}/handover": {"post": 200},
    "/api/queue/{event_id}/pass": {"get": 200},
    "/.well-known/jwks.json": {"get": 200},
    "/api/queue/{event_id}/push": {"post": 204},
    "/api/events/{event_id}/contact": {"get": 200, "put": 200},
    "/api/follows": {"post": 204},
    "/api/messages/replies": {"post": 200},
    "/api/messages/reports": {"post": 204},
    "/api/payments/{provider}/notices": {"post": 200},
    "/api/ops/messages/dead": {"get": 200},
    "/api/ops/messages/resend": {"post": 200},
    "/api/queue/{event_id}/push/end": {"post": 204},
    "/api/ops/pictures": {"post": 201},
    "/api/ops/session": {"post": 201, "get": 200, "delete": 204},
    "/api/ops/sessions": {"get": 200, "delete": 204},
    "/api/ops/sessions/{session_id}": {"delete": 204},
    "/api/ops/password": {"put": 204},
    "/api/ops/operators": {"get": 200, "post": 204, "delete": 204},
    "/api/ops/operators/role": {"put": 204},
    "/api/ops/operators/password": {"put": 204},
    "/api/ops/operators/factors/reset": {"post": 204},
    "/api/ops/operators/log": {"get": 200},
    "/api/ops/tokens": {"get": 200, "post": 201},
    "/api/ops/tokens/{token_id}": {"delete": 204},
    "/api/ops/desk": {"get": 200},
    "/api/ops/rooms/{event_id}/fans/{user_id}": {"get": 200},
    "/api/ops/rooms/{event_id}/fans/{user_id}/hold": {"post": 202},
    "/api/ops/rooms/{event_id}/fans/{user_id}/messages": {"post": 204},
    "/api/ops/rooms/{event_id}/fans/{user_id}/pardon": {"post": 204},
    "/api/ops/rooms/{event_id}/fans/{user_id}/place": {"post": 200},
    "/api/ops/factors": {"get": 200},
    "/api/ops/authenticator": {"post": 201, "put": 200},
    "/api/ops/authenticator/removal": {"post": 204},
    "/api/ops/passkeys": {"post": 204},
    "/api/ops/passkeys/options": {"post": 200},
    "/api/ops/passkeys/{passkey_id}": {"delete": 204},
    "/api/ops/session/passkey": {"post": 201},
    "/api/ops/session/passkey/options": {"post": 200},
    "/api/ops/rooms": {"get": 200},
    "/api/ops/rooms/{event_id}": {"get": 200, "patch": 200},
    "/api/ops/rooms/{event_id}/history": {"get": 200},
    "/api/ops/rooms/{event_id}/log": {"get": 200},
    "/api/ops/rooms/{event_id}/steps": {"get": 200, "post": 201},
    "/api/ops/rooms/{event_id}/steps/{step_id}": {"delete": 204},
    "/api/ops/events/{event_id}/networks": {"get": 200},
    "/api/ops/lanes": {"get": 200, "put": 200},
    "/api/ops/lanes/moves": {"post": 200},
    "/api/ops/networks": {"get": 200, "post": 201},
    "/api/ops/shops": {"get": 200, "post": 201},
    "/api/ops/shops/{event_id}": {"get": 200, "put": 200},
    "/api/ops/shops/{event_id}/figures": {"post": 204},
    "/api/ops/shops/{event_id}/proxies": {"get": 200},
    "/api/ops/networks/{rule_id}": {"delete": 204},
    "/api/ops/rooms/{event_id}/codes": {"get": 200, "post": 201},
    "/api/ops/rooms/{event_id}/codes/{issue_id}": {"delete": 204},
    "/api/ops/events/{event_id}/payments": {"get": 200},
    "/api/ops/events/{event_id}/takings": {"get": 200},
    "/api/ops/events/{event_id}/takings.csv": {"get": 200},
    "/api/ops/events/{event_id}/allotments": {"get": 200, "post": 201},
    "/api/ops/events/{event_id}/allotments/{allotment_id}": {"delete": 204},
    "/api/ops/events/{event_id}/vouchers": {"get": 200, "post": 201},
    "/api/ops/events/{event_id}/vouchers/{issue_id}": {"delete": 204},
    "/api/ops/events/{event_id}/asks": {"put": 200},
    "/api/ops/events/{event_id}/orders": {"get": 200},
    "/api/ops/events/{event_id}/orders.csv": {"get": 200},
    "/api/ops/events/{event_id}/orders/{purchase_id}": {"get": 200, "patch": 204},
    "/api/ops/events/{event_id}/orders/{purchase_id}/tickets": {"post": 204},
    "/api/ops/events/{event_id}/orders/{purchase_id}/invoice.pdf": {"get": 200},
    "/api/ops/events/{event_id}/invoices.csv": {"get": 200},
    "/api/ops/events/{event_id}/seller": {"get": 200, "put": 200},
    "/api/ops/events/{event_id}/orders/{purchase_id}/cancel": {"post": 202},
    "/api/ops/events/{event_id}/gifts": {"post": 202},
    "/api/ops/stream": {"get": 200},
    "/api/ops/events": {"get": 200, "post": 201},
    "/api/ops/events/{event_id}": {"get": 200, "patch": 200},
    "/api/ops/events/{event_id}/seats": {"post": 200},
    "/api/ops/events/{event_id}/log": {"get": 200},
    "/api/ops/events/{event_id}/progress": {"get": 200},
    "/api/ops/gates": {"get": 200},
    "/api/ops/events/{event_id}/entries": {"get": 200, "post": 201},
    "/api/ops/events/{event_id}/entries/sync": {"post": 200},
    "/api/ops/events/{event_id}/entries/{entry_id}": {"delete": 204},
    "/api/ops/events/{event_id}/tickets": {"get": 200},
    "/api/ops/events/{event_id}/tickets/valid": {"get": 200},
    "/api/ops/rooms/{event_id}/entries": {"get": 200},
    "/api/ops/events/{event_id}/plan": {"get": 200, "put": 200, "delete": 204},
    "/api/ops/plans": {"post": 200},
    "/api/ops/alarms": {"get": 200},
    "/api/ops/alarms/rules": {"get": 200},
    "/api/ops/alarms/rules/{kind}": {"put": 200, "delete": 204},
    "/api/ops/alarms/rules/{kind}/events/{event_id}": {"put": 200, "delete": 204},
    "/api/ops/alarms/receivers": {"get": 200, "post": 201},
    "/api/ops/alarms/receivers/{receiver_id}": {"patch": 200, "delete": 204},
    "/api/ops/alarms/receivers/{receiver_id}/test": {"post": 204},
    "/api/ops/alarms/log": {"get": 200},
    "/api/ops/webhooks": {"get": 200, "post": 201},
    "/api/ops/webhooks/log": {"get": 200},
    "/api/ops/webhooks/{webhook_id}": {"get": 200, "patch": 200, "delete": 204},
    "/api/ops/webhooks/{webhook_id}/rotate": {"post": 200},
    "/api/ops/webhooks/{webhook_id}/deliveries": {"get": 200},
    "/api/ops/webhooks/{webhook_id}/resend": {"post": 200},
    "/health/live": {"get": 200},
    "/health/ready": {"get": 200},
    "/health/serving": {"get": 200},
}


@pytest.fixture(scope="module")
def document(site: Site) -> dict[str, Any]:
    answer = site.client().get("/schema/openapi.json")
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while (reference := schema.get("$ref")) is not None:
        schema = document["components"]["schemas"][reference.removeprefix("#/components/schemas/")]
    return schema


TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any, path: str = "$") -> list[str]:
    """Where ``value`` differs from its JSON Schema, of the words that our schemas use."""
    schema = resolved(document, schema)
    if not schema:
        return []
    for word in ("oneOf", "anyOf"):
        if word in schema:
            tried = [faults(document, option, value, path) for option in schema[word]]
            return [] if [] in tried else [f"{path}: fits no {word}: {tried}"]
    if "allOf" in schema:
        return [fault for option in schema["allOf"] for fault in faults(document, option, value, path)]
    if "const" in schema and value != schema["const"]:
        return [f"{path}: {value!r} is not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{path}: {value!r} is none of {schema['enum']}"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    is_kind = [isinstance(value, TYPES[kind]) and (kind == "boolean") == isinstance(value, bool) for kind in kinds]
    if kinds and not any(is_kind):
        return [f"{path}: {value!r} is no {kinds}"]
    found = []
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{path}.{name}: missing" for name in schema.get("required", []) if name not in value]
        if properties:
            found += [f"{path}.{name}: not in the schema" for name in value if name not in properties]
        for name, member in value.items():
            found += faults(document, properties.get(name, {}), member, f"{path}.{name}")
    if isinstance(value, list):
        firsts = schema.get("prefixItems", [])
        for index, member in enumerate(value):
            item = firsts[index] if index < len(firsts) else schema.get("items", {})
            if isinstance(item, dict):
                found += faults(document, item, member, f"{path}[{index}]")
    return found


def test_every_path_of_the_contract_is_described(document: dict[str, Any]) -> None:
    described = {
        path: {method for method in methods if method in ("get", "post", "put", "patch", "delete")}
        for path, methods in document["paths"].items()
    }
    for path, methods in CONTRACT.items():
        assert path in described, path
        assert described[path] == set(methods), path
        for method, status in methods.items():
            operation = document["paths"][path][method]
            assert str(status) in operation["responses"], (path, method)
            for name in re.findall(r"{(\w+)}", path):
                assert name in [parameter["name"] for parameter in operation["parameters"]], (path, method)
    assert document["info"]["title"] == "Admit One"
    apis = {path for path in described if path.startswith("/api/")}
    assert apis <= set(CONTRACT), "nothing is served that the contract does not know"


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if isinstance(operation, dict) and "operationId" in operation
    ]
    assert len(names) == len(set(names))


def test_parameters_and_bodies_are_described(document: dict[str, Any]) -> None:
    def parameters(path: str, method: str) -> set[str]:
        return {parameter["name"].lower() for parameter in document["paths"][path][method].get("parameters", [])}

    assert parameters("/api/reserve", "post") >= {"idempotency-key", "prefer"}
    assert parameters("/api/checkout", "put") >= {"idempotency-key", "prefer"}
    assert parameters("/api/reservations/{reservation_id}", "delete") >= {"idempotency-key", "prefer", "eventid"}
    assert parameters("/api/jobs/{job_id}", "get") >= {"wait"}
    assert parameters("/api/initial-call/{event_id}", "get") >= {"minversion"}
    assert parameters("/api/events/{event_id}/seats", "get") >= {"minversion"}
    assert parameters("/api/queue/{event_id}/stream", "get") >= {"token"}
    assert parameters("/api/events", "get") >= {"q", "from", "to", "venue", "cursor", "limit"}
    body = document["paths"]["/api/reserve"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    reserve = resolved(document, body)
    assert set(reserve["properties"]) == {"userId", "eventId", "seatDetails", "bestAvailable"}
    assert reserve["required"] == ["eventId"]
    body = document["paths"]["/api/checkout"]["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(resolved(document, body)["properties"]) == {
        "userId", "eventId", "seatDetails", "reservationId", "captchaToken", "recaptchaToken", "voucher",
    }  # fmt: skip


def test_a_jobs_result_is_described_by_its_kind(document: dict[str, Any]) -> None:
    def answer(path: str, method: str) -> dict[str, Any]:
        schema: dict[str, Any] = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]
        return resolved(document, schema["schema"])

    job = answer("/api/jobs/{job_id}", "get")
    of_kind = {
        kind: document["components"]["schemas"][reference.rpartition("/")[2]]
        for kind, reference in job["discriminator"]["mapping"].items()
    }
    assert job["discriminator"]["propertyName"] == "kind"
    assert set(of_kind) == {"reserve", "checkout", "release", "extend", "cancel", "take", "wait", "leave", "give"}
    for kind, path, method in (
        ("reserve", "/api/reserve", "post"),
        ("checkout", "/api/checkout", "put"),
        ("release", "/api/reservations/{reservation_id}", "delete"),
        ("cancel", "/api/purchases/{purchase_id}/cancel", "post"),
        ("take", "/api/tickets/take", "post"),
        ("wait", "/api/events/{event_id}/waiting-list", "post"),
        ("leave", "/api/events/{event_id}/waiting-list", "delete"),
    ):
        assert answer(path, method) == of_kind[kind]
        result = resolved(document, of_kind[kind]["properties"]["result"]["anyOf"][0])
        assert "version" in result["required"]


def test_streams_are_described_as_streams(document: dict[str, Any]) -> None:
    for path in ("/api/events/{event_id}/live", "/api/queue/{event_id}/stream", "/api/ops/stream"):
        assert "text/event-stream" in document["paths"][path]["get"]["responses"]["200"]["content"], path


def test_answers_are_as_described(site: Site, document: dict[str, Any]) -> None:
    def check(path: str, method: str, answer: Answer) -> None:
        response = document["paths"][path][method]["responses"][str(answer.status)]
        schema = response["content"]["application/json"]["schema"]
        assert schema, (path, method, "an empty schema says nothing")
        assert faults(document, schema, answer.json) == [], (path, method, answer.status)

    event_id = site.event()
    client, operator = site.client(), site.operator()
    check("/api/session", "post", client.post("/api/session"))
    check("/api/captcha", "get", client.get("/api/captcha"))
    fan = site.fan()
    check("/api/queue/{event_id}", "post", fan.join(event_id))
    check("/api/queue/{event_id}", "get", fan.poll(event_id))
    check("/api/queue/{event_id}/claim", "post", fan.claim(event_id))
    check("/api/reserve", "post", fan.reserve(event_id, [(1, 2, 2)], wait=0))
    held = fan.reserve(event_id, [(1, 1, 1)])
    check("/api/reserve", "post", held)
    failed = fan.reserve(event_id, [(1, 1, 1), (1, 1, 2)])
    assert failed.code == "seats_taken"
    check("/api/reserve", "post", failed)
    check("/api/jobs/{job_id}", "get", fan.job(held.json["jobId"]))
    check("/api/reservations", "get", fan.get(f"/api/reservations?eventId={event_id}"))
    check("/api/initial-call/{event_id}", "get", client.get(f"/api/initial-call/{event_id}"))
    check("/api/events/{event_id}/seats", "get", client.get(f"/api/events/{event_id}/seats"))
    check("/api/events", "get", client.get("/api/events"))
    bought = fan.checkout(event_id, held.result["reservationId"])
    check("/api/checkout", "put", bought)
    check("/api/purchases", "get", fan.get("/api/purchases"))
    purchase = fan.get(f"/api/purchases/{bought.result['purchaseId']}")
    check("/api/purchases/{purchase_id}", "get", purchase)
    links = fan.get(f"/api/purchases/{bought.result['purchaseId']}/hand-on")
    check("/api/purchases/{purchase_id}/hand-on", "get", links)
    taken = fan.post("/api/tickets/take", {"token": links.json["links"][0]["token"]}, Prefer="wait=10")
    check("/api/tickets/take", "post", taken)
    cancelled = fan.cancel(event_id, bought.result["purchaseId"])
    check("/api/purchases/{purchase_id}/cancel", "post", cancelled)
    check("/api/purchases/{purchase_id}", "get", fan.get(f"/api/purchases/{bought.result['purchaseId']}"))
    check("/api/ops/rooms", "get", operator.get("/api/ops/rooms"))
    check("/api/ops/rooms/{event_id}", "get", operator.get(f"/api/ops/rooms/{event_id}"))
    patched = operator.patch(f"/api/ops/rooms/{event_id}", {"capacity": 5})
    check("/api/ops/rooms/{event_id}", "patch", patched)
    check("/api/ops/rooms/{event_id}/log", "get", operator.get(f"/api/ops/rooms/{event_id}/log"))
    at = dt.datetime.now(dt.UTC) + dt.timedelta(days=9)
    step = {"at": at.isoformat(), "ratePerMinute": 200, "paused": False}
    scheduled = operator.post(f"/api/ops/rooms/{event_id}/steps", step)
    check("/api/ops/rooms/{event_id}/steps", "post", scheduled)
    check("/api/ops/rooms/{event_id}/steps", "get", operator.get(f"/api/ops/rooms/{event_id}/steps"))
    history = operator.get(f"/api/ops/rooms/{event_id}/history")
    check("/api/ops/rooms/{event_id}/history", "get", history)
    check("/health/ready", "get", client.get("/health/ready"))
    check("/health/serving", "get", client.get("/health/serving"))
    # The check itself can fail.
    schema = document["paths"]["/api/purchases/{purchase_id}"]["get"]["responses"]["200"]["content"]
    schema = schema["application/json"]["schema"]
    assert faults(document, schema, purchase.json | {"extra": 1})
    assert faults(document, schema, purchase.json | {"totalAmount": "much"})
    assert faults(document, schema, {"purchaseId": "x"})


def test_the_description_can_be_browsed(site: Site) -> None:
    answer = site.client().get("/schema")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    page = answer.content.decode()
    assert "Hold seats for ten minutes: those named, or the best available." in page
    # What a type is called leads to what it is.
    assert set(re.findall(r'href="#(\w+)"', page)) <= set(re.findall(r' id="(\w+)"', page))
    assert '<a href="#ReserveBody">' in page
    assert "`" not in page
