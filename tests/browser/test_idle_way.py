"""What a fan sees who does nothing inside while others wait for the last seats; in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from db.events.seed import RoomSeed
from tests.browser.looks import violations
from tests.browser.test_fan_way import Visit
from tests.browser.words import JOIN
from tests.client import Fan
from tests.factories import make_event, one_type, plan_event
from tests.services import Services

pytestmark = pytest.mark.browser

IDLE_SECONDS = 16


@pytest.mark.long
def test_an_idle_fan_is_asked_loses_the_turn_and_keeps_the_place(
    services: Services, database_url: str, browser: Browser
) -> None:
    room = RoomSeed(rate_per_minute=60_000, capacity=20)
    event_id = make_event(database_url, plan_event(hall=(one_type("Stalls", seats_per_row=2),), room=room))
    services.worker()
    gateway = services.gateway(
        ADMITONE_CONNECTED_SECONDS="120",
        ADMITONE_ABSENCE_SECONDS="600",
        ADMITONE_LINE_STOCK_SPARE="0",
        ADMITONE_LINE_WORK_SECONDS="600",
        ADMITONE_LINE_IDLE_SECONDS=str(IDLE_SECONDS),
    )
    visit = Visit.begin(browser, "phone-light", (390, 844), "light")
    page = visit.page
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_role("button", name=JOIN).click()
    expect(page.locator("#map circle, #map rect").first).to_be_visible()
    expect(page.locator("#crowded")).to_be_hidden()

    # Two seats are free for four fans inside, and four others wait.
    others = [Fan.arrive(gateway.url) for _ in range(7)]
    states = [other.join(event_id).json["state"] for other in others]
    assert states == ["admitted"] * 3 + ["waiting"] * 4
    expect(page.locator("#crowded")).to_have_text(re.compile("^More people than seats are choosing now"))
    expect(page.locator("#still-there")).to_have_text(re.compile("^Are you still choosing"))
    left = page.locator("#turn-left")
    expect(left).to_have_text(re.compile(r"^0:0[0-9] left to choose$"))
    visit.photograph("idle-1-asked")

    # Whoever moves on the page is at work.
    page.mouse.move(100, 300)
    page.mouse.move(120, 340)
    expect(left).to_have_text(re.compile(r"^0:1[0-9] left to choose$"))

    expect(page.get_by_role("heading", name="Are you still there?")).to_be_visible(timeout=(IDLE_SECONDS + 15) * 1000)
    expect(page.locator("#position")).to_have_text("1")
    expect(page.locator("#map")).to_be_hidden()
    assert violations(page) == []
    visit.photograph("idle-2-kept")

    # The four slots went to the next four. The first that is free again is this fan's.
    page.get_by_role("button", name="I’m here").click()
    expect(page.get_by_role("heading", name="Are you still there?")).to_be_hidden()
    expect(page.locator("#position")).to_have_text("1")
    assert others[3].poll(event_id).json["state"] == "called"
    assert others[3].leave(event_id).status == 204
    expect(page.locator("#map")).to_be_visible()
    page.get_by_text("What happened so far").click()
    expect(page.locator("#history-lines")).to_contain_text("You kept your place at the front of the line.")
    assert visit.faults == []
    visit.end()
