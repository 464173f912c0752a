"""A site below a path of its host, through a real nginx that passes the path on, and through one that cuts it off."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from html import unescape
from http.cookies import SimpleCookie
from urllib.parse import urljoin, urlsplit

import pytest
from icalendar import Calendar

from admitone.fan.seats import seat_details
from db.events.seed import RoomSeed
from db.operators.accounts import add_operator
from tests.client import Client, Fan
from tests.databases import Databases
from tests.factories import HALL, OPEN_DOOR, environ_of, make_event, plan_event
from tests.integration.deploy.test_nginx import Below, Proxy, shipped_proxy
from tests.services import Service, Services
from tests.waiting import await_that

ROOT = "/tickets"
OPERATOR, PASSWORD = "Ada", "correct horse battery staple"
POSTED = (
    *("/join", "/leave", "/claim", "/hold", "/buy", "/give-back", "/contact", "/follow"),
    *("/waiting-list", "/waiting-list/leave"),
    *("/sign-out", "/sign-in", "/links"),
)
"""What the addresses of forms that are posted end with."""
WAYS: tuple[Below, ...] = ("passed on", "cut")
_addresses = re.compile(r"""(?:href|src|action|data-[a-z-]+)="(/[^"]*)"|\burl=([^"]+)""").findall


@dataclass
class Site:
    """Gateway and worker of a site below ``ROOT``, and by each way the address through its proxy."""

    database_url: str
    gateway: Service
    urls: dict[Below, str]
    proxies: dict[Below, Proxy]


@pytest.fixture(scope="module")
def site(databases: Databases, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("below")
    with databases.one() as database_url, ExitStack() as opened:
        services = Services(
            environ_of(
                database_url, valkey_url, {"ADMITONE_PUBLIC_URL": f"{ROOT}/", "ADMITONE_TRUSTED_PROXIES": "127.0.0.1"}
            ),
            folder,
        )
        opened.callback(services.stop)
        services.worker()
        gateway = services.gateway()
        port = urlsplit(gateway.url).port or 0
        proxies = {}
        for way in WAYS:
            place = folder / way.replace(" ", "-")
            place.mkdir()
            proxies[way] = opened.enter_context(shipped_proxy("compose", place, [port], below=way))
        yield Site(database_url, gateway, {way: f"http://127.0.0.1:{proxies[way].port}{ROOT}" for way in WAYS}, proxies)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Below:
    found: Below = request.param
    return found


def _below(address: str) -> bool:
    return address == ROOT or address.startswith(f"{ROOT}/")


def test_every_address_of_every_page_is_below_the_path_and_found_there(site: Site, way: Below) -> None:
    lobby = RoomSeed(rate_per_minute=0, capacity=5, lobby_minutes=10)
    event_id = make_event(site.database_url, plan_event(room=lobby, hall=HALL, on_sale_in=dt.timedelta(hours=1)))
    proxy = site.proxies[way]
    fan = Fan.arrive(site.urls[way])
    buyer = make_event(site.database_url, plan_event(room=OPEN_DOOR, hall=HALL))
    fan.join(buyer)
    await_that(lambda: fan.poll(buyer).json["state"] == "admitted", seconds_max=20, what="the fan is let in")
    purchase_id = fan.buy(buyer, [(1, 1, 1)])["purchaseId"]
    cookie = f"admitone_session={fan.token}"
    ahead = [ROOT, f"{ROOT}/", f"{ROOT}/de/", f"{ROOT}/ops", f"{ROOT}/ops/events", f"{ROOT}/ops/webhooks",
             f"{ROOT}/ops/alarms", f"{ROOT}/ops/rooms/{event_id}/codes", f"{ROOT}/ops/events/{event_id}",
             f"{ROOT}/schema",
             f"{ROOT}/purchases/{purchase_id}", f"{ROOT}/fr/events/{event_id}", f"{ROOT}/nowhere"]  # fmt: skip
    seen: dict[str, str] = {}
    shapes: set[str] = set()
    while ahead:
        address = ahead.pop()
        plain = address.partition("#")[0]
        # A list's facets lead to one another in every combination: one address of each parameter stands for all.
        shape, *values = plain.split("=")
        if plain in seen or plain.endswith(POSTED) or len(values) > 1 or (values and shape in shapes):
            continue
        shapes.add(shape)
        assert len(seen) < 300, "the crawl does not end"
        status, headers, content = proxy.ask(plain, Cookie=cookie, Accept="text/html")
        if not plain.endswith("/draw") or str(event_id) in plain:  # Only this event has a lobby for certain.
            assert status == (404 if plain.endswith("/nowhere") else 303 if "/language/" in plain else 200), plain
        seen[plain] = headers.get("content-type", "")
        if status == 303:
            assert _below(headers["location"]), (plain, headers["location"])
            continue
        if not headers["content-type"].startswith("text/html"):
            continue
        for one, other in _addresses(content.decode()):
            found = unescape(one or other)
            assert _below(found), f"{plain} leads to {found}"
            # The page of an error is of no language but the reader's.
            if status == 200 or "/language/" not in found:
                ahead.append(found)
    kinds = {kind.partition(";")[0] for kind in seen.values()}
    assert {"text/html", "text/javascript", "text/css", "image/svg+xml", "text/calendar"} <= kinds
    assert {f"{ROOT}/events/{event_id}", f"{ROOT}/events/{event_id}/draw", f"{ROOT}/schema/openapi.json"} <= seen.keys()


def test_every_address_in_answers_is_below_the_path_and_found_there(site: Site, way: Below) -> None:
    event_id = make_event(site.database_url, plan_event(room=OPEN_DOOR, hall=HALL))
    url = site.urls[way]
    began = Client(url).post("/api/session")
    assert _cookie_paths(began.headers.get_all("Set-Cookie", [])) == {ROOT}
    fan = Fan.arrive(url)

    def follow(href: str) -> int:
        assert _below(href), href
        return Client.get(fan, href.removeprefix(ROOT)).status

    joined = fan.join(event_id)
    assert _cookie_paths(joined.headers.get_all("Set-Cookie", [])) == {ROOT}
    assert follow(joined.json["href"]) == 200
    with fan.stream(joined.json["streamHref"].removeprefix(ROOT)) as stream:
        stream.next()
    assert _below(joined.json["streamHref"])
    assert follow(Client(url).get("/api/captcha").json["challengeHref"]) == 200
    stranger = Fan.arrive(url)
    refused = stranger.post("/api/reserve", _reserve(event_id))
    assert refused.code == "not_admitted"
    assert _below(refused.problem["href"])
    taken = Client.post(fan, "/api/reserve", _reserve(event_id))
    assert taken.status == 202, taken.content
    assert taken.headers["Location"] == taken.json["href"]
    assert follow(taken.json["href"]) == 200
    document = Client(url).get("/schema/openapi.json").json
    assert [server["url"] for server in document["servers"]] == [ROOT]


def _reserve(event_id: int) -> dict[str, object]:
    return {"eventId": event_id, "seatDetails": seat_details([(1, 1, 1)])}


def _cookie_paths(lines: list[str]) -> set[str]:
    return {morsel["path"] for line in lines for morsel in SimpleCookie(line).values()}


def test_forms_redirects_and_calendars_lead_below_the_path(site: Site, way: Below) -> None:
    event_id = make_event(site.database_url, plan_event(room=RoomSeed(rate_per_minute=0, capacity=5), hall=HALL))
    proxy = site.proxies[way]
    fan = Fan.arrive(site.urls[way])
    cookie = f"admitone_session={fan.token}"
    form = {"Cookie": cookie, "Content_Type": "application/x-www-form-urlencoded"}
    status, headers, _ = proxy.ask(f"{ROOT}/de/events/{event_id}/join", method="POST", body=b"", **form)
    assert (status, headers["location"]) == (303, f"{ROOT}/de/events/{event_id}")
    status, headers, _ = proxy.ask(f"{ROOT}/events/{event_id}?x=1", Accept_Language="de", Cookie=cookie)
    assert (status, headers["location"]) == (302, f"{ROOT}/de/events/{event_id}?x=1")
    status, headers, _ = proxy.ask(f"{ROOT}/language/fr?to=/events/{event_id}")
    assert (status, headers["location"]) == (303, f"{ROOT}/fr/events/{event_id}")
    assert _cookie_paths([headers["set-cookie"]]) == {ROOT}
    _, _, content = proxy.ask(f"{ROOT}/de/events/{event_id}/sale.ics", Cookie=cookie)
    entry = Calendar.from_ical(content.decode()).walk("VEVENT")[0]
    assert urlsplit(str(entry["url"])).path == f"{ROOT}/de/events/{event_id}"
    add_operator(site.database_url, OPERATOR, PASSWORD)
    operator = Client(site.urls[way])
    signed = operator.post("/api/ops/session", {"name": OPERATOR, "password": PASSWORD})
    assert _cookie_paths(signed.headers.get_all("Set-Cookie", [])) == {ROOT}


def test_a_session_of_the_site_above_is_not_taken_for_ours(site: Site, way: Below) -> None:
    """Another site at the host's root has a cookie of the same name: a browser sends ours first, and then theirs."""
    url = site.urls[way]
    ours, theirs = Fan.arrive(url), Fan.arrive(url)
    event_id = make_event(site.database_url, plan_event(room=RoomSeed(rate_per_minute=0, capacity=5), hall=HALL))
    number = ours.join(event_id).json["ticketNumber"]
    theirs.join(event_id)
    both = f"admitone_session={ours.token}; admitone_session={theirs.token}"
    assert Client(url).get(f"/api/queue/{event_id}", cookie=both).json["ticketNumber"] == number
    assert Client(url).get(f"/api/queue/{event_id}", cookie=f"{both}; admitone_session=x").status == 200


