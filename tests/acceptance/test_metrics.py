"""`/metrics`, read as Prometheus reads it."""

from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.conftest import Site


def scrape(site: Site) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = site.client().get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def value(samples: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def test_a_booking_is_counted_where_it_passes(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    before = scrape(site)
    reserved = fan.post(
        "/api/reserve",
        {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 2}},
        Prefer="wait=10",
    )
    assert reserved.json["status"] == "succeeded", reserved.json
    fan.get("/api/nothing/here")
    deadline = time.monotonic() + 5
    while True:
        after = scrape(site)
        commands = sum(
            number - before.get(key, 0.0)
            for key, number in after.items()
            if key[0] == "admitone_commands_total" and {("kind", "reserve"), ("outcome", "succeeded")} <= key[1]
        )
        if commands or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert commands == 1
    requests = "admitone_http_requests_total"
    counted = {"method": "POST", "route": "/api/reserve", "status": "200"}
    assert value(after, requests, **counted) == value(before, requests, **counted) + 1
    unmatched = {"method": "", "route": "unmatched", "status": "404"}
    assert value(after, requests, **unmatched) == value(before, requests, **unmatched) + 1
    durations = "admitone_http_request_duration_seconds"
    slow = value(after, f"{durations}_bucket", route="/api/reserve", le="+Inf")
    assert slow == value(after, f"{durations}_count", route="/api/reserve") > 0
    event = str(event_id)
    assert value(after, "admitone_seats", event_id=event, status="held") == 2
    assert value(after, "admitone_room_state", event_id=event, state="open") == 1
    assert value(after, "admitone_room_fans", event_id=event, state="admitted") >= 1
    assert value(after, "process_resident_memory_bytes") > 0


def test_no_label_is_the_clients_to_choose(site: Site) -> None:
    for number in range(50):
        site.client().get(f"/no/such/path/{number}")
    routes = {labels for name, labels in scrape(site) if name == "admitone_http_requests_total"}
    assert not [labels for labels in routes if any("such" in text for _, text in labels)]
