"""An operator's way in a real browser: an event is made, seen on sale and bought from, then changed."""

from __future__ import annotations

import datetime as dt
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from db.connections import primary
from db.events.seed import RoomSeed, seed_demo
from tests.browser.test_fan_way import PASSWORD, TURN_MS_MAX, Visit
from tests.browser.words import JOIN
from tests.services import Services

pytestmark = pytest.mark.browser

HALL_CSV = "ticketType,row,seat\n" + "".join(f"Gallery,{row},{seat}\n" for row in (1, 2) for seat in range(1, 13))
REFUSED = re.compile("status of (401|409|422)")


def fill_in(page: Page) -> None:
    """A hall of two ticket types: one of a block, one with a price yet to be told."""
    form = page.locator("#event-form")
    form.get_by_label("Name", exact=True).fill("Winterreise")
    form.get_by_label("Artist").fill("Mara Lindqvist")
    form.get_by_label("Venue").fill("Kammersaal, Leipzig")
    form.get_by_label("Time zone").fill("Europe/Berlin")
    form.get_by_label("Begins").fill("2031-12-12T19:30")
    form.get_by_label("Doors open").fill("2031-12-12T18:45")
    form.get_by_label("On sale from").fill("2024-06-01T10:00")
    form.get_by_label("Currency").fill("eur")
    form.get_by_label("Seats per fan").fill("4")
    stalls = page.locator(".type").first
    stalls.get_by_label("Ticket type").fill("Stalls")
    stalls.locator("[data-f=price]").fill("38.50")
    stalls.get_by_label("Rows", exact=True).fill("8")
    stalls.get_by_label("Seats in each").fill("20")
    page.get_by_role("button", name="Add a ticket type").click()
    boxes = page.locator(".type").nth(1)
    boxes.get_by_label("Ticket type").fill("Boxes")
    boxes.get_by_label("Rows", exact=True).fill("2")
    boxes.get_by_label("Seats in each").fill("6")
    page.get_by_label("Rate / min").fill("60000")
    bad = {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    page.locator("#picture-file").set_input_files(bad)  # type: ignore[arg-type]
    expect(page.locator("#message")).to_contain_text("no whole JPEG, PNG or WebP")
    file = io.BytesIO()
    Image.new("RGB", (1280, 720), "navy").save(file, "PNG")
    good = {"name": "hall.png", "mimeType": "image/png", "buffer": file.getvalue()}
    page.locator("#picture-file").set_input_files(good)  # type: ignore[arg-type]
    expect(page.locator("#picture-said")).to_contain_text("Cut to 1280 × 720 pixels")
    expect(page.locator("#picture-shown img")).to_have_js_property("naturalWidth", 480)
    form.get_by_label("What the picture shows").fill("An empty hall")


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        pytest.param("phone-dark", (390, 844), "dark", marks=pytest.mark.long),
        pytest.param("desktop-light", (1280, 860), "light", marks=pytest.mark.long),
    ],
)
def test_an_operator_makes_an_event_and_a_fan_finds_it(
    services: Services,
    database_url: str,
    browser: Browser,
    tmp_path: Path,
    name: str,
    size: tuple[int, int],
    scheme: str,
) -> None:
    services.worker()
    gateway = services.gateway()
    added = services.run("operator", "add", "demo", "--password", PASSWORD)
    assert added.returncode == 0, added.stdout + added.stderr
    visit = Visit.begin(browser, name, size, scheme)
    page = visit.page
    page.goto(f"{gateway.url}/ops/events")
    page.get_by_label("Name").fill("demo")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#no-events")).to_be_visible()
    page.get_by_role("link", name="New event").click()

    fill_in(page)
    expect(page.locator("#summary")).to_contain_text("172 seats")
    page.get_by_role("button", name="Check").click()
    boxes = page.locator(".type").nth(1)
    expect(boxes.locator("[data-f=price]")).to_be_focused()
    expect(page.locator("#message")).to_contain_text("Please look at these again")
    boxes.locator("[data-f=price]").fill("95")
    boxes.get_by_label("Ticket type").fill("Stalls")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#message")).to_contain_text("two ticket types are named 'Stalls'")
    expect(boxes.get_by_label("Ticket type")).to_have_attribute("aria-invalid", "true")
    visit.photograph("p1-faults")
    boxes.get_by_label("Ticket type").fill("Boxes")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#message")).to_contain_text("All is well: 172 seats")
    visit.photograph("p2-checked")
    page.get_by_role("button", name="Create event").click()
    expect(page.get_by_role("heading", name="Winterreise")).to_be_visible()
    expect(page.locator("#message")).to_contain_text("The event is made")
    visit.photograph("p3-made")
    event_id = int(page.url.rpartition("/")[2])

    fan = Visit.begin(browser, f"{name}-fan", size, scheme)
    fan.page.goto(gateway.url)
    fan.page.locator(f'a[href="/events/{event_id}"]').click()
    expect(fan.page.locator("[data-ticket='1']")).to_contain_text("160 left")
    expect(fan.page.locator(".event-head time").first).to_have_text("Fri 12 Dec 2031, 19:30 CET (Berlin time)")
    expect(fan.page.locator(".event-head time").nth(1)).to_have_text("18:45")
    expect(fan.page.get_by_role("img", name="An empty hall")).to_be_attached()
    fan.page.get_by_role("button", name=JOIN).click()
    fan.page.locator("#map svg").wait_for(timeout=TURN_MS_MAX)
    fan.page.locator('[data-key="2/1/3"]').click()
    expect(fan.page.locator("#picked-total")).to_have_text("€95.00")
    fan.page.get_by_role("button", name="Continue").click()
    expect(fan.page.get_by_role("button", name="Buy 1 ticket")).to_be_visible()

    page.get_by_role("button", name="Add a ticket type").click()
    gallery = page.locator(".type").nth(2)
    gallery.get_by_label("Ticket type").fill("Gallery")
    gallery.locator("[data-f=price]").fill("12")
    gallery.get_by_label("Rows", exact=True).fill("1")
    gallery.get_by_label("First row").fill("9")
    boxes.get_by_role("button", name="Take seats out").click()
    page.get_by_label("Why (for the log)").fill("a gallery, and fewer boxes")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#message")).to_contain_text("1 of these seats is held")
    visit.photograph("p4-refused")
    boxes.get_by_label("First row").fill("2")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#message")).to_contain_text("Saved.")
    expect(page.locator("#log li").first).to_contain_text("a gallery, and fewer boxes")

    spreadsheet = tmp_path / "hall.csv"
    spreadsheet.write_text(HALL_CSV + "Galery,3,1\n")
    page.locator("#csv").set_input_files(spreadsheet)
    expect(page.locator("#message")).to_contain_text("Line 26: there is no ticket type 'Galery'")
    spreadsheet.write_text(HALL_CSV)
    page.locator("#csv").set_input_files(spreadsheet)
    expect(page.locator("#csv-said")).to_have_text("24 new seats in it.")
    page.get_by_role("button", name="Add these seats").click()
    expect(page.locator("#message")).to_contain_text("The seats are there")
    expect(page.locator(".type").nth(2).locator(".type-count")).to_have_text("34 seats")
    # The pictures show the seat that the fan holds.
    expect(page.locator(".type-picture .reserved")).to_have_count(1)
    expect(page.locator(".type").nth(1).locator(".type-picture")).to_have_attribute("aria-label", re.compile("1 held$"))
    visit.photograph("p5-changed")
    page.get_by_role("link", name="Events", exact=True).click()
    expect(page.locator(".event-row")).to_contain_text("0 of 200 sold, 1 held")
    expect(page.locator(".event-row .tag")).to_have_text("On sale")
    visit.photograph("p6-events")
    with primary.connect(database_url, "admitone-test") as connection:
        connection.execute("UPDATE event SET state = 'unpublished' WHERE event_id = %s", (event_id,))
    page.reload()
    expect(page.locator(".event-row .tag")).to_have_text("Off sale")
    assert [fault for fault in visit.faults if not REFUSED.search(fault)] == []
    assert fan.faults == []
    fan.end()
    visit.end()