@pytest.mark.parametrize(
    "path", ["/metrics", "//metrics", "/metrics/", "/%6detrics", "/tickets/metrics", "/de//metrics"]
)
def test_no_spelling_of_metrics_passes(site: Site, way: Below, path: str) -> None:
    assert site.proxies[way].ask(ROOT + path)[0] == 404


def test_a_gateway_keeps_its_figures_to_its_own_address(site: Site) -> None:
    own = Client(site.gateway.url)
    assert own.get("/metrics").status == 200
    for path in ("/tickets/metrics", "/tickets//metrics", "/tickets/metrics/", "/de//metrics", "/tickets/de//metrics"):
        assert own.get(path, accept="application/json").status == 404, path
    assert own.get("/tickets/health/live").status == 200
    assert own.get("/ticketsx", accept="application/json").status == 404


def test_the_proxy_answers_below_the_path_as_elsewhere(site: Site, way: Below) -> None:
    status, headers, content = site.proxies[way].ask(f"{ROOT}/api/reserve", method="POST", body=b"x" * 100_000)
    assert (status, headers["content-type"]) == (413, "application/problem+json")
    assert json.loads(content)["code"] == "body_too_large"
    status, headers, _ = site.proxies[way].ask(f"{ROOT}/api/ops/events/1/seats", method="POST", body=b"x" * 100_000)
    assert status == 401
    assert urljoin(site.urls[way], "/") not in str(headers)
