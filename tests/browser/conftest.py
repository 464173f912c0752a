"""The real Chromium of the browser tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

EXPECTED_MS_MAX = 15_000
CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


WHOLE, WITHOUT_WINDOW = "chromium", "chromium-headless-shell"
"""Names of programs. The second opens a page for a third of the work, but shows no notification."""


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=EXPECTED_MS_MAX)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    yield from _launched(playwright, WITHOUT_WINDOW, WHOLE)


@pytest.fixture(scope="module")
def whole_browser(playwright: Playwright) -> Iterator[Browser]:
    """For tests of what the other cannot do."""
    yield from _launched(playwright, WHOLE)


def program(*programs: str) -> str:
    """The first of these programs that the machine has; without any named, the one that opens pages fastest. A test is
    skipped where there is none.
    """
    programs = programs or (WITHOUT_WINDOW, WHOLE)
    path = next(filter(None, map(shutil.which, programs)), None)
    if path is None:
        lacking = f"no chromium on this machine: apt-get install {programs[0]}"
        assert not os.environ.get("CI"), lacking
        pytest.skip(lacking)
    return path


def _launched(playwright: Playwright, *programs: str) -> Iterator[Browser]:
    path = program(*programs)
    browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
    yield browser
    browser.close()
