"""The real Chromium of the browser tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from tests.browser import chromium


@pytest.fixture(scope="module")
def playwright() -> Playwright:
    """`tests/conftest.py` ends it before the next test that does without."""
    return chromium.playwright()


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = chromium.browser(chromium.WITHOUT_WINDOW, chromium.WHOLE)
    yield browser
    chromium.leave(browser)


@pytest.fixture(scope="module")
def whole_browser(playwright: Playwright) -> Iterator[Browser]:
    """For tests of what the other cannot do."""
    browser = chromium.browser(chromium.WHOLE)
    yield browser
    chromium.leave(browser)
