"""The whole way of a ticket, as `make up` shows it: paid, shown, scanned, given back, offered to the next in line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from admitone.settings import Settings
from admitone.up import paid_event
from db.audit.invariants import audit
from tests.browser.chromium import program
from tests.browser.test_cancelling_way import fits
from tests.browser.test_fan_way import PASSWORD, Visit
from tests.browser.test_scan_way import film, type_in
from tests.browser.words import JOIN
from tests.services import Service, Services

pytestmark = pytest.mark.browser

BOX = 3
"""The ticket type of the demo's two dear seats."""


@pytest.fixture
def site(services: Services, database_url: str) -> Iterator[tuple[Service, int]]:
    event_id = paid_event(database_url, Settings.load())
    services.worker(ADMITONE_PAYMENT_PROVIDERS="test")
    gateway = services.gateway(ADMITONE_CAPTCHA="off", ADMITONE_PAYMENT_PROVIDERS="test")
    added = services.run("operator", "add", "demo", "--password", PASSWORD)
    assert added.returncode == 0, added.stdout + added.stderr
    yield gateway, event_id
    assert audit(database_url) == []


def pay_for_the_box(visit: Visit, url: str) -> None:
    page = visit.page
    page.goto(url)
    page.get_by_role("button", name=JOIN).click()
    for seat in (1, 2):
        page.locator(f'[data-key="{BOX}/1/{seat}"]').click()
    visit.photograph("y1-chosen", whole=False)
    page.get_by_role("button", name="Continue").click()
    page.locator("#buy").click()
    pay = page.get_by_role("button", name="Pay €318.00")
    expect(pay).to_be_visible()
    visit.photograph("y2-pay")
    pay.click()
    page.wait_for_url("**/purchases/**")
    expect(page.locator(".qr-box")).to_have_count(2)
    assert fits(page)
    visit.photograph("y3-tickets")


def give_back(page: Page, seat: int) -> None:
    """Ask to give one of the two tickets back, in the page's dialog."""
    page.get_by_role("button", name="Cancel tickets").click()
    dialog = page.locator("#cancel-dialog")
    dialog.get_by_text(f"seat {seat}").click()
    dialog.get_by_role("button", name=re.compile("^Cancel")).click()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "size"),
    [("phone", (390, 844)), pytest.param("desktop", (1280, 860), marks=pytest.mark.long)],
)
def test_a_ticket_is_paid_shown_scanned_given_back_and_offered_to_the_next(
    playwright: Playwright,
    browser: Browser,
    site: tuple[Service, int],
    tmp_path: Path,
    name: str,
    size: tuple[int, int],
) -> None:
    gateway, event_id = site
    buyer = Visit.begin(browser, name, size, "light")
    page = buyer.page
    pay_for_the_box(buyer, f"{gateway.url}/events/{event_id}")
    pdf = page.get_by_role("link", name="Download as PDF").get_attribute("href")
    assert page.context.request.get(f"{gateway.url}{pdf}").body().startswith(b"%PDF")
    purchase = page.context.request.get(gateway.url + "/api" + page.url.removeprefix(gateway.url)).json()

    # A steward's device: the camera sees the first ticket's code.
    camera = film(purchase["details"][0]["ticket"], tmp_path / "ticket.y4m")
    device = playwright.chromium.launch(
        executable_path=program(),
        args=[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera}",
        ],
    )
    gate = Visit.begin(device, name, size, "light")
    steward = gate.page
    steward.goto(f"{gateway.url}/scan")
    steward.get_by_label("Name").fill("demo")
    steward.get_by_label("Password").fill(PASSWORD)
    steward.get_by_role("button", name="Sign in", exact=True).click()
    steward.get_by_label("Event").select_option(str(event_id))
    steward.get_by_label("Gate, as this device").fill("North")
    steward.get_by_role("button", name="Begin").click()
    title = steward.locator("#verdict-title")
    expect(title).to_have_text("✓ Let in")
    expect(steward.locator("#verdict-place")).to_have_text("Box · Row 1 · Seat 1")
    expect(steward.locator("#count-all")).to_have_text("1 of 2")
    gate.photograph("y4-scanned")
    steward.locator("#video").evaluate("video => video.srcObject.getTracks().forEach((track) => track.stop())")

    waiter = Visit.begin(browser, name, size, "light")
    waiter.page.goto(f"{gateway.url}/events/{event_id}")
    waiter.page.get_by_role("link", name="Waiting list for sold-out tickets").click()
    expect(waiter.page.get_by_label("Ticket")).to_have_value(str(BOX))
    waiter.page.get_by_label("How many").select_option("1")
    waiter.page.get_by_role("button", name="Enter the list").click()
    expect(waiter.page.get_by_role("heading", name="You are next")).to_be_visible()
    waiter.photograph("y5-waits")

    page.reload()
    give_back(page, 1)
    expect(page.locator("#cancel-message")).to_contain_text("used at the door")
    buyer.photograph("y6-entered", whole=False)
    page.reload()
    give_back(page, 2)
    expect(page.get_by_text("1 ticket was cancelled")).to_be_visible()
    assert fits(page)
    buyer.photograph("y7-given-back")
    type_in(steward, purchase["details"][1]["ticketCode"])
    expect(title).to_have_text("✕ Do not let in")

    waiter.page.reload()
    expect(waiter.page.get_by_role("heading", name="Seats are kept for you")).to_be_visible()
    assert fits(waiter.page)
    waiter.photograph("y8-offered")
    waiter.page.get_by_role("link", name="Buy tickets").click()
    expect(waiter.page.locator("#hold-seats li")).to_have_count(1)
    waiter.page.locator("#buy").click()
    waiter.page.get_by_role("button", name="Pay €159.00").click()
    waiter.page.wait_for_url("**/purchases/**")
    expect(waiter.page.locator(".qr-box")).to_have_count(1)
    device.close()
    assert waiter.faults == []
