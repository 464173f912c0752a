"""A page's first visit: how many requests it makes, and how many bytes they bring."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Request

from db.events.seed import RoomSeed, seed_demo
from tests.browser.test_fan_way import PASSWORD
from tests.services import Services

pytestmark = pytest.mark.browser


# Each page, the scripts it loads, and the most bytes: its weight when each module was a request of its own.
PAGES = (
    ("/events/{event}", ["event/main.js", "times.js"], 42_740),
    ("/ops", ["vendor/uPlot.iife.min.js", "ops.js"], 61_258),
    ("/ops/events", ["programme.js"], 16_190),
    ("/ops/events/new", ["event-form/main.js"], 26_666),
    ("/ops/webhooks", ["webhooks.js"], 21_134),
    ("/ops/rooms/{event}/codes", ["codes.js"], 18_577),
)
REQUESTS_OF_THE_EVENT_PAGE = 6
QUIET_MS = 1500


@dataclass(frozen=True)
class Load:
    """The requests of a page until it was quiet, and the bytes of the answers' bodies as they came."""

    paths: list[str]
    bytes: int

    @property
    def scripts(self) -> list[str]:
        return [path.split("/", 3)[3] for path in self.paths if path.endswith(".js")]


def load(browser: Browser, origin: str, path: str) -> Load:
    """Visit a page with an empty cache; an operator's page signed in."""
    context = browser.new_context()
    if path.startswith("/ops"):
        assert context.request.post(f"{origin}/api/ops/session", data={"name": "demo", "password": PASSWORD}).ok
    page = context.new_page()
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    page.goto(origin + path)
    page.wait_for_timeout(QUIET_MS)
    bodies = sum(one.sizes()["responseBodySize"] for one in requests if one.resource_type != "eventsource")
    context.close()
    return Load([one.url.removeprefix(origin) for one in requests], bodies)


def test_every_page_loads_one_script_of_its_own_and_weighs_no_more_than_before(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50))
    gateway = services.gateway()
    assert services.run("operator", "add", "demo", "--password", PASSWORD).returncode == 0
    for path, scripts, bytes_max in PAGES:
        found = load(browser, gateway.url, path.format(event=event_id))
        assert found.scripts == scripts, path
        assert 0 < found.bytes <= bytes_max, f"{path} weighs {found.bytes} bytes"
        if path.startswith("/events"):
            assert len(found.paths) == REQUESTS_OF_THE_EVENT_PAGE, found.paths
