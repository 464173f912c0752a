"""A fan answers what an event asks, with scripts and without, and the office finds the order, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from db.events.seed import RoomSeed
from tests.browser.looks import violations
from tests.browser.test_fan_way import PASSWORD, Visit
from tests.factories import make_event, one_type, plan_event
from tests.services import Services

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def _answer(form: Locator) -> None:
    form.get_by_label("Your name").fill("Ada Lovelace")
    form.get_by_label("E-mail address").fill("ada@example.org")
    form.get_by_label(re.compile("row 1", re.IGNORECASE)).fill("Augusta King")
    form.get_by_label("How did you hear of us?").fill("From a friend")
    form.get_by_label("I agree to the terms of the organiser.").check()


@pytest.mark.long
def test_what_an_event_asks_is_answered_before_buying(services: Services, database_url: str, browser: Browser) -> None:
    hall = (one_type("General", rows=1, seats_per_row=6),)
    event_id = make_event(database_url, plan_event(hall=hall, room=RoomSeed(state="off")))
    gateway = services.gateway(ADMITONE_CAPTCHA="off")
    services.worker()
    added = services.run("operator", "add", "demo", "--password", PASSWORD)
    assert added.returncode == 0, added.stdout + added.stderr

    office = Visit.begin(browser, "desktop-light", (1280, 860), "light")
    desk = office.page
    desk.goto(f"{gateway.url}/ops/events/{event_id}/orders")
    desk.get_by_label("Name", exact=True).first.fill("demo")
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Sign in", exact=True).click()
    desk.get_by_label("Ask for name and e-mail address").check()
    desk.get_by_label("Ask for a name for each seat").check()
    desk.get_by_label("Questions, one a line").fill("How did you hear of us? *")
    desk.get_by_label("Terms that fans agree to").fill("No bottles.")
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.locator("#message")).to_contain_text("Saved.")
    expect(desk.locator("#terms-version")).to_contain_text("Version 1")

    fan = Visit.begin(browser, "phone-light", (390, 844), "light")
    page = fan.page
    page.goto(f"{gateway.url}/events/{event_id}")
    page.locator("#quick-count").select_option("1")
    page.locator("#quick-go").click()
    page.locator("#hold").click()
    page.locator("#buy").click()
    expect(page.get_by_label("Your name")).to_be_focused()
    _answer(page.locator("#answers"))
    assert violations(page) == []
    fan.photograph("orders-1-answers")
    page.locator("#buy").click()
    page.wait_for_url(re.compile("/purchases/"), timeout=30_000)
    expect(page.locator(".tickets-head")).to_contain_text("Ada Lovelace")
    expect(page.locator(".stub").first).to_contain_text("Augusta King")
    code = re.search("Order ([A-Z2-9]{8})", page.locator(".tickets-head").inner_text())
    assert code is not None
    fan.end()

    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(f"{gateway.url}/events/{event_id}")
    page.locator("[name=quantity]").select_option("1")
    page.get_by_role("button", name="Hold these seats for me").click()
    _answer(page.locator('form[action$="/buy"]'))
    page.get_by_role("button", name="Buy tickets").click()
    expect(page.locator(".tickets-head")).to_contain_text("Ada Lovelace")
    plain.close()

    desk.get_by_label("Find an order").fill(code[1])
    desk.get_by_role("button", name="Search").click()
    expect(desk.locator("#list li")).to_have_count(1)
    desk.get_by_role("button", name=f"Open order {code[1]}").click()
    expect(desk.locator("#order-seats")).to_contain_text("Augusta King")
    answer = desk.locator("#order-answers input")
    expect(answer).to_have_value("From a friend")
    answer.fill("From my mother")
    form = desk.locator("#act")
    form.get_by_label("Why").fill("married")
    form.get_by_label("Name").fill("Ada King")
    form.get_by_role("button", name="Save", exact=True).click()
    expect(desk.locator("#message")).to_have_text("Saved, and logged.")
    expect(desk.locator("#list")).to_contain_text("Ada King")
    expect(answer).to_have_value("From my mother")
    gift = desk.locator("#gift")
    gift.get_by_label("Name").fill("Grace Hopper")
    gift.get_by_label("E-mail address").fill("grace@example.org")
    gift.get_by_label("Row number").fill("1")
    gift.get_by_label("First seat number").fill("1")
    gift.get_by_role("button", name="Give the tickets").click()
    expect(desk.locator("#message")).to_have_text(re.compile("Given."))
    desk.get_by_label("Find an order").fill("hopper")
    desk.get_by_role("button", name="Search").click()
    expect(desk.locator("#list")).to_contain_text("complimentary, given by demo")
    assert violations(desk) == []
    office.photograph("orders-2-office")
    desk.goto(f"{gateway.url}/purchases/find")
    assert violations(desk) == []
    office.end()
