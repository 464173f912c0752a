"""`/metrics`, read as Prometheus reads it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from db.settings import DatabaseSettings
from tests.acceptance.conftest import Site
from tests.client import Client
from tests.promql import PROMETHEUS_OWN, asked, selectors
from tests.services import await_ready, free_port
from tests.waiting import await_that

SUFFIXES = {"counter": {"_total"}, "histogram": {"_bucket", "_sum", "_count"}}
DOCUMENT = Path(__file__).parents[2] / "docs" / "observability.md"


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
    assert value(after, "admitone_problems_total", code="not_found") == (
        value(before, "admitone_problems_total", code="not_found") + 1
    )
    assert value(after, "admitone_holds", state="live") == value(before, "admitone_holds", state="live") + 1
    assert value(after, "admitone_ready") == 1
    assert value(after, "admitone_part_up", part="postgres") == 1
    # Each of a pool's workers starts for itself.
    queues = ("lane-0", "lane-1", "housekeeping")
    await_that(lambda: [value(scrape(site), "admitone_queue_workers", queue=queue) for queue in queues] == [1] * 3)
    assert 0 <= value(after, "admitone_cron_beat_age_seconds") < 60
    assert value(after, "admitone_event_loop_lag_seconds_bucket", le="+Inf") > 0
    assert value(after, "admitone_postgres_connections_max", pool="reader") == DatabaseSettings().reader_pool_max
    for kind in ("queues", "rooms", "backlog"):
        assert value(after, "admitone_scrape_read", kind=kind) == 1


@pytest.fixture(scope="module")
def families(site: Site) -> dict[str, Metric]:
    """Every family of a site that has sold something and refused something, by its name."""
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    fan.hold(event_id, [(1, 1, 1)])
    fan.get("/api/nothing/here")
    deadline = time.monotonic() + 20
    while True:
        text = site.client().get("/metrics").content.decode()
        found = {family.name: family for family in text_string_to_metric_families(text)}
        if found["admitone_commands"].samples and "admitone_cron_beat_age_seconds" in found:
            return found
        assert time.monotonic() < deadline, text
        time.sleep(0.2)


def test_names_follow_the_conventions(families: dict[str, Metric]) -> None:
    """https://prometheus.io/docs/practices/naming/"""
    for name, family in families.items():
        assert re.fullmatch("(admitone|process)(_[a-z]+)+", name), name
        assert family.documentation.endswith("."), name
        suffixes = {sample.name.removeprefix(name) for sample in family.samples}
        assert suffixes <= SUFFIXES.get(family.type, {""}), name
        for unit in ("ms", "milliseconds", "minutes", "kilobytes", "percent"):
            assert not name.endswith(f"_{unit}"), name


def test_no_metric_has_more_series_than_a_site_has_parts(families: dict[str, Metric]) -> None:
    labels = {label for family in families.values() for sample in family.samples for label in sample.labels}
    assert labels <= {
        *("method", "route", "status", "le", "code", "reason"),
        *("lane", "queue", "kind", "outcome", "state", "event_id"),
        *("part", "pool", "version", "python"),
    }


@pytest.mark.parametrize("where", sorted(asked()))
def test_the_dashboard_and_the_alerts_ask_for_what_there_is(families: dict[str, Metric], where: str) -> None:
    samples = {name + suffix: family for name, family in families.items() for suffix in SUFFIXES.get(family.type, {""})}
    for selector in selectors(asked()[where]):
        if selector.name in PROMETHEUS_OWN:
            continue
        assert selector.name in samples, where
        labels = {label for sample in samples[selector.name].samples for label in sample.labels}
        # A rate that cannot be told yet has no series.
        for matcher in selector.matchers.matchers if labels else ():
            assert matcher.name in labels | PROMETHEUS_OWN, (where, matcher.name)


OF_OTHER_SITES = {
    *("admitone_replica_lag_seconds", "admitone_replica_fresh", "admitone_old_reads_total"),
    *("admitone_search_index_up", "admitone_search_index_searches_total"),
    *("admitone_search_index_waiting_events", "admitone_search_index_lag_seconds"),
}


def test_the_documents_table_is_what_is_told(families: dict[str, Metric]) -> None:
    documented = dict(re.findall(r"^\| `(admitone_\w+)(?:\{[^`]*\})?` \| (\w+) \|", DOCUMENT.read_text(), re.MULTILINE))
    told = {
        name + ("_total" if family.type == "counter" else ""): family.type
        for name, family in families.items()
        if name.startswith("admitone_")
    }
    # This site has no replica and no index.
    assert {name: kind for name, kind in documented.items() if name not in OF_OTHER_SITES} == told


def test_no_label_is_the_clients_to_choose(site: Site) -> None:
    for number in range(50):
        site.client().get(f"/no/such/path/{number}")
    routes = {labels for name, labels in scrape(site) if name == "admitone_http_requests_total"}
    assert not [labels for labels in routes if any("such" in text for _, text in labels)]


TOKEN = "a-scrape-of-the-tests-9f3c"
SECRET = "a secret of the tests that is random enough 8f1c4e7b"


@pytest.mark.parametrize(
    ("token_set", "shown", "status"),
    [
        (True, "", 401),
        (True, "Bearer another", 401),
        (True, f"Basic {TOKEN}", 401),
        (True, f"Bearer {TOKEN}", 200),
        (True, f"bearer  {TOKEN}", 200),
        (False, "", 401),
        (False, "Bearer ", 401),
    ],
)
def test_in_production_only_a_scrape_with_the_token_reads_the_figures(
    production: dict[bool, str], token_set: bool, shown: str, status: int
) -> None:
    answer = Client(production[token_set]).call("GET", "/metrics", headers={"Authorization": shown})
    assert answer.status == status
    if status == 401:
        assert answer.code == "unauthenticated"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.fixture(scope="module")
def production(site: Site) -> dict[bool, str]:
    """The addresses of two gateways as in production: by whether a token is set."""
    gateways = {}
    for token in ("", TOKEN):
        port = free_port()
        gateways[bool(token)] = site.services.start(
            "gateway",
            "--port",
            str(port),
            url=f"http://127.0.0.1:{port}",
            ADMITONE_ENV="production",
            ADMITONE_SECRET=SECRET,
            ADMITONE_METRICS_TOKEN=token,
        )
    for gateway in gateways.values():
        await_ready(gateway)
    return {is_set: gateway.url for is_set, gateway in gateways.items()}
