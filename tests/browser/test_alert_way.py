"""A fan who asked for an alert hears, feels and sees it at their turn, until they touch the page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from db.connections import primary
from db.events.seed import RoomSeed, seed_demo
from db.rooms.states import RoomState
from tests.browser.test_tabs_way import stage
from tests.browser.words import JOIN
from tests.services import Services

pytestmark = pytest.mark.browser

RING_EVERY_MS = 2000
SPY = """
    window.tones = 0; window.vibrations = []; window.locks = 0;
    const create = AudioContext.prototype.createOscillator;
    AudioContext.prototype.createOscillator = function () { window.tones++; return create.call(this); };
    Navigator.prototype.vibrate = (pattern) => window.vibrations.push(pattern);
    WakeLock.prototype.request = async () => { window.locks++; return new EventTarget(); };
    Object.defineProperty(Document.prototype, "hidden", { get: () => Boolean(window.away) });
"""


@pytest.mark.long
def test_an_alert_rings_at_the_turn_until_the_page_is_touched(
    services: Services, database_url: str, whole_browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=0))
    gateway = services.gateway()
    context = whole_browser.new_context(locale="en-GB", permissions=["notifications"])
    context.add_init_script(SPY)
    page = context.new_page()
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_role("button", name=JOIN).click()
    stage(page, "waiting")

    button = page.locator("[data-stage=waiting] [data-alert]")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_have_text("Alert is on")
    assert page.evaluate("() => [window.tones, window.locks]") == [2, 1], "a test tone, and the screen stays on"
    scope = page.evaluate("async () => (await navigator.serviceWorker.ready).scope")
    assert scope == f"{gateway.url}/"

    page.evaluate("() => { window.away = true; }")
    opened = services.run("room", str(event_id), "--capacity", "5", "--why", "the doors open")
    assert opened.returncode == 0, opened.stderr
    stage(page, "choose")
    shown: list[Any] = page.evaluate(
        """async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(
            ({ title, body, data, tag }) => [title, body, data, tag])"""
    )
    assert [(title, data, tag) for title, _, data, tag in shown] == [
        ("It’s your turn!", f"{gateway.url}/events/{event_id}", f"admitone-{event_id}")
    ]
    page.wait_for_timeout(RING_EVERY_MS + 500)
    assert page.evaluate("() => window.tones") >= 2 + 2 * 3, "it rings again"
    assert len(page.evaluate("() => window.vibrations")) >= 3
    titles = set()
    for _ in range(8):
        titles.add(page.title()[:2])
        page.wait_for_timeout(300)
    assert titles == {"★ ", "Ch"}, "the title moves while the fan is away"

    page.keyboard.press("Shift")
    rung = page.evaluate("() => window.tones")
    page.wait_for_timeout(RING_EVERY_MS + 500)
    assert page.evaluate("() => window.tones") == rung
    context.close()


def test_the_early_page_and_the_lobby_offer_the_alert_and_count_in_the_title(
    services: Services, database_url: str, browser: Browser
) -> None:
    early = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50, lobby_minutes=10), on_sale_minutes=30)
    lobby = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50, lobby_minutes=60), on_sale_minutes=30)
    gateway = services.gateway()
    page = browser.new_page(locale="en-GB")
    page.goto(f"{gateway.url}/events/{early}")
    expect(page.locator("[data-stage=early] [data-alert]")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^Opens in 1\d:\d\d · "))
    page.goto(f"{gateway.url}/events/{lobby}")
    page.get_by_role("button", name="Enter the lobby").click()
    expect(page.locator("[data-stage=lobby] [data-alert]")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^Lobby: \d\d:\d\d · "))
    page.close()


@pytest.mark.long
def test_an_event_without_a_room_shows_no_seats_before_its_sale_and_after_it(
    services: Services, database_url: str, browser: Browser
) -> None:
    off = RoomSeed(state=RoomState.OFF)
    early = seed_demo(database_url, room=off, on_sale_minutes=30)
    over = seed_demo(database_url, room=off)
    with primary.connect(database_url, "admitone-test") as connection:
        connection.execute("UPDATE event SET off_sale_at = now() - interval '1 minute' WHERE event_id = %s", (over,))
    gateway = services.gateway()
    page = browser.new_page(locale="en-GB")
    # The sale begins soon, so it is made when the gateway is up.
    soon = seed_demo(database_url, room=off, on_sale_minutes=0.15)
    page.goto(f"{gateway.url}/events/{soon}")
    stage(page, "early")
    page.locator("[data-stage=early] [data-alert]").click()
    expect(page).to_have_title(re.compile(r"^Opens in 0:\d\d · "))
    stage(page, "choose")

    page.goto(f"{gateway.url}/events/{early}")
    expect(page).to_have_title(re.compile(r"^Opens in \d\d:\d\d · "))
    stage(page, "early")
    page.goto(f"{gateway.url}/events/{over}")
    page.wait_for_load_state("networkidle")
    stage(page, "closed")
    page.close()
