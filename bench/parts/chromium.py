"""Bots that steer real Chromium through the event's page, as a scalper does who wants to look like a fan.

Half of them come as Chromium says of itself that it is steered; the others hide that. Each has a network of its own,
which the gateway takes from a header, for a browser cannot choose the address that it comes from.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, Error, Page, Response, async_playwright

TRUSTED: Final = {"ADMITONE_TRUSTED_PROXIES": "127.0.0.1"}
"""What the gateway is started with, to take the network from the header. The other bots send none, and come from
addresses that are not trusted."""
PROGRAMS: Final = ("chromium-headless-shell", "chromium")
ARGUMENTS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
HIDING: Final = "--disable-blink-features=AutomationControlled"
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
STEP_MS_MAX: Final = 10_000
_JOIN: Final = re.compile(r"^(Join the line|Choose seats)$")
_CODE: Final = re.compile(rb'"code":\s*"([a-z_]+)"')


def require() -> str:
    """The program.

    Raises:
        SystemExit: there is none.
    """
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        sys.exit(f"no chromium on this machine: apt-get install {PROGRAMS[0]}")
    return found


@asynccontextmanager
async def launched() -> AsyncIterator[dict[bool, Browser]]:
    """Two Chromiums, by whether they hide that they are steered."""
    async with async_playwright() as playwright:
        browsers = {}
        for hides in (False, True):
            arguments = [*ARGUMENTS, *([HIDING] if hides else [])]
            browsers[hides] = await playwright.chromium.launch(executable_path=require(), args=arguments)
        yield browsers
        for browser in browsers.values():
            await browser.close()


async def buy(
    browser: Browser, url: str, address: str, quantity: int, *, hides: bool, on_problem: Callable[[str], None]
) -> bool:
    """Go the page's whole way in a new session, as quickly as the page lets one; return whether the seats were bought.

    Args:
        url: of the event's page.
        on_problem: is told the code of each problem that the page was answered with.
    """
    context = await browser.new_context(
        extra_http_headers={"X-Forwarded-For": address}, user_agent=AGENT if hides else None
    )

    async def look(response: Response) -> None:
        if "/api/" not in response.url:
            return
        try:
            found = _CODE.search(await response.body())
        except Error:
            return
        if found is not None:
            on_problem(found[1].decode())

    try:
        page = await context.new_page()
        page.set_default_timeout(STEP_MS_MAX)
        page.on("response", look)
        await _way(page, url, quantity)
        return True
    except Error:
        return False
    finally:
        await context.close()


async def _way(page: Page, url: str, quantity: int) -> None:
    await page.goto(url)
    await page.get_by_role("button", name=_JOIN).click()
    await page.locator("#quick-count").select_option(str(quantity))
    # The page picks the best of what is proposed.
    await page.locator("#quick-go").click()
    await page.locator("#hold").click()
    await page.locator("#buy").click()
    await page.wait_for_url("**/purchases/**", wait_until="commit")
