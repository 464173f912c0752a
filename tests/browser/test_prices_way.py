"""An operator sets a fee and a tax and issues vouchers, and a fan sees all of it before buying, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from db.events.seed import RoomSeed
from tests.browser.test_fan_way import PASSWORD, Visit
from tests.factories import make_event, one_type, plan_event
from tests.services import Services

pytestmark = pytest.mark.browser


@pytest.mark.long
def test_a_fan_sees_fee_tax_and_voucher_before_buying(services: Services, database_url: str, browser: Browser) -> None:
    hall = (one_type("General", rows=3, seats_per_row=4),)
    event_id = make_event(database_url, plan_event(hall=hall, room=RoomSeed(state="off")))
    gateway = services.gateway()
    services.worker()
    added = services.run("operator", "add", "demo", "--password", PASSWORD)
    assert added.returncode == 0, added.stdout + added.stderr

    office = Visit.begin(browser, "desktop-light", (1280, 860), "light")
    desk = office.page
    desk.goto(f"{gateway.url}/ops/events/{event_id}")
    desk.get_by_label("Name", exact=True).first.fill("demo")
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Sign in", exact=True).click()
    desk.get_by_text("Fees, tax, sale window, limit").click()
    desk.get_by_label("Booking fee a seat").fill("2.50")
    desk.get_by_label("VAT, %").fill("5")
    desk.get_by_role("button", name="Save changes").click()
    expect(desk.locator("#message")).to_contain_text("Saved.")
    expect(desk.locator('[data-f="taxBasisPoints"]')).to_have_value("5")
    desk.goto(f"{gateway.url}/ops/events/{event_id}/vouchers")
    desk.get_by_label("What for").fill("Students")
    desk.get_by_label("How many").fill("1")
    desk.get_by_label("Less by").fill("50")
    desk.get_by_role("button", name="Issue", exact=True).click()
    expect(desk.locator("#message")).to_have_text("Issued 1 voucher.")
    code = desk.locator("#issued-codes").input_value().strip()

    fan = Visit.begin(browser, "phone-light", (390, 844), "light")
    page = fan.page
    page.goto(f"{gateway.url}/events/{event_id}")
    expect(page.locator(".tickets li")).to_contain_text("incl. €2.50 booking fee · incl. 5% VAT")
    page.locator("#quick-count").select_option("1")
    page.locator("#quick-go").click()
    page.locator("#hold").click()
    expect(page.locator("#hold-total")).to_have_text("€51.50")
    expect(page.locator("#hold-parts div")).to_have_text(
        ["Tickets€49.00", "Booking fees€2.50", "VAT 5%, included€2.45"]
    )
    page.get_by_text("Got a voucher?").click()
    page.get_by_label("Voucher", exact=True).fill("NOT-THIS-ONE")
    page.get_by_role("button", name="Use the voucher").click()
    expect(page.locator("#voucher-error")).to_have_text("There is no such voucher here. Check it for typing errors.")
    page.get_by_label("Voucher", exact=True).fill(code.lower())
    page.get_by_role("button", name="Use the voucher").click()
    expect(page.locator("#hold-total")).to_have_text("€27.00")
    expect(page.locator("#hold-parts div")).to_contain_text(["Tickets€49.00", "-€24.50", "Booking fees€2.50", "€1.29"])
    fan.photograph("prices-1-voucher")
    expect(page.locator("#buy")).to_contain_text("€27.00")
    page.locator("#buy").click()
    page.wait_for_url(re.compile("/purchases/"), timeout=30_000)
    expect(page.locator(".tickets-head")).to_contain_text("€27.00")
    expect(page.locator(".tickets-head .parts div")).to_contain_text(["€49.00", "€24.50", "€2.50", "€1.29"])
    assert [fault for fault in fan.faults if "403" not in fault] == [], "the browser tells of the refusal by itself"
    fan.end()

    desk.reload()
    expect(desk.locator("#issues")).to_contain_text("1 voucher, 1 of 1 use taken")
    expect(desk.locator("#taken")).to_have_text("1 seat sold for €27.00, of which €1.29 is tax.")
    office.end()
