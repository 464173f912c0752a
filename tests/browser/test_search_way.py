"""Suggestions while a fan types into the search of events: by keyboard, by pointer, and as they are read aloud."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from db.events.seed import RoomSeed, seed_demo
from tests.browser.looks import violations
from tests.services import Services

pytestmark = pytest.mark.browser


def test_guesses_at_a_misspelt_word_are_chosen_by_keyboard_and_pointer(
    services: Services, database_url: str, browser: Browser
) -> None:
    seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=50))
    page = browser.new_page(locale="en-GB")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{services.gateway().url}/")
    field = page.get_by_role("combobox")
    expect(field).to_have_attribute("aria-expanded", "false")
    field.press_sequentially("lena brnadt")
    option = page.get_by_role("option", name="Lena Brandt", exact=True)
    expect(option).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    assert violations(page) == []
    field.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", "suggestion-0")
    field.press("Escape")
    expect(option).to_be_hidden()
    expect(field).to_have_value("lena brnadt")
    field.press("ArrowDown")
    field.press("Enter")
    expect(page).to_have_url(re.compile(r"q=Lena\+Brandt"))
    field.fill("lena brnad")
    option.click()
    expect(page.get_by_role("combobox")).to_have_value("Lena Brandt")
    assert faults == []
