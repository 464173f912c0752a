"""Several tabs of one browser over HTTP/1.1, which has six connections for them all: one stream, one turn, one fan."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from db.events.seed import RoomSeed, seed_demo
from tests.browser.test_fan_way import PASSWORD, Rival
from tests.browser.words import JOIN
from tests.integration.deploy.test_nginx import shipped_proxy
from tests.services import Service, Services

pytestmark = pytest.mark.browser

TABS = 6
SHUT = RoomSeed(rate_per_minute=60_000, capacity=0)
WIDE = RoomSeed(rate_per_minute=60_000, capacity=50)
WITHOUT_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });"
WITHOUT_BOTH = WITHOUT_LOCKS + "delete window.BroadcastChannel;"
VISIBLE = ".stage:not([hidden])"
OWN = "VIP row 1 seat 1"


@contextmanager
def fans_browser(browser: Browser, script: str = "") -> Iterator[BrowserContext]:
    """One fan's browser, in which ``script`` runs before each page's own; pages may raise no error."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC", ignore_https_errors=True)
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    if script:
        context.add_init_script(script)
    try:
        yield context
        assert faults == []
    finally:
        context.close()


def streams_open(gateway: Service) -> int:
    with urllib.request.urlopen(gateway.url + "/metrics", timeout=5) as answer:
        found = re.search(r"^admitone_streams_open(?:\{.*\})? (\d+)", answer.read().decode(), re.MULTILINE)
    assert found
    return int(found[1])


def await_streams(page: Page, gateway: Service, count: int) -> None:
    """Wait until the gateway has so many streams open."""
    for _ in range(60):
        if streams_open(gateway) == count:
            return
        page.wait_for_timeout(200)
    assert streams_open(gateway) == count


def stage(page: Page, name: str) -> None:
    expect(page.locator(VISIBLE)).to_have_attribute("data-stage", name)


def wait_in_tabs(context: BrowserContext, url: str, count: int = TABS) -> list[Page]:
    pages = []
    for number in range(count):
        page = context.new_page()
        pages.append(page)
        page.goto(url)
        if number == 0:
            page.get_by_role("button", name=JOIN).click()
        stage(page, "waiting")
    return pages


def choose_in_tabs(context: BrowserContext, url: str, count: int = 2) -> list[Page]:
    pages = []
    for number in range(count):
        page = context.new_page()
        pages.append(page)
        page.goto(url)
        if number == 0:
            page.get_by_role("button", name=JOIN).click()
        page.locator("#map svg").wait_for()
    return pages


def seat(page: Page, number: int) -> None:
    """Pick a seat of the first row of the VIPs."""
    page.get_by_role("option", name=f"VIP row 1 seat {number}, ").click()


@pytest.mark.parametrize(
    ("script", "streams"),
    [
        pytest.param("", 1, id="a-tab", marks=pytest.mark.long),
        pytest.param(WITHOUT_LOCKS, 1, id="without-locks", marks=pytest.mark.long),
        pytest.param(WITHOUT_BOTH, TABS, id="without-both", marks=pytest.mark.long),
    ],
)
def test_six_waiting_tabs_are_let_in(
    services: Services, database_url: str, browser: Browser, script: str, streams: int
) -> None:
    event_id = seed_demo(database_url, room=SHUT)
    services.worker()
    gateway = services.gateway()
    with fans_browser(browser, script) as context:
        pages = wait_in_tabs(context, f"{gateway.url}/events/{event_id}")
        await_streams(pages[0], gateway, streams)
        assert services.run("room", str(event_id), "--capacity", "50").returncode == 0
        for page in pages:
            stage(page, "choose")
            page.locator("#map svg").wait_for()
        # A fan who chooses hears of the seats; where tabs share streams, from the line too when an idle turn ends.
        await_streams(pages[0], gateway, TABS if script == WITHOUT_BOTH else 2 * streams)
        # Every tab sees what others take, and a booking finds a connection.
        rival = Rival(gateway.url)
        rival.headers["X-Admission-Pass"] = rival.join(event_id)["pass"]
        key = pages[0].get_by_role("option", name=OWN + ",").get_attribute("data-key") or ""
        type_id = int(key.split("/")[0])
        details = {"ticketTypeId": type_id, "metaData": {"rowNumbers": [1], "seatNumbers": [1]}}
        assert (
            rival.call("POST", "/api/reserve", {"eventId": event_id, "seatDetails": [details]})["status"] == "succeeded"
        )
        for page in pages:
            expect(page.locator(f'[data-key="{key}"]')).to_have_class("seat reserved")
        last = pages[-1]
        seat(last, 2)
        last.get_by_role("button", name="Continue").click()
        stage(last, "held")
        last.get_by_role("button", name="Buy 1 ticket").click()
        last.wait_for_url(re.compile("/purchases/"))


