"""What a waiting fan reads of the connection: while packets are swallowed, while offline, and after a sleep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from db.events.seed import RoomSeed, seed_demo
from tests.browser.test_tabs_way import stage
from tests.browser.words import JOIN
from tests.faults.proxy import Proxy
from tests.services import Services

pytestmark = pytest.mark.browser

TWO_BEATS_MS = 21_000
SOON_MS = 5000
LIVE = re.compile("^Live$")
LOST = re.compile(r"^Reconnecting, last heard \d+ (seconds|minutes) ago$")
OFFLINE = "You are offline. Your place is kept."


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    yield context
    context.close()


def wait_in_line(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name=JOIN).click()
    stage(page, "waiting")
    expect(page.locator("#connection")).to_have_text(LIVE)
    return page


def test_a_page_that_hears_nothing_says_so_and_comes_back(
    services: Services, database_url: str, context: BrowserContext
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=0))
    gateway = services.gateway()
    with Proxy([("127.0.0.1", urlsplit(gateway.url).port or 0)]) as proxy:
        page = wait_in_line(context, f"{proxy.url}/events/{event_id}")
        connection, body = page.locator("#connection"), page.locator("body")
        proxy.silent = True
        expect(connection).to_have_text(LOST, timeout=TWO_BEATS_MS + SOON_MS)
        expect(body).to_have_class(re.compile("is-stale"))
        assert float(page.locator("#position").evaluate("element => getComputedStyle(element).opacity")) < 0.8
        proxy.silent = False
        expect(connection).to_have_text(LIVE, timeout=TWO_BEATS_MS + SOON_MS)
        expect(body).not_to_have_class(re.compile("is-stale"))


def test_a_page_that_goes_offline_says_so_at_once(
    services: Services, database_url: str, context: BrowserContext
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=0))
    page = wait_in_line(context, f"{services.gateway().url}/events/{event_id}")
    context.set_offline(True)
    # Far from the two beats after which a page would notice by itself, also on a slow machine.
    expect(page.locator("#connection")).to_have_text(OFFLINE, timeout=SOON_MS)
    context.set_offline(False)
    expect(page.locator("#connection")).to_have_text(LIVE)


def test_a_computer_that_slept_shows_no_old_place_as_live(
    services: Services, database_url: str, context: BrowserContext
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=0))
    with Proxy([("127.0.0.1", urlsplit(services.gateway().url).port or 0)]) as proxy:
        page = wait_in_line(context, f"{proxy.url}/events/{event_id}")
        proxy.silent = True
        # An hour has gone by, and no beat came: well before two beats by the clock that runs on.
        page.evaluate("() => { const now = Date.now; Date.now = () => now() + 3600_000; }")
        expect(page.locator("#connection")).to_have_text(LOST, timeout=SOON_MS)
        proxy.silent = False
        expect(page.locator("#connection")).to_have_text(LIVE, timeout=TWO_BEATS_MS + SOON_MS)
        stage(page, "waiting")


def test_a_purchase_made_offline_waits_and_goes_through_once(
    services: Services, database_url: str, context: BrowserContext
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=50))
    services.worker()
    page = context.new_page()
    page.goto(f"{services.gateway().url}/events/{event_id}")
    page.get_by_role("button", name=JOIN).click()
    page.locator("#map svg").wait_for()
    page.get_by_role("button", name="Find seats").click()
    page.locator("#hold").click()
    stage(page, "held")
    expect(page.locator("#person")).to_have_text("Security check passed")
    context.set_offline(True)
    page.locator("#buy").click()
    expect(page.locator("#message")).to_have_text("No connection. Your purchase is waiting and will go through once.")
    expect(page.locator("#message")).to_have_class(re.compile(r"\bwaiting\b"))
    expect(page.locator("#release")).to_be_disabled()
    context.set_offline(False)
    page.wait_for_url(re.compile("/purchases/"))
    expect(page.locator(".ticket")).to_have_count(2)
