"""An operator switches the waiting list on, and a fan gets a seat that comes back, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.test_fan_way import PASSWORD, Visit
from tests.client import Fan
from tests.factories import OFF, make_event, one_type, plan_event
from tests.services import Services

pytestmark = pytest.mark.browser


def test_a_seat_that_comes_back_is_offered_to_the_fan_who_waits(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = make_event(database_url, plan_event(hall=(one_type("Stalls", rows=1, seats_per_row=2),), room=OFF))
    services.worker()
    gateway = services.gateway(ADMITONE_CAPTCHA="off")
    added = services.run("operator", "add", "demo", "--password", PASSWORD)
    assert added.returncode == 0, added.stdout + added.stderr
    seller = Fan.arrive(gateway.url)
    held = seller.hold(event_id, [(1, 1, 1), (1, 1, 2)])
    bought = seller.checkout(event_id, held["reservationId"], captcha="").result["purchaseId"]

    office = Visit.begin(browser, "desktop-light", (1280, 860), "light")
    rules = office.page
    rules.goto(f"{gateway.url}/ops/rooms/{event_id}/waiting-list")
    rules.get_by_label("Name", exact=True).fill("demo")
    rules.get_by_label("Password").fill(PASSWORD)
    rules.get_by_role("button", name="Sign in", exact=True).click()
    rules.locator("[name=waitingList]").select_option("on")
    rules.get_by_role("button", name="Set", exact=True).click()
    expect(rules.locator("#message")).to_have_text("Set.")
    expect(rules.locator("#summary")).to_have_text("On · 0 waiting")

    visit = Visit.begin(browser, "phone-light", (390, 844), "light")
    page = visit.page
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_role("link", name="Waiting list for sold-out tickets").click()
    page.get_by_label("How many").select_option("1")
    page.get_by_role("button", name="Enter the list").click()
    expect(page.get_by_role("heading", name="You are next")).to_be_visible()
    visit.photograph("w0-waiting")
    assert seller.cancel(event_id, bought, [(1, 1, 2)]).result["refundAmount"]
    page.reload()
    expect(page.get_by_role("heading", name="Seats are kept for you")).to_be_visible()
    expect(page.locator("#offer-left")).to_contain_text(":")
    visit.photograph("w1-offered")
    page.get_by_role("link", name="Buy tickets").click()
    expect(page.locator("#hold-left")).to_contain_text(":")
    page.locator("#buy").click()
    page.wait_for_url("**/purchases/**")
    assert visit.faults == []

    rules.reload()
    expect(rules.locator("#types tr")).to_contain_text("Stalls")
    expect(rules.locator("#types td")).to_have_text(["0", "0", "0", "1", "0", "0", "0"])