def test_another_tab_listens_when_the_listening_one_is_closed_or_asleep(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=SHUT)
    gateway = services.gateway(ADMITONE_CONNECTED_SECONDS="120", ADMITONE_ABSENCE_SECONDS="600")
    rivals = [Rival(gateway.url) for _ in range(3)]
    for rival in rivals:
        rival.join(event_id)
    with fans_browser(browser) as context:
        first, second, third = wait_in_tabs(context, f"{gateway.url}/events/{event_id}", 3)
        for page in (first, second, third):
            expect(page.locator("#position")).to_have_text("4")
        await_streams(first, gateway, 1)
        first.close()
        rivals[0].leave(event_id)
        for page in (second, third):
            expect(page.locator("#position")).to_have_text("3")
        # Asleep, the second keeps its lock and says nothing. The sleep is its own: nobody closes its stream.
        second.evaluate("window.asleep = true; BroadcastChannel.prototype.postMessage = () => {}")
        rivals[1].leave(event_id)
        expect(third.locator("#position")).to_have_text("2")
        expect(third.locator("#connection")).to_have_text("Live")
        await_streams(third, gateway, 1)


@pytest.mark.long
def test_your_own_hold_in_another_tab_is_yours(services: Services, database_url: str, browser: Browser) -> None:
    event_id = seed_demo(database_url, room=WIDE)
    services.worker()
    gateway = services.gateway()
    with fans_browser(browser) as context:
        first, second = choose_in_tabs(context, f"{gateway.url}/events/{event_id}")
        seat(first, 1)
        seat(first, 2)
        seat(second, 1)
        second.get_by_role("button", name="Continue").click()
        stage(second, "held")
        # The first tab loses the pick, and says whose the seat is.
        holds = first.locator("#other-holds")
        expect(holds).to_contain_text(re.compile(rf"{OWN}: yours until .+\."))
        expect(first.get_by_role("option", name=re.compile(rf"^{OWN}, €129.00, in your basket$"))).to_be_visible()
        expect(first.locator("#picked li")).to_have_count(1)
        first.wait_for_timeout(1500)
        expect(first.locator("#message")).to_be_hidden()
        # A second hold: each tab knows both, also after a reload.
        first.get_by_role("button", name="Continue").click()
        stage(first, "held")
        expect(first.locator("#hold-seats")).to_contain_text("VIP row 1 seat 2")
        expect(holds).to_contain_text(OWN)
        expect(second.locator("#other-holds")).to_contain_text("VIP row 1 seat 2")
        first.reload()
        stage(first, "held")
        whole = first.locator("#hold-seats, #other-holds")
        expect(whole.filter(has_text="VIP row 1 seat 1")).to_have_count(1)
        expect(whole.filter(has_text="VIP row 1 seat 2")).to_have_count(1)
        # Bought in one tab, it is bought in the other; the second hold goes on.
        first.get_by_role("button", name="Buy 1 ticket").click()
        expect(first.locator("#message")).to_contain_text("You have these tickets")
        expect(first.get_by_role("button", name="Go on with these")).to_have_count(0)
        expect(second.locator("#other-holds p")).to_have_count(0)
        stage(second, "held")
        second.get_by_role("button", name="Choose other seats").click()
        expect(first.locator("#message")).to_contain_text("You released these seats in another tab")
        expect(first.locator(VISIBLE)).not_to_have_attribute("data-stage", "held")


