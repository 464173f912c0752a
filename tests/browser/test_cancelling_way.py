"""A whole event is cancelled in the console, in a real browser, and its fans read it on every page they have open."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from db.connections import primary
from db.events.seed import RoomSeed, seed_demo
from db.rooms.states import RoomState
from tests.browser.test_fan_way import PASSWORD, Visit
from tests.services import Services

pytestmark = pytest.mark.browser

NOTICE = "The singer is ill. We pay you back within two weeks."
BUY = """async (eventId) => {
  const book = async (path, body) => {
    const headers = { "Content-Type": "application/json", Prefer: "wait=10" };
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify({ eventId, ...body }) });
    return (await answer.json()).result;
  };
  await fetch("/api/session", { method: "POST" });
  const seats = { ticketTypeId: 1, metaData: { rowNumbers: [1], seatNumbers: [1] } };
  const { reservationId } = await book("/api/reserve", { seatDetails: [seats] });
  return (await book("/api/checkout", { reservationId })).purchaseId;
}"""
REFUSED = re.compile("status of (401|403)")


def sign_in(page: Page) -> None:
    page.get_by_role("textbox", name="Name").fill("demo")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_an_operator_cancels_an_event_and_its_fans_read_it(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(state=RoomState.OFF))
    services.worker()
    gateway = services.gateway(ADMITONE_CAPTCHA="off")
    assert services.run("operator", "add", "demo", "--password", PASSWORD).returncode == 0
    with primary.connect(database_url, "admitone-test") as connection:
        row = connection.execute("SELECT name, venue FROM event WHERE event_id = %s", (event_id,)).fetchone()
    assert row is not None
    name, venue = row

    fan = Visit.begin(browser, "phone-dark", (360, 740), "dark")
    fan.page.goto(f"{gateway.url}/events/{event_id}")
    fan.page.locator("#map svg").wait_for()
    purchase_id = fan.page.evaluate(BUY, event_id)
    assert purchase_id
    fan.page.goto("about:blank")

    console = Visit.begin(browser, "desktop-light", (1280, 860), "light")
    page = console.page
    page.goto(f"{gateway.url}/ops/events")
    sign_in(page)
    first = page.locator(".event-row strong")
    expect(first).to_contain_text(venue)
    expect(first).to_contain_text(re.compile(r"\d{4}"))
    expect(page.locator(".event-row")).to_contain_text(name)
    console.photograph("c0-nights")
    page.locator(".event-row").click()
    tag = page.locator("#sale-state")
    expect(tag).to_have_text("On sale")

    page.locator("[name=artist]").fill("Somebody else")
    page.get_by_role("button", name="Take off sale").click()
    expect(tag).to_have_text("Off sale")
    expect(page.locator("#notes")).to_contain_text("The event is not published")
    expect(page.locator("[name=artist]")).to_have_value("Somebody else")
    page.get_by_role("button", name="Put back on sale").click()
    expect(tag).to_have_text("On sale")
    expect(page.locator("#notes")).to_be_hidden()
    page.reload()

    fan.page.goto(f"{gateway.url}/events/{event_id}")
    fan.page.locator("#map svg").wait_for()

    page.get_by_role("button", name="Cancel the event…").click()
    dialog = page.locator("#cancel-dialog")
    expect(dialog.locator("#cancel-notes")).to_contain_text("Cancelling voids 1 purchase with 1 ticket, ends 0 holds")
    go = dialog.get_by_role("button", name="Cancel the event")
    expect(go).to_be_disabled()
    dialog.get_by_label("Notice to fans").fill(NOTICE)
    dialog.get_by_label("Why, for the log").fill("the agency called")
    dialog.get_by_label("to confirm").fill(name[:-1])
    expect(go).to_be_disabled()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    dialog.get_by_label("to confirm").fill(f" {name} ")
    expect(go).to_be_enabled()
    console.photograph("c1-confirm", whole=False)
    dialog.get_by_role("button", name="Keep the event").click()
    expect(dialog).to_be_hidden()
    expect(tag).to_have_text("On sale")
    page.get_by_role("button", name="Cancel the event…").click()
    expect(go).to_be_disabled()
    dialog.get_by_label("Notice to fans").fill(NOTICE)
    dialog.get_by_label("Why, for the log").fill("the agency called")
    dialog.get_by_label("to confirm").fill(name)
    go.click()
    expect(dialog).to_be_hidden()
    expect(tag).to_have_text("Cancelled")
    expect(page.locator("#message")).to_have_text("The event is cancelled.")
    expect(page.locator("#sale-buttons")).to_be_hidden()
    expect(page.locator("#notes")).to_contain_text("cannot be brought back")
    expect(page.locator("[name=notice]")).to_have_value(NOTICE)
    expect(page.locator("#log")).to_contain_text("state: published → cancelled")
    console.photograph("c2-cancelled")

    expect(fan.page.get_by_role("heading", name="This event was cancelled")).to_be_visible()
    expect(fan.page.locator("main")).to_contain_text(NOTICE)
    assert fits(fan.page)
    fan.photograph("c3-event")
    fan.page.goto(f"{gateway.url}/purchases")
    expect(fan.page.locator(".event-row")).to_contain_text("Event cancelled")
    expect(fan.page.locator(".event-row")).to_contain_text(NOTICE)
    assert fits(fan.page)
    fan.photograph("c4-purchases")
    fan.page.locator(".event-row").click()
    expect(fan.page.get_by_role("heading", name="This event was cancelled")).to_be_visible()
    expect(fan.page.locator("main")).to_contain_text("The tickets are no longer valid. The venue will refund")
    expect(fan.page.locator(".qr-box")).to_have_count(0)
    assert fits(fan.page)
    fan.photograph("c5-ticket")
    assert [fault for fault in console.faults if not REFUSED.search(fault)] == []
    assert fan.faults == []
    fan.end()
    console.end()


SENTENCES: list[tuple[str, str, str]] = [
    (
        "off_sale_at = clock_timestamp()",
        "The sale is over: no more tickets are sold here.",
        "Der Verkauf ist vorbei: Hier werden keine Tickets mehr verkauft.",
    ),
    (
        "off_sale_at = NULL, state = 'unpublished'",
        "The organiser has taken this event off sale for now.",
        "Der Veranstalter hat diese Veranstaltung vorerst aus dem Verkauf genommen.",
    ),
    (
        "state = 'cancelled'",
        "The organiser has cancelled this event.",
        "Der Veranstalter hat diese Veranstaltung abgesagt.",
    ),
]


@pytest.mark.parametrize("language", [pytest.param("", marks=pytest.mark.long), "/de"])
def test_an_open_page_says_why_nothing_is_sold_any_more(
    services: Services, database_url: str, browser: Browser, language: str
) -> None:
    """The state is set behind the gateway's back, so that the page is not loaded anew before the fan presses."""
    event_id = seed_demo(database_url, room=RoomSeed(state=RoomState.OFF))
    services.worker()
    gateway = services.gateway()
    visit = Visit.begin(browser, "desktop-light", (1280, 860), "light")
    page = visit.page
    page.goto(f"{gateway.url}{language}/events/{event_id}")
    page.locator("#map svg").wait_for()
    with psycopg.connect(database_url, autocommit=True) as connection:
        page.locator('[data-key="1/1/1"]').click()
        for change, english, german in SENTENCES:
            statement: Any = f"UPDATE event SET {change} WHERE event_id = %s"
            connection.execute(statement, (event_id,))
            if "cancelled" in change:
                connection.execute("INSERT INTO event_cancellation (event_id) VALUES (%s)", (event_id,))
            page.locator("#hold").click()
            expect(page.locator("#message")).to_contain_text(german if language else english)
    visit.end()
