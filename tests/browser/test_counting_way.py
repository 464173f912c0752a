"""The page of a fan in a fast line counts its number down by itself, in a real browser."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, Page, expect

from booking_lane.clients import async_client
from db.events.seed import RoomSeed, seed_demo
from gateway.line.counting_down import FALL_SHARE_MAX
from tests.browser.test_tabs_way import fans_browser
from tests.browser.words import JOIN
from tests.services import Services
from tests.waiting import await_that
from waiting_room.line import Line

pytestmark = pytest.mark.browser

AHEAD = 2_500
RATE_PER_MINUTE = 1_800
FALLS_SECONDS = 2.5
"""A frame comes every four seconds, so that a number which falls while none can come was counted down."""


AGAIN_SECONDS = 8.0
"""After that the speed of a line that had stood still is known again."""
NUMBERS_MIN = 12


def join_before(redis_url: str, event_id: int) -> None:
    async def join() -> None:
        client = async_client(redis_url)
        line = Line(client)
        for first in range(0, AHEAD, 100):
            await asyncio.gather(*(line.join(event_id, 10**9 + first + number) for number in range(100)))
        await client.aclose()

    # Playwright runs a loop of its own in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, join()).result()


def note_numbers(page: Page) -> None:
    """Let the page write down every number it shows from now on, for `window.seen`."""
    page.evaluate(
        """() => {
            const place = document.getElementById("position");
            const note = () => window.seen.push(Number(place.textContent.replace(/\\D/g, "")));
            window.seen = [];
            note();
            new MutationObserver(note).observe(place, { childList: true, characterData: true, subtree: true });
        }"""
    )


def seen(page: Page) -> list[int]:
    found: list[int] = page.evaluate("window.seen")
    return found


@pytest.mark.long
def test_a_page_counts_on_while_no_frame_comes_and_stands_where_the_line_does(
    services: Services, database_url: str, redis_url: str, browser: Browser
) -> None:
    room = RoomSeed(rate_per_minute=RATE_PER_MINUTE, capacity=AHEAD + 100, state="paused")
    event_id = seed_demo(database_url, room=room)
    gateway = services.gateway(ADMITONE_CONNECTED_SECONDS="120", ADMITONE_ABSENCE_SECONDS="600")
    join_before(redis_url, event_id)
    with fans_browser(browser) as context:
        page = context.new_page()
        page.goto(f"{gateway.url}/events/{event_id}")
        page.get_by_role("button", name=JOIN).click()
        expect(page.locator("#position")).to_have_text(f"{AHEAD + 1:,}")
        note_numbers(page)
        assert services.run("room", str(event_id), "--resume").returncode == 0

        # The line's speed must be known first.
        await_that(lambda: len(seen(page)) > NUMBERS_MIN, 60, what="a number that counts")

        def counted_alone() -> bool:
            gateway.process.send_signal(signal.SIGSTOP)
            try:
                # What was sent before is shown by now.
                page.wait_for_timeout(300)
                stopped_at = seen(page)[-1]
                page.wait_for_timeout(FALLS_SECONDS * 1000)
                lowest = seen(page)[-1]
            finally:
                gateway.process.send_signal(signal.SIGCONT)
            assert lowest >= stopped_at * (1 - FALL_SHARE_MAX)
            page.wait_for_timeout(AGAIN_SECONDS * 1000)
            return lowest < stopped_at

        await_that(counted_alone, 60, what="a number that falls while no frame comes")
        assert services.run("room", str(event_id), "--pause").returncode == 0
        expect(page.locator("#paused")).to_be_visible()
        stands_at = seen(page)[-1]
        page.wait_for_timeout(2_000)
        assert seen(page)[-1] == stands_at
        numbers = seen(page)
        assert numbers == sorted(numbers, reverse=True), f"the number rose: {numbers}"
