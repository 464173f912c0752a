"""The mailbox of a development site shows a mail as its reader sees it, in a frame that our policy lets in."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from db.events.seed import seed_demo
from tests.browser.test_tabs_way import WIDE
from tests.client import Fan
from tests.services import Services

pytestmark = pytest.mark.browser

SENT_MS_MAX = 30_000


@pytest.mark.long
def test_tickets_that_were_sent_are_seen(services: Services, database_url: str, browser: Browser) -> None:
    event_id = seed_demo(database_url, room=WIDE)
    services.worker()
    gateway = services.gateway()
    fan = Fan.arrive(gateway.url)
    fan.headers["X-Admission-Pass"] = fan.join(event_id).json["pass"]
    fan.buy(event_id, [(1, 1, 1)])
    assert fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": "ada@example.org"}).status == 200
    page = browser.new_page(locale="en-GB")
    sent = page.locator("a.event-row")
    page.goto(f"{gateway.url}/dev/mailbox")
    for _ in range(SENT_MS_MAX // 500):
        if sent.count():
            break
        page.wait_for_timeout(500)
        page.reload()
    sent.click()
    mail = page.frame_locator("iframe.mail")
    expect(mail.get_by_role("heading").first).to_contain_text("Your ticket")
    code = mail.locator("img").first
    expect(code).to_be_visible()
    assert code.evaluate("image => image.naturalWidth") > 0, "the code is an image in the mail"
    box = page.locator("iframe.mail").bounding_box()
    assert box is not None
    assert box["width"] > 600, "as wide as the page"
    page.close()