@pytest.mark.long
def test_another_zone_changes_what_a_clock_shows_and_no_moment(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(), time_zone="UTC")

    def times() -> tuple[object, ...]:
        query = "SELECT date, on_sale_at, off_sale_at, time_zone FROM event WHERE event_id = %s"
        with primary.connect(database_url, "admitone-test") as connection:
            row = connection.execute(query, (event_id,)).fetchone()
        assert row is not None
        return row

    date, on_sale_at, *_ = times()
    gateway = services.gateway()
    assert services.run("operator", "add", "demo", "--password", PASSWORD).returncode == 0
    page = browser.new_page(locale="en-GB", timezone_id="America/Los_Angeles")
    page.goto(f"{gateway.url}/ops/events/{event_id}")
    page.get_by_role("textbox", name="Name").fill("demo")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    begins, zone = page.locator("[name=date]"), page.locator("[name=timeZone]")
    expect(begins).to_have_value(re.compile("T20:00$"))

    zone.fill("Asia/Nowhere")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#message")).to_contain_text("There is no such time zone")
    expect(begins).to_have_value(re.compile("T20:00$"))

    zone.fill("Asia/Kolkata")
    expect(begins).to_have_value(re.compile("T01:30$"))
    page.locator("[name=offSaleAt]").fill(begins.input_value().replace("T01:30", "T01:00"))
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#message")).to_contain_text("Saved.")
    assert isinstance(date, dt.datetime)
    assert times() == (date, on_sale_at, date - dt.timedelta(minutes=30), "Asia/Kolkata")
    page.close()
