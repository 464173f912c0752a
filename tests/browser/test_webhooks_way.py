"""The operators' webhooks in a real browser: added, its secret shown once, its deliveries seen, removed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from db.events.seed import RoomSeed, seed_demo
from db.operators.accounts import add_operator
from tests.services import ROOT, Services

pytestmark = pytest.mark.browser

ARTEFACTS = ROOT / "artefacts"
PASSWORD = "correct horse battery staple"


def keep(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"webhooks-{name}.png", full_page=True)


@pytest.mark.long
def test_webhooks_are_kept_at_the_page(browser: Browser, database_url: str, services: Services) -> None:
    event_id = seed_demo(database_url, room=RoomSeed())
    add_operator(database_url, "Ada", PASSWORD)
    services.worker(ADMITONE_WEBHOOK_ATTEMPTS_MAX="1")
    gateway = services.gateway()
    page = browser.new_context(viewport={"width": 1100, "height": 900}, locale="en-GB").new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(gateway.url + "/ops/webhooks")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("No webhook yet")).to_be_visible()

    page.get_by_role("button", name="Add a webhook").click()
    expect(page.get_by_label("Address")).to_be_focused()
    page.keyboard.type(f"{gateway.url}/no-such-page")
    page.get_by_label("Purchase made").uncheck()
    page.get_by_label("Description").fill("The shop's stock")
    keep(page, "form")
    page.get_by_role("button", name="Add", exact=True).click()
    secret = page.get_by_label("Secret")
    expect(secret).to_have_value(re.compile("^whsec_"))
    first = secret.input_value()
    card = page.locator(".webhook")
    expect(card).to_contain_text("Enabled")
    expect(card).not_to_contain_text("purchase.made")
    keep(page, "secret")
    page.get_by_role("button", name="I have it").click()
    expect(secret).to_be_hidden()
    assert first not in page.content()

    # Nobody takes a POST there, so that it is given up at once.
    paused = page.request.patch(f"{gateway.url}/api/ops/rooms/{event_id}", data={"paused": True})
    assert paused.status == 200, paused.text()
    card.get_by_text("Latest deliveries").click()
    expect(card.locator("tbody")).to_contain_text("room.paused")
    expect(card.locator("tbody")).to_contain_text("given up after first attempt: it answered 40")
    expect(card).to_contain_text("Every attempt has failed since")
    keep(page, "failing")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out on a phone"
    keep(page, "phone")
    card.get_by_role("button", name="Send given up again").click()
    card.get_by_role("button", name="Disable").click()
    expect(card.get_by_role("button", name="Enable")).to_be_visible()

    page.on("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name="New secret").click()
    expect(secret).to_have_value(re.compile("^whsec_"))
    assert secret.input_value() != first
    page.get_by_text("Who changed what").click()
    expect(page.locator("#log-lines")).to_contain_text("Ada, webhook 1: secret replaced")
    card.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No webhook yet")).to_be_visible()
    page.get_by_role("link", name="Rooms").click()
    expect(page.locator("#operator")).to_have_text("Ada")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nor of the console's three links"
    keep(page, "console-on-a-phone")
    page.get_by_role("link", name="Webhooks").click()
    expect(page.get_by_text("No webhook yet")).to_be_visible()
    assert faults == []
