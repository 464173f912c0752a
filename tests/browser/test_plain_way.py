"""The whole way of a fan without scripts: the line, the call, the best seats, the ticket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from db.audit.invariants import audit
from db.events.seed import RoomSeed, seed_demo
from tests.browser.words import JOIN
from tests.factories import make_event, one_type, plan_event
from tests.services import Services

pytestmark = pytest.mark.browser

OPEN_ROOM = RoomSeed(rate_per_minute=6000, capacity=50)
SHUT_ROOM = RoomSeed(rate_per_minute=0, capacity=50)
TURN_MS_MAX = 90_000
"""A page without scripts reloads itself every ten seconds."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def test_from_the_line_to_the_ticket_without_scripts(
    services: Services, database_url: str, page: Page, tmp_path: Path
) -> None:
    event_id = seed_demo(database_url, room=SHUT_ROOM)
    gateway = services.gateway(ADMITONE_CAPTCHA="off")
    services.worker()
    page.goto(f"{gateway.url}/events/{event_id}")
    expect(page.locator("[data-stage=join] .banner")).to_contain_text("This page works without JavaScript too")
    page.get_by_role("button", name=JOIN).click()
    expect(page.locator("#position")).to_have_text("1")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE room SET rate_per_minute = 6000, revision = revision + 1")
    # The page reloads itself until the fan is called.
    go_in = page.locator("form[action$=claim] button")
    go_in.click(timeout=TURN_MS_MAX)
    best = page.locator("form.plain-best")
    expect(best.locator("h2")).to_have_text("Best seats together")
    expect(page.locator("#map")).to_be_hidden()
    best.locator("[name=quantity]").select_option("3")
    best.locator("button").click()
    seats = page.locator("#plain li")
    expect(seats).to_have_count(3)
    expect(page.locator("#plain")).to_contain_text("These seats are yours until")
    page.screenshot(path=tmp_path / "held.png", full_page=True)

    page.locator("form[action$=give-back] button").click()
    best.locator("[name=quantity]").select_option("2")
    best.locator("button").click()
    expect(seats).to_have_count(2)
    page.locator("form[action$=buy] button").click()
    expect(page).to_have_url(re.compile("/purchases/"))
    expect(page.locator("svg.qr")).to_have_count(2)
    assert audit(database_url) == []


def test_a_refused_form_says_why_in_the_fans_language(services: Services, database_url: str, page: Page) -> None:
    hall = (one_type("Hall", rows=2, seats_per_row=3),)
    event_id = make_event(database_url, plan_event(hall=hall, room=RoomSeed(state="off")))
    gateway = services.gateway(ADMITONE_CAPTCHA="off")
    services.worker()
    page.goto(f"{gateway.url}/de/events/{event_id}")
    form = page.locator("form.plain-best")
    page.locator("select[name=quantity]").select_option("4")
    form.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("nebeneinander")
    expect(page).to_have_url(f"{gateway.url}/de/events/{event_id}?problem=no_block")
    assert audit(database_url) == []


def test_where_a_captcha_is_asked_for_the_page_says_so_before_one_joins(
    services: Services, database_url: str, page: Page
) -> None:
    event_id = seed_demo(database_url, room=OPEN_ROOM)
    gateway = services.gateway()
    services.worker()
    page.goto(f"{gateway.url}/events/{event_id}")
    expect(page.locator("[data-stage=join] .banner")).to_contain_text("you will need it to buy")
    page.get_by_role("button", name=JOIN).click()
    page.locator("form.plain-best button").click(timeout=TURN_MS_MAX)
    expect(page.locator("#plain section .banner")).to_contain_text("Please switch it on and reload this page")
    expect(page.locator("form[action$=buy]")).to_have_count(0)
    assert audit(database_url) == []
