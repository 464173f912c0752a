"""Request ids, and logs as JSON: what befalls one request is found by its id, from the answer to the worker."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import psycopg
import pytest

from tests.acceptance.conftest import Site
from tests.client import Fan
from tests.services import Service

ENVIRON = {"ADMITONE_LOG_FORMAT": "json"}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def records(service: Service) -> list[dict[str, Any]]:
    """All that the process has logged, of which every line must be JSON."""
    return [json.loads(line) for line in service.text().splitlines()]


def error_of(service: Service, word: str) -> dict[str, Any]:
    """The one error whose exception says ``word``."""
    (found,) = [one for one in records(service) if one["level"] == "error" and word in one.get("exception", "")]
    return found


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "[0-9a-f]{32}"),
        ({"X-Request-ID": "checkout-2026.11_a"}, "checkout-2026[.]11_a"),
        ({"X-Request-ID": "short"}, "[0-9a-f]{32}"),
        ({"X-Request-ID": "x" * 65}, "[0-9a-f]{32}"),
        ({"X-Request-ID": 'so"me, thing'}, "[0-9a-f]{32}"),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
        ({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}, "(?!0{32})[0-9a-f]{32}"),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X-Request-ID": "the-proxys-own"}, "the-proxys-own"),
    ],
)
@pytest.mark.parametrize("path", ["/health/live", "/", "/api/no/such", "/api/queue/1", "/static/admit.css"])
def test_every_answer_says_its_requests_id(site: Site, path: str, sent: dict[str, str], said: str) -> None:
    answer = site.client().get(path, **sent)
    assert re.fullmatch(said, answer.headers["x-request-id"])


def test_two_requests_have_two_ids(site: Site) -> None:
    client = site.client()
    assert len({client.get("/health/live").headers["x-request-id"] for _ in range(20)}) == 20


def test_a_stream_says_its_id(site: Site) -> None:
    event_id = site.event()
    with site.client().stream(f"/api/events/{event_id}/live") as stream:
        assert re.fullmatch("[0-9a-f]{32}", stream.headers["x-request-id"])


def test_a_fault_is_found_by_the_id_of_its_answer(site: Site) -> None:
    fan = site.fan()
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE purchase RENAME TO purchase_away")
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(urllib.request.Request(site.url + "/api/purchases", headers=fan.headers))
        connection.execute("ALTER TABLE purchase_away RENAME TO purchase")
    answer = failed.value
    answer.close()
    assert answer.code == 500
    record = error_of(site.gateways[0], "UndefinedTable")
    assert record["message"] == "GET /api/purchases failed"
    assert record["request_id"] == answer.headers["x-request-id"]
    assert record["user_id"] == fan.user_id


def test_the_workers_fault_names_batch_command_and_fan(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE reservation RENAME TO reservation_away")
        answer = _reserve(fan, event_id)
        connection.execute("ALTER TABLE reservation_away RENAME TO reservation")
    assert answer["status"] == "failed", answer
    (worker,) = (service for service in site.services.started if service.name.startswith("worker"))
    (record,) = [one for one in records(worker) if one["level"] == "error" and one.get("command_id") == answer["jobId"]]
    assert (record["user_id"], record["lane"]) == (fan.user_id, event_id % 2)
    assert re.fullmatch("[0-9a-f-]{36}", record["batch_id"])


def _reserve(fan: Fan, event_id: int) -> dict[str, Any]:
    answer = fan.post(
        "/api/reserve",
        {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}},
        Prefer="wait=20",
    )
    found: dict[str, Any] = answer.json
    return found


def test_no_log_has_a_token(site: Site) -> None:
    """After all of the above, and a request whose id is a token."""
    fan = site.fan()
    token = fan.headers["Authorization"].removeprefix("Bearer ")
    answer = fan.get("/api/purchases", **{"X-Request-ID": token[:64]})
    assert answer.status == 200
    for service in site.services.started:
        assert records(service) is not None
        assert "eyJ" not in service.text()
