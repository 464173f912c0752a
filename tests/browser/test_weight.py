"""A page's first visit: how many requests it makes, and how many bytes they bring."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Request

from db.events.seed import RoomSeed, seed_demo
from db.rooms.states import RoomState
from tests.browser.test_fan_way import PASSWORD
from tests.services import ROOT, Services

pytestmark = pytest.mark.browser


# Each page, the scripts it loads, and the most bytes that its first visit may bring.
PAGES = (
    ("/events/{event}", ["event/main.js"], 50_000),
    ("/account", ["times.js", "fan-account.js"], 17_000),
    ("/ops", ["vendor/uPlot.iife.min.js", "ops.js"], 58_000),
    ("/ops/events", ["programme.js"], 17_000),
    ("/ops/events/new", ["event-form/main.js"], 31_000),
    ("/ops/webhooks", ["webhooks.js"], 19_000),
    ("/ops/alarms", ["alarms.js"], 24_000),
    ("/ops/rooms/{event}/codes", ["codes.js"], 20_500),
    ("/ops/rooms/{event}/waiting-list", ["waiting-rules.js"], 19_500),
    ("/ops/events/{event}/allotments", ["allotments.js"], 19_500),
    ("/ops/events/{event}/vouchers", ["vouchers.js"], 22_000),
    ("/ops/events/{event}/orders", ["orders.js"], 22_000),
    ("/ops/account", ["account.js"], 19_600),
    ("/ops/desk", ["desk.js"], 19_000),
    ("/ops/networks", ["networks.js"], 21_000),
    ("/ops/lanes", ["lanes.js"], 19_500),
    ("/ops/operators", ["operators.js"], 19_500),
    ("/ops/shops", ["shops.js"], 18_000),
    ("/scan", ["scan.js"], 24_000),
)
REQUESTS_OF_THE_EVENT_PAGE = 5
CHOOSING_BYTES_MAX = 62_000
"""With the map, whose script only fans load who may choose, and the seats of a hall of two sections; in the language
whose texts are longest."""
CHOOSING_REQUESTS = 10
QUIET_SECONDS = 1.0


@dataclass(frozen=True)
class Load:
    """The requests of a page until it was quiet, and the bytes of the answers' bodies as they came."""

    paths: list[str]
    bytes: int

    @property
    def scripts(self) -> list[str]:
        return [path.split("/", 3)[3] for path in self.paths if path.endswith(".js")]


def weights_markdown() -> str:
    """The bounds above as the table of docs/performance.md."""
    names = {
        "/events/{event}": "event page, from the line to the checkout",
        "/account": "account of a fan",
        "/ops": "console",
        "/ops/events": "console: list of events",
        "/ops/events/new": "console: form of an event",
        "/ops/webhooks": "console: webhooks",
        "/ops/alarms": "console: alarms",
        "/ops/rooms/{event}/codes": "console: access codes",
        "/ops/rooms/{event}/waiting-list": "console: waiting list",
        "/ops/events/{event}/allotments": "console: allotments",
        "/ops/events/{event}/vouchers": "console: vouchers and takings",
        "/ops/events/{event}/orders": "console: orders",
        "/ops/account": "console: account",
        "/ops/desk": "console: desk",
        "/ops/networks": "console: networks",
        "/ops/lanes": "console: lanes",
        "/ops/operators": "console: operators",
        "/ops/shops": "console: shops",
        "/scan": "check-in, without a camera",
    }
    rows = [(names[path], bytes_max) for path, _, bytes_max in PAGES]
    rows.insert(1, ("event page of a fan who may choose at once, with the map and 150 seats", CHOOSING_BYTES_MAX))
    lines = [f"| {name} | {bytes_max:,} |" for name, bytes_max in rows]
    return "\n".join(["| first visit to | bytes at most |", "|---|---:|", *lines]) + "\n"


def test_the_documentation_tells_the_same_bounds() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert weights_markdown() in page, "put what weights_markdown gives into docs/performance.md"
    requests = f"at most {REQUESTS_OF_THE_EVENT_PAGE} requests, and {CHOOSING_REQUESTS} with the map"
    assert requests in " ".join(page.split())


def load(browser: Browser, origin: str, path: str) -> Load:
    """Visit a page with an empty cache; an operator's page signed in."""
    context = browser.new_context()
    if path.startswith("/ops"):
        assert context.request.post(f"{origin}/api/ops/session", data={"name": "demo", "password": PASSWORD}).ok
    page = context.new_page()
    requests: list[Request] = []
    changed_at = [time.monotonic()]
    open_now: set[Request] = set()

    def begun(request: Request) -> None:
        requests.append(request)
        if request.resource_type != "eventsource":
            open_now.add(request)
        changed_at[0] = time.monotonic()

    def ended(request: Request) -> None:
        open_now.discard(request)
        changed_at[0] = time.monotonic()

    page.on("request", begun)
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    page.goto(origin + path)
    while open_now or time.monotonic() - changed_at[0] < QUIET_SECONDS:
        page.wait_for_timeout(100)
    bodies = sum(one.sizes()["responseBodySize"] for one in requests if one.resource_type != "eventsource")
    context.close()
    return Load([one.url.removeprefix(origin) for one in requests], bodies)


def test_every_page_loads_one_script_of_its_own_and_keeps_its_bound(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50))
    gateway = services.gateway()
    assert services.run("operator", "add", "demo", "--password", PASSWORD).returncode == 0
    too_heavy = []
    for path, scripts, bytes_max in PAGES:
        found = load(browser, gateway.url, path.format(event=event_id))
        assert found.scripts == scripts, path
        print(path, found.bytes, len(found.paths))
        if not 0 < found.bytes <= bytes_max:
            too_heavy.append(f"{path} weighs {found.bytes} bytes")
        if path.startswith("/events"):
            assert len(found.paths) <= REQUESTS_OF_THE_EVENT_PAGE, found.paths
    assert too_heavy == []


def test_the_map_is_loaded_by_fans_who_may_choose(services: Services, database_url: str, browser: Browser) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(state=RoomState.OFF))
    gateway = services.gateway()
    found = load(browser, gateway.url, f"/ar/events/{event_id}")
    assert sorted(found.scripts) == ["event/main.ar.js", "plan/main.ar.js"]
    print("choosing", found.bytes, found.paths)
    assert 0 < found.bytes <= CHOOSING_BYTES_MAX, f"it weighs {found.bytes} bytes"
    assert len(found.paths) <= CHOOSING_REQUESTS, found.paths
