"""The Chromium of a test process: started by the first test that needs it, and kept for those that follow it."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from typing import Final

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

EXPECTED_MS_MAX: Final = 15_000
ARGUMENTS: Final = (
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

_started = ExitStack()
_playwright: Playwright | None = None
_browsers: dict[str, Browser] = {}


def playwright() -> Playwright:
    """Playwright, with its event loop, beside which no other can run in this thread until `close`."""
    global _playwright
    if _playwright is None:
        expect.set_options(timeout=EXPECTED_MS_MAX)
        _playwright = _started.enter_context(sync_playwright())
    return _playwright


def browser(*programs: str) -> Browser:
    """The first of these programs that the machine has, running. See `program`."""
    path = program(*programs)
    found = _browsers.get(path)
    if found is None or not found.is_connected():
        found = _browsers[path] = playwright().chromium.launch(executable_path=path, args=ARGUMENTS)
    return found


def leave(browser: Browser) -> None:
    """Close what tests left open in it: a page goes on working while nobody looks."""
    for context in browser.contexts:
        context.close()


def close() -> None:
    """End the browsers, and Playwright's event loop."""
    global _playwright
    for browser in _browsers.values():
        browser.close()
    _browsers.clear()
    _started.close()
    _playwright = None


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
