"""A fan's way below a path of a host, through a real nginx: from the list of events to the ticket, and the console."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Request, expect

from db.events.seed import RoomSeed, seed_demo
from tests.integration.deploy.test_nginx import shipped_proxy
from tests.services import Services

pytestmark = pytest.mark.browser

ROOT = "/tickets"
PASSWORD = "correct horse battery staple"


@pytest.mark.long
def test_a_fan_gets_to_a_ticket_below_a_path_in_german(
    services: Services, database_url: str, browser: Browser, tmp_path: Path
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50))
    services.worker()
    gateway = services.gateway(ADMITONE_PUBLIC_URL=ROOT, ADMITONE_TRUSTED_PROXIES="127.0.0.1")
    assert services.run("operator", "add", "demo", "--password", PASSWORD).returncode == 0
    with shipped_proxy("compose", tmp_path, [urlsplit(gateway.url).port or 0], below="cut") as proxy:
        url = f"http://127.0.0.1:{proxy.port}{ROOT}"
        context = browser.new_context(locale="en-GB")
        asked: list[Request] = []
        faults: list[str] = []
        context.on("request", lambda request: asked.append(request))
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)

        page.goto(f"{url}/")
        page.get_by_role("link", name="Deutsch").click()
        expect(page).to_have_url(f"{url}/de/")
        page.locator(f'a[href="{ROOT}/de/events/{event_id}"]').click()
        page.locator("[data-join] button").first.click()
        expect(page.locator("#position")).to_have_text("1")
        expect(page.locator("#rate")).not_to_have_text("–")
        page.locator("[data-alert]:visible").click()
        scope = page.evaluate("navigator.serviceWorker.ready.then((worker) => worker.scope)")
        assert scope == f"{url}/"

        console = context.new_page()
        console.goto(f"{url}/ops#{event_id}")
        console.get_by_label("Name").fill("demo")
        console.get_by_label("Password").fill(PASSWORD)
        console.get_by_role("button", name="Sign in", exact=True).click()
        console.get_by_label("Rate a minute").fill("6000")
        console.get_by_role("button", name="Apply").click()
        console.get_by_role("link", name="Event", exact=True).click()
        expect(console).to_have_url(f"{url}/ops/events/{event_id}")
        expect(console.locator("#view")).to_be_visible()

        page.bring_to_front()
        page.locator("#map svg").wait_for(timeout=30_000)
        page.locator("[role=option][tabindex='0']").press("Enter")
        page.locator("#hold").click()
        expect(page.locator("#hold-seats li")).to_have_count(1)
        page.locator("#buy").click()
        page.wait_for_url(re.compile(f"{ROOT}/de/purchases/"))
        expect(page.locator(".ticket svg.qr")).to_have_count(1)
        page.locator(".bar-links a").first.click()
        expect(page).to_have_url(f"{url}/de/purchases")
        expect(page.locator(".event-row")).to_have_count(1)

        _assert_all_below(asked, context.cookies(), page.evaluate("Object.keys(localStorage)"))
        assert [fault for fault in faults if "401" not in fault] == []
        context.close()


def _assert_all_below(asked: list[Request], cookies: list[Any], kept: list[str]) -> None:
    """Every request, cookie and kept name is of the site below the path alone."""
    paths = {urlsplit(request.url).path for request in asked if request.url.startswith("http")}
    assert {path for path in paths if not path.startswith(f"{ROOT}/")} == set()
    assert f"{ROOT}/api/reserve" in paths
    assert {cookie["path"] for cookie in cookies} == {ROOT}
    assert {name for name in kept if not name.startswith(f"admitone{ROOT}:")} == set()
