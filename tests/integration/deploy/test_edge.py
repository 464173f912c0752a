"""The edges that we ship, real ones before a real gateway: few requests reach it, none is shown another fan's page, and
what has changed is forgotten.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.edges import EDGES, edge, missing
from db.languages import LANGUAGE_TAGS
from db.operators.accounts import add_operator
from tests.client import Client, Fan
from tests.factories import OPEN_DOOR, make_event, plan_event
from tests.services import Service, Services, free_port
from tests.waiting import await_that

FOLDER = Path(__file__).parents[3] / "deploy"
HTML = {"Accept": "text/html"}
READS = 300


@pytest.fixture(params=list(EDGES))
def before(request: pytest.FixtureRequest, services: Services, tmp_path: Path) -> Iterator[tuple[str, Service, str]]:
    """An edge's name, the gateway, and the edge's address."""
    if why := missing(request.param):
        pytest.skip(why)
    port = free_port()
    told = {"ADMITONE_EDGE_PROVIDER": request.param, "ADMITONE_EDGE_URLS": f"http://127.0.0.1:{port}"}
    gateway = services.gateway(**told, ADMITONE_EDGE_QUIET_SECONDS="600")
    if request.param == "varnish":
        services.worker(**told)
    with edge(request.param, ("127.0.0.1", int(gateway.url.rpartition(":")[2])), port, tmp_path / "edge"):
        yield request.param, gateway, f"http://127.0.0.1:{port}"


def reached(gateway: Service, route: str) -> int:
    """How many reads of a route have reached the gateway."""
    figures = Client(gateway.url).get("/metrics").content.decode()
    pattern = r'^admitone_http_requests_total\{method="GET",route="([^"]+)",status="\d+"\} (\d+)'
    return sum(int(number) for found, number in re.findall(pattern, figures, re.MULTILINE) if found == route)


def test_an_edge_asks_the_gateway_twice_a_second_and_shows_nobody_anothers_page(
    before: tuple[str, Service, str], database_url: str
) -> None:
    name, gateway, url = before
    event_id = make_event(database_url, plan_event(room=OPEN_DOOR))
    reader = Client(url)
    for path, route in (
        (f"/de/events/{event_id}", "/events/{event_id}"),
        (f"/api/initial-call/{event_id}", "/api/initial-call/{event_id}"),
    ):
        asked_before, began = reached(gateway, route), time.monotonic()
        for _ in range(READS):
            assert "Set-Cookie" not in reader.get(path, **HTML).headers
        asked = reached(gateway, route) - asked_before
        assert 1 <= asked <= 2 * (time.monotonic() - began) + 2, (path, asked)

    fan = Fan.arrive(gateway.url)
    fan.join(event_id)
    browser = Client(url)
    browser.headers["Cookie"] = f"one=1; admitone_session={fan.token}; two=2"
    own = browser.get(f"/events/{event_id}", **HTML)
    assert b'"own": true' in own.content
    assert own.headers["Cache-Control"] == "no-store"
    for _ in range(3):
        assert b'"own": false' in Client(url).get(f"/events/{event_id}", **HTML).content

    for said, sent_to in (("de-AT,de;q=0.9", "de"), ("pt, FR;q=0.7, en", "fr"), ("en-GB", None), ("xx", None)):
        answer = Client(url).get(f"/events/{event_id}", Accept_Language=said, **HTML)
        assert answer.headers["Location"] == (f"/{sent_to}/events/{event_id}" if sent_to else None), said
    chose = Client(url)
    chose.headers["Cookie"] = "admitone_language=ja"
    assert chose.get("/", Accept_Language="de", **HTML).headers["Location"] == "/ja/"

    tag = reader.get(f"/de/events/{event_id}", **HTML).headers["ETag"]
    known = await_that(lambda: reader.get(f"/de/events/{event_id}", If_None_Match=tag).status == 304)
    assert known
    if name == "varnish":
        is_forgotten_when_told(url, database_url, gateway)


def is_forgotten_when_told(url: str, database_url: str, gateway: Service) -> None:
    """What is kept for ten minutes shows an operator's change as soon as the worker has told the edge."""
    coming = make_event(database_url, plan_event(on_sale_in=dt.timedelta(hours=9)))
    page = f"/events/{coming}"
    assert "600" in Client(gateway.url).get(page, **HTML).headers["Cache-Control"]
    assert b"Doors at seven" not in Client(url).get(page, **HTML).content
    assert Client(url).get(page, **HTML).headers["X-Cache"] == "hit"
    add_operator(database_url, "Ada", "correct horse battery staple")
    operator = Client(gateway.url)
    token = operator.post("/api/ops/session", {"name": "Ada", "password": "correct horse battery staple"}).json["token"]
    operator.headers["Authorization"] = f"Bearer {token}"
    changed = operator.call("PATCH", f"/api/ops/events/{coming}", {"notice": "Doors at seven"})
    assert changed.status == 200, changed.content
    await_that(lambda: b"Doors at seven" in Client(url).get(page, **HTML).content)


def test_the_edges_know_every_language() -> None:
    tags = "|".join(sorted(LANGUAGE_TAGS))
    for path, lists in (("varnish/edge.vcl", 5), ("nginx/edge_http.conf", 2), ("nginx/edge_server.conf", 1)):
        found = re.findall(r"\b[a-z]{2}(?:\|[a-z]{2})+\b", (FOLDER / path).read_text())
        assert found == [tags] * lists, path
