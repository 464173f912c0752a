"""A browser that keeps no cookies: the fan and the operator read why nothing works."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Playwright, expect

from db.events.seed import RoomSeed, seed_demo
from db.operators.accounts import add_operator
from tests.browser.chromium import ARGUMENTS, WHOLE
from tests.browser.test_fan_way import PASSWORD
from tests.browser.words import JOIN
from tests.services import Services

pytestmark = pytest.mark.browser
WORDS = "Please allow cookies for this site"


@pytest.fixture
def no_cookies(playwright: Playwright, tmp_path: Path) -> Iterator[BrowserContext]:
    if shutil.which(WHOLE) is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    (tmp_path / "Default").mkdir()
    blocked = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(blocked))
    context = playwright.chromium.launch_persistent_context(
        str(tmp_path), executable_path=shutil.which(WHOLE), args=ARGUMENTS
    )
    yield context
    context.close()


@pytest.mark.long
def test_without_cookies_join_and_sign_in_say_why(
    services: Services, database_url: str, no_cookies: BrowserContext
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50))
    add_operator(database_url, "Ada", PASSWORD)
    gateway = services.gateway()
    page = no_cookies.new_page()
    loads: list[object] = []
    page.on("load", lambda loaded: loads.append(loaded))
    page.goto(f"{gateway.url}/events/{event_id}")
    for _ in range(3):
        page.get_by_role("button", name=JOIN).click()
        expect(page.locator("#message")).to_contain_text(WORDS)
    time.sleep(1)
    assert len(loads) == 1, "no reload can help"
    page.goto(f"{gateway.url}/ops")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#sign-in-message")).to_contain_text(WORDS)