@pytest.mark.parametrize("script", ["", pytest.param(WITHOUT_BOTH, id="without-both", marks=pytest.mark.long)])
def test_a_seat_you_hold_in_another_tab_is_not_refused_as_somebody_elses(
    services: Services, database_url: str, browser: Browser, script: str
) -> None:
    event_id = seed_demo(database_url, room=WIDE)
    services.worker()
    gateway = services.gateway()
    with fans_browser(browser, script) as context:
        first, second = choose_in_tabs(context, f"{gateway.url}/events/{event_id}")
        said = "window.said = []; new MutationObserver(() => said.push(document.getElementById('message').textContent))"
        first.evaluate(f"{said}.observe(document.getElementById('message'), {{ childList: true }})")
        for page in (first, second):
            seat(page, 1)
        second.get_by_role("button", name="Continue").click()
        stage(second, "held")
        expect(first.locator("#other-holds")).to_contain_text(f"{OWN}: yours until")
        first.wait_for_timeout(1500)
        assert not [words for words in first.evaluate("said") if "taken" in words]
        first.get_by_role("button", name="Go on with these").click()
        expect(first.locator("#hold-seats")).to_contain_text(OWN)
        # What is bought in one tab is not offered any more in the other.
        second.get_by_role("button", name="Buy 1 ticket").click()
        second.wait_for_url(re.compile("/purchases/"))
        if not script:
            stage(first, "done")
            expect(first.locator("#message")).to_have_text("You bought these tickets in another tab.")


@pytest.mark.long
def test_tabs_of_many_events_leave_connections_for_the_rest(
    services: Services, database_url: str, browser: Browser
) -> None:
    services.worker()
    events = [seed_demo(database_url, room=SHUT) for _ in range(TABS)]
    gateway = services.gateway()
    with fans_browser(browser) as context:
        pages = [wait_in_tabs(context, f"{gateway.url}/events/{event_id}", 1)[0] for event_id in events]
        await_streams(pages[0], gateway, 4)
        for event_id in events:
            assert services.run("room", str(event_id), "--capacity", "50").returncode == 0
        for page in pages:
            stage(page, "choose")


@pytest.mark.long
def test_over_http_2_each_event_has_its_stream(
    services: Services, database_url: str, browser: Browser, tmp_path: Path
) -> None:
    events = [seed_demo(database_url, room=SHUT) for _ in range(TABS)]
    gateway = services.gateway()
    port = int(gateway.url.rpartition(":")[2])
    with shipped_proxy("compose", tmp_path, [port]) as proxy, fans_browser(browser) as context:
        url = f"https://127.0.0.1:{proxy.tls_port}"
        pages = [wait_in_tabs(context, f"{url}/events/{event_id}", 1)[0] for event_id in events]
        arrived = pages[0].evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
        assert arrived == "h2"
        await_streams(pages[0], gateway, TABS)


@pytest.mark.long
def test_six_consoles_can_still_steer(services: Services, database_url: str, browser: Browser) -> None:
    event_id = seed_demo(database_url, room=SHUT)
    gateway = services.gateway()
    assert services.run("operator", "add", "demo", "--password", PASSWORD).returncode == 0
    with fans_browser(browser) as context:
        assert context.request.post(f"{gateway.url}/api/ops/session", data={"name": "demo", "password": PASSWORD}).ok
        pages = [context.new_page() for _ in range(TABS)]
        for page in pages:
            page.goto(f"{gateway.url}/ops#{event_id}")
            expect(page.locator("#connection")).to_have_text("Live")
        await_streams(pages[0], gateway, 1)
        pages[-1].get_by_label("Rate a minute").fill("90")
        pages[-1].get_by_role("button", name="Apply").click()
        for page in pages:
            expect(page.get_by_label("Rate a minute")).to_have_value("90")


@pytest.mark.long
@pytest.mark.parametrize(("path", "width"), [("/", 320), ("/purchases", 374), ("/ops", 320), ("/ops/webhooks", 699)])
def test_the_link_home_has_a_name_on_a_narrow_screen(
    services: Services, browser: Browser, path: str, width: int
) -> None:
    gateway = services.gateway()
    with fans_browser(browser) as context:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 640})
        page.goto(gateway.url + path)
        expect(page.get_by_role("link", name="Admit One", exact=True)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
