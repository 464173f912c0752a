"""A fan's way from the list to the ticket in every language that the pages speak, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from db.events.seed import RoomSeed, seed_demo
from gateway.pages.languages import OTHERS, Language
from tests.browser.test_tabs_way import stage
from tests.services import Services

pytestmark = pytest.mark.browser


EVERYDAY = "ar"
"""It is read from the right. German is walked by `test_path_way`, and `make test-long` walks the others."""


@pytest.mark.parametrize(
    "language",
    [pytest.param(one, id=one.tag, marks=[] if one.tag == EVERYDAY else [pytest.mark.long]) for one in OTHERS],
)
def test_a_fan_gets_to_the_ticket_in_each_language(
    services: Services, database_url: str, browser: Browser, language: Language
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=50))
    services.worker()
    gateway = services.gateway()
    walk(browser, gateway.url, event_id, language)


def walk(browser: Browser, url: str, event_id: int, language: Language) -> None:
    context = browser.new_context(locale=language.tag, viewport={"width": 390, "height": 844})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    say = language.translations.gettext
    page.goto(url)
    expect(page).to_have_url(f"{url}/{language.tag}/")
    expect(page.locator("h1")).to_have_text(say("What’s on"))
    page.locator(f"a[href='/{language.tag}/events/{event_id}']").click()
    page.get_by_role("button", name=say("Choose seats")).click()
    page.locator("#map svg").wait_for()
    page.get_by_role("button", name=say("Find seats")).click()
    page.locator("#hold").click()
    stage(page, "held")
    expect(page.locator("#person")).to_have_text(say("Security check passed"))
    # Arabic says two tickets without a number.
    expect(page.locator("#buy")).to_have_text(re.compile("98"))
    expect(page.locator("#buy")).not_to_have_text(re.compile("Buy"))
    page.locator("#buy").click()
    page.wait_for_url(re.compile(f"/{language.tag}/purchases/"))
    expect(page.locator("h1")).to_have_text(language.translations.ngettext("Your ticket", "Your tickets", 2))
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    assert faults == []
    context.close()
