"""A browser that loses its session, and clocks that differ: the fan's place comes back, and times stay the venue's."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from db.events.seed import seed_demo
from db.operators.accounts import add_operator
from tests.browser.test_fan_way import PASSWORD, Rival
from tests.browser.test_tabs_way import SHUT, WIDE, fans_browser, stage
from tests.browser.words import JOIN
from tests.client import Fan
from tests.services import Services
from tests.waiting import await_that

pytestmark = pytest.mark.browser

BERLIN = "Europe/Berlin"


def kept_token(page: Page, event_id: int) -> str:
    token = page.evaluate(f"localStorage.getItem('admitone:place:{event_id}')")
    assert isinstance(token, str)
    return token


def has_no_token(page: Page, event_id: int) -> bool:
    """Whether the page has given its token up; no while it loads anew. (The page's policy forbids what
    `Page.wait_for_function` does.)
    """
    try:
        return bool(page.evaluate(f"localStorage.getItem('admitone:place:{event_id}') === null"))
    except Error:
        return False


def test_a_browser_that_lost_its_cookies_comes_back_at_its_place(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=SHUT)
    gateway = services.gateway()
    url = f"{gateway.url}/events/{event_id}"
    Rival(gateway.url).join(event_id)
    with fans_browser(browser) as context:
        first, second = context.new_page(), context.new_page()
        first.goto(url)
        first.get_by_role("button", name=JOIN).click()
        expect(first.locator("#position")).to_have_text("2")
        second.goto(url)
        expect(second.locator("#position")).to_have_text("2")
        last = Rival(gateway.url)
        assert last.join(event_id)["position"] == 3
        before = kept_token(first, event_id)
        context.clear_cookies()
        first.reload()
        stage(first, "waiting")
        expect(first.locator("#position")).to_have_text("2")
        first.wait_for_timeout(2500)
        # The other tab, whose stream was the old session's, goes on with the new one.
        for page in (first, second):
            stage(page, "waiting")
            expect(page.locator("#position")).to_have_text("2")
        assert kept_token(first, event_id) != before
        assert last.call("GET", f"/api/queue/{event_id}")["waiting"] == 3, "the place stands once"
        first.get_by_text("What happened so far").click()
        expect(first.locator("#history-lines")).to_contain_text("You came back in a new session, at your old place.")


def test_a_question_without_a_session_does_not_give_the_place_up(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=SHUT)
    gateway = services.gateway()
    Rival(gateway.url).join(event_id)
    with fans_browser(browser) as context:
        page = context.new_page()
        page.goto(f"{gateway.url}/events/{event_id}")
        page.get_by_role("button", name=JOIN).click()
        expect(page.locator("#position")).to_have_text("2")
        last = Rival(gateway.url)
        assert last.join(event_id)["position"] == 3
        before = kept_token(page, event_id)
        context.clear_cookies()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # A phone that wakes up asks.
        await_that(lambda: kept_token(page, event_id) != before, what="the place in a new session")
        stage(page, "waiting")
        expect(page.locator("#position")).to_have_text("2")
        # A token of no use is given up, and the page does not load again and again for it.
        page.evaluate(f"localStorage.setItem('admitone:place:{event_id}', 'forged')")
        context.clear_cookies()
        page.reload()
        stage(page, "join")
        await_that(lambda: has_no_token(page, event_id))


def sign_in(context: BrowserContext, url: str) -> None:
    answer = context.request.post(f"{url}/api/ops/session", data={"name": "demo", "password": PASSWORD})
    assert answer.ok, answer.text()


def test_tickets_keep_to_the_venues_clock(services: Services, database_url: str, browser: Browser) -> None:
    services.worker()
    gateway = services.gateway()
    event_id = seed_demo(database_url, room=WIDE, time_zone=BERLIN)
    fan = Fan.arrive(gateway.url)
    fan.headers["X-Admission-Pass"] = fan.join(event_id).json["pass"]
    purchase = fan.buy(event_id, [(1, 1, 1)])["purchaseId"]
    context = browser.new_context(locale="en-US", timezone_id="America/Los_Angeles")
    context.add_cookies([{"name": "admitone_session", "value": fan.token, "url": gateway.url}])
    page = context.new_page()
    page.goto(f"{gateway.url}/purchases/{purchase}")
    where = page.locator(".where")
    for media in ("screen", "print"):
        page.emulate_media(media=media)
        expect(where).to_be_visible()
        expect(where).to_contain_text(re.compile(r"20:00 CES?T \(Berlin time\)"))
    context.close()


@pytest.mark.long
def test_forms_keep_to_the_venues_clock_and_ask_which_hour_is_meant(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=WIDE, time_zone=BERLIN)
    gateway = services.gateway()
    add_operator(database_url, "demo", PASSWORD)
    office = browser.new_context(locale="en-US", timezone_id="America/Los_Angeles")
    sign_in(office, gateway.url)
    page = office.new_page()

    # The last Sunday of October has the hour after two twice.
    page.goto(f"{gateway.url}/ops/events/{event_id}")
    until = page.get_by_label("On sale until")
    until.fill("2026-12-01T02:30")
    choice = page.get_by_label("Which one is meant?")
    expect(choice).to_have_count(0)
    page.get_by_label("Begins").fill("2027-10-31T02:30")
    expect(choice).to_have_count(1)
    assert [option.split(": ")[0] for option in choice.locator("option").all_text_contents()] == ["First", "Second"]
    choice.select_option(index=1)
    until.fill("")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#message")).to_contain_text("Saved")
    event = f"{gateway.url}/api/ops/events/{event_id}"
    assert office.request.get(event).json()["date"] == "2027-10-31T01:30:00Z"
    page.reload()
    # The page's script fills in the form once it has asked.
    expect(page.get_by_label("Begins")).to_have_value("2027-10-31T02:30")
    assert choice.evaluate("choice => choice.selectedIndex") == 1, "it is shown as it is"
    # The answer, for the next one must not be taken for it.
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        page.get_by_role("button", name="Save changes").click()
    assert "date" not in json.loads(answered.value.request.post_data or "")
    choice.select_option(index=0)
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_role("button", name="Save changes").click()
    assert office.request.get(event).json()["date"] == "2027-10-31T00:30:00Z"

    page.goto(f"{gateway.url}/ops/rooms/{event_id}/codes")
    expect(page.get_by_text(f"By the clock of {BERLIN}.").first).to_be_visible()
    page.get_by_label("What for").fill("Presale")
    page.get_by_label("Good until").fill("2027-06-01T10:00")
    page.get_by_role("button", name="Issue", exact=True).click()
    expect(page.locator("#message")).to_contain_text("Issued")
    [issue] = office.request.get(f"{gateway.url}/api/ops/rooms/{event_id}/codes").json()["issues"]
    assert issue["endsAt"] == "2027-06-01T08:00:00Z"
    expect(page.locator("#issues")).to_contain_text(re.compile(r"until .*\b10:00"))
    office.close()
