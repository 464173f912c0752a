"""A fan's way from the lobby over the draw into the hall, in a real browser; and the page that rechecks the draw."""

from __future__ import annotations

import re

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from db.events.seed import RoomSeed, seed_demo
from tests.browser.test_fan_way import Rival, Visit
from tests.services import Services

pytestmark = pytest.mark.browser

RIVALS = 4
SALE_MINUTES = 0.25
DRAW_MS_MAX = 60_000


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        ("phone-light", (390, 844), "light"),
        pytest.param("desktop-dark", (1280, 860), "dark", marks=pytest.mark.long),
    ],
)
def test_a_fan_gets_from_the_lobby_to_the_seats(
    services: Services, database_url: str, browser: Browser, name: str, size: tuple[int, int], scheme: str
) -> None:
    room = RoomSeed(rate_per_minute=0, capacity=50, lobby_minutes=5)
    gateway = services.gateway()
    rivals = [Rival(gateway.url) for _ in range(RIVALS)]
    visit = Visit.begin(browser, name, size, scheme)
    page = visit.page
    event_id = seed_demo(database_url, room=room, on_sale_minutes=SALE_MINUTES)
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_role("button", name="Enter the lobby").click()
    expect(page.locator("#lobby-left")).to_have_text(re.compile(r"^0:(0\d|1[0-5])$"))
    expect(page.locator("#lobby-left")).to_have_class("place")
    for rival in rivals:
        assert rival.join(event_id)["state"] == "lobby"
    expect(page.locator("#lobby-fans")).to_have_text(str(RIVALS + 1), timeout=10_000)
    seal = page.locator("#lobby-seal").text_content() or ""
    assert re.fullmatch("[0-9a-f]{64}", seal)
    page.get_by_text("How you can check the draw").click()
    visit.photograph("lobby-1-countdown")
    page.reload()
    expect(page.locator("#lobby-fans")).to_have_text(str(RIVALS + 1))
    me = page.locator("#lobby-me").text_content() or ""

    expect(page.locator("#position")).to_have_text(re.compile(r"^[1-5]$"), timeout=DRAW_MS_MAX)
    number = int(page.locator("#position").text_content() or "")
    expect(page.locator("#drawn")).to_have_text(f"You were drawn: place {number} of {RIVALS + 1}.")
    expect(page.locator("#position")).to_have_class(re.compile(r"\bdrawn\b"))
    page.get_by_text("What happened so far").click()
    expect(page.locator("#history-lines li")).to_have_count(2)
    expect(page.locator("#history-draw")).to_contain_text(f"Your random place is {number} of {RIVALS + 1}.")
    visit.photograph("lobby-2-drawn")

    recheck(visit, f"{gateway.url}/events/{event_id}/draw", seal, me, number)
    opened = services.run("room", str(event_id), "--rate", "6000", "--why", "the doors open")
    assert opened.returncode == 0, opened.stderr
    page.locator("#map svg").wait_for(timeout=DRAW_MS_MAX)
    expect(page.locator("#history-lines li").last).to_contain_text("You went in.")
    told = [line.split("\n")[0] for line in page.locator("#history-lines li").all_text_contents()]
    assert [re.sub(r"^[\d:]+ *", "", line) for line in told] == [
        "You entered the lobby.",
        "You got your random place.",
        "It was your turn.",
        "You went in.",
    ]
    visit.photograph("lobby-4-inside")
    assert visit.faults == []
    visit.end()


def recheck(visit: Visit, address: str, seal: str, me: str, number: int) -> None:
    """In a second tab, as a fan would."""
    page = visit.page.context.new_page()
    page.on("pageerror", lambda error: visit.faults.append(str(error)))
    page.goto(address)
    expect(page.locator("dl")).to_contain_text(seal)
    expect(page.locator("#fan-hash")).to_have_value(me)
    page.get_by_role("button", name="Check my place").click()
    # A reader is told of the findings as they come, each an item of a list.
    expect(page.get_by_role("status").get_by_role("list").get_by_role("listitem")).to_have_count(5)
    expect(page.locator("#findings .is-bad")).to_have_count(0)
    expect(page.locator("#findings li").last).to_contain_text(f"This fan’s place is {number} of {RIVALS + 1}")
    Visit(page, visit.name).photograph("lobby-3-recheck")
    page.close()


def test_who_leaves_the_lobby_is_told_and_may_come_back(
    services: Services, database_url: str, browser: Browser
) -> None:
    gateway = services.gateway()
    room = RoomSeed(rate_per_minute=0, capacity=50, lobby_minutes=30)
    event_id = seed_demo(database_url, room=room, on_sale_minutes=20)
    visit = Visit.begin(browser, "phone-light", (390, 844), "light")
    page = visit.page
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_role("button", name="Enter the lobby").click()
    expect(page.locator("#lobby-fans")).to_have_text("1")
    page.get_by_role("button", name="Leave the lobby").click()
    expect(page.locator("#message")).to_have_text("You left the lobby.")
    page.get_by_role("button", name="Enter the lobby").click()
    expect(page.locator("#lobby-fans")).to_have_text("1")
    assert visit.faults == []
    visit.end()


@pytest.mark.long
def test_the_recheck_notices_a_draw_that_is_not_as_its_seed_says(
    services: Services, database_url: str, browser: Browser
) -> None:
    gateway = services.gateway()
    # Long enough for three to come on a busy machine.
    room = RoomSeed(rate_per_minute=0, capacity=50, lobby_minutes=5)
    event_id = seed_demo(database_url, room=room, on_sale_minutes=0.1)
    places = [Rival(gateway.url).join(event_id) for _ in range(3)]
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{gateway.url}/events/{event_id}/draw")
    while page.get_by_role("button", name="Check my place").is_disabled():
        page.wait_for_timeout(200)
        page.reload()
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE draw_entry SET number = 9 WHERE event_id = %s AND number = 1", (event_id,))
        connection.execute("UPDATE draw SET participants = 9 WHERE event_id = %s", (event_id,))
    page.locator("#fan-hash").fill(places[0]["lobby"]["fanHash"])
    page.get_by_role("button", name="Check my place").click()
    expect(page.locator("#findings .is-good")).to_contain_text(["The secret number is the one", "This fan"])
    expect(page.locator("#findings .is-bad")).to_contain_text(["fans took part", "Everyone is in the order"])
    context.close()
