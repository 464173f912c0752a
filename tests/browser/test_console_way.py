"""The operators' console in a real browser: what is steered there is measured at the door, and two do not collide."""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from zoneinfo import ZoneInfo

import psycopg
import pytest
import redis
from playwright.sync_api import Browser, Page, Route, expect

from db.events.seed import RoomSeed, seed_demo
from db.operators.accounts import add_operator
from tests.browser.looks import violations
from tests.browser.test_fan_way import PASSWORD, Rival, Visit
from tests.browser.test_tabs_way import stage
from tests.services import Service, Services
from tests.waiting import await_that

pytestmark = pytest.mark.browser

VENUE = ZoneInfo("Europe/Berlin")
DESKTOP = (1440, 900)
PHONE = (390, 844)
FANS = 150
FAST_PER_MINUTE = 240
SLOW_PER_MINUTE = 12
MEASURED_SECONDS = 5.0
DARK = "rgb(16, 17, 20)"
RING_EVERY_MS = 4000
# Listens to what goes to the loudspeakers, where there may be none.
LISTEN = """
    window.heard = [];
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (to, ...rest) {
        if (to instanceof AudioDestinationNode) {
            const ear = this.context.createAnalyser();
            connect.call(this, ear);
            window.heard.push(ear);
        }
        return connect.call(this, to, ...rest);
    };
"""
LOUDEST = """Math.max(0, ...window.heard.map((ear) => {
    const samples = new Float32Array(ear.fftSize);
    ear.getFloatTimeDomainData(samples);
    return Math.max(...samples.map(Math.abs));
}))"""
SOON_MS = 6_000
"""A second or so, on a machine that does other things as well."""


def sign_in(browser: Browser, url: str, name: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Visit:
    visit = Visit.begin(browser, name, size, scheme)
    page = visit.page
    page.goto(f"{url}/ops")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#connection")).to_have_text("Live")
    return visit


def patient_gateway(services: Services) -> Service:
    """One that takes no fan for absent who holds no stream."""
    return services.gateway(ADMITONE_CONNECTED_SECONDS="120", ADMITONE_ABSENCE_SECONDS="600")


def complaints(visit: Visit, *expected: str) -> list[str]:
    """What the browser complained of, besides refusals with one of these statuses."""
    return [fault for fault in visit.faults if not any(f"status of {status} " in fault for status in expected)]


def operators(database_url: str, *names: str) -> None:
    for name in names:
        add_operator(database_url, name, PASSWORD)


def dial(page: Page, label: str, value: int) -> None:
    page.get_by_label(label).fill(str(value))


def loudest(page: Page) -> float:
    """The loudest sample that the page's speakers are given just now; 1 is as loud as can be."""
    return float(page.evaluate(LOUDEST))


def rate(page: Page, per_minute: int) -> None:
    dial(page, "Rate a minute", per_minute)
    page.get_by_role("button", name="Apply").click()


class Door:
    """Fans who claim as soon as they are called, and how many were admitted, as Redis has it."""

    def __init__(self, redis_url: str, url: str, event_id: int) -> None:
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=10)
        self._event_id = event_id
        self._fans: dict[int, Rival] = {}
        for _ in range(FANS):
            fan = Rival(url)
            session = fan.call("POST", "/api/session")
            fan.headers["Authorization"] = f"Bearer {session['token']}"
            fan.call("POST", f"/api/queue/{event_id}", {})
            self._fans[session["userId"]] = fan
        self._over = threading.Event()

    @property
    def admitted(self) -> int:
        return self._redis.zcard(f"room:{{{self._event_id}}}:admitted")

    @contextmanager
    def claimed(self) -> Iterator[None]:
        claiming = threading.Thread(target=self._claim)
        claiming.start()
        try:
            yield
        finally:
            self._over.set()
            claiming.join(30)
            self._redis.close()

    def _claim(self) -> None:
        while not self._over.wait(0.05):
            for fan in cast(list[bytes], self._redis.zrange(f"room:{{{self._event_id}}}:called", 0, -1)):
                self._fans[int(fan)].call("POST", f"/api/queue/{self._event_id}/claim", {})

    def admitted_in(self, seconds: float) -> int:
        before = self.admitted
        time.sleep(seconds)
        return self.admitted - before


def test_an_operator_lowers_the_rate_and_the_line_slows(
    services: Services, database_url: str, redis_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=500))
    operators(database_url, "Ada")
    gateway = patient_gateway(services)
    door = Door(redis_url, gateway.url, event_id)
    visit = sign_in(browser, gateway.url, "Ada")
    page = visit.page
    expect(page.locator('[data-f="waiting"]')).to_have_text(str(FANS))
    effect = page.locator('[data-effect="ratePerMinute"]')
    with door.claimed():
        rate(page, FAST_PER_MINUTE)
        # The console says so by what it sees at the door.
        expect(effect).to_have_text(re.compile(r"^seen: \d+ a minute let in$"))
        fast = door.admitted_in(MEASURED_SECONDS)
        page.get_by_role("textbox", name="Reason (logged)").fill("bookings are slow")
        rate(page, SLOW_PER_MINUTE)
        expect(page.locator('[data-f="rateNow"]')).to_have_text(str(SLOW_PER_MINUTE), timeout=SOON_MS)
        slow = door.admitted_in(MEASURED_SECONDS)
        visit.photograph("console-1-slowed", whole=False)
        assert fast >= FAST_PER_MINUTE / 60 * MEASURED_SECONDS * 0.6
        assert slow <= 3
        # By keyboard alone, and the door is seen to be shut.
        page.locator("#pause").focus()
        page.keyboard.press("Enter")
        # It asks first, and the key that asked does not answer as well.
        expect(page.get_by_role("dialog")).to_contain_text("nobody loses a place")
        expect(page.get_by_role("button", name="Cancel")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator('[data-f="state"]')).to_have_text("Open")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Pause the line").focus()
        page.keyboard.press("Enter")
        expect(page.locator('[data-f="state"]')).to_have_text("Paused", timeout=SOON_MS)
        expect(page.locator('[data-effect="door"]')).to_have_text(re.compile(r"^seen: nobody let in for \d s$"))
        assert door.admitted_in(1.5) == 0
    lines = page.locator("#log li")
    expect(lines).to_have_count(3)
    expect(lines.nth(1)).to_contain_text("Rate 240 a minute → 12 a minute")
    expect(lines.nth(1)).to_contain_text("Ada")
    expect(lines.nth(1).locator("q")).to_have_text("bookings are slow")
    assert complaints(visit, "401") == []
    visit.end()


@pytest.mark.long
def test_two_operators_at_two_gateways_do_not_overwrite_each_other(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=300, capacity=50))
    operators(database_url, "Ada", "Ben")
    ada = sign_in(browser, services.gateway().url, "Ada")
    ben = sign_in(browser, services.gateway().url, "Ben", scheme="dark")
    ada_asks, bens = ada.page, ben.page

    def room() -> tuple[int, int, int]:
        with psycopg.connect(database_url) as connection:
            row = connection.execute(
                "SELECT rate_per_minute, capacity, revision FROM room WHERE event_id = %s", (event_id,)
            ).fetchone()
        assert row is not None
        return row

    # What Ada does, Ben sees.
    rate(ada_asks, 120)
    expect(bens.locator("#undo")).to_have_text("Undo: Rate → 300 a minute", timeout=SOON_MS)
    expect(bens.get_by_label("Rate a minute")).to_have_value("120", timeout=SOON_MS)
    expect(bens.locator('[data-f="rateNow"]')).to_have_text("120", timeout=SOON_MS)
    expect(bens.locator("#log li").first).to_contain_text("Ada")
    expect(ada_asks.locator('[data-effect="ratePerMinute"]')).to_have_text("in force; nobody waits")

    # Ada is at it when Ben changes the same thing: she is told before she applies, and keeps his.
    dial(ada_asks, "Capacity", 80)
    bens.get_by_role("textbox", name="Reason (logged)").fill("the hall is slow")
    dial(bens, "Capacity", 20)
    bens.keyboard.press("Enter")
    conflict = ada_asks.locator("#conflict")
    expect(conflict).to_contain_text("Ben changed this room while you were at it")
    expect(conflict).to_contain_text("Capacity 50 → 20")
    expect(conflict).to_contain_text("the hall is slow")
    expect(conflict).to_contain_text("Yours: Capacity → 80")
    ada.photograph("console-2-conflict", whole=False)
    # Applying all the same, without having decided, is refused: hers was meant for the room before Ben's change.
    ada_asks.get_by_role("button", name="Apply", exact=True).click()
    expect(conflict).to_contain_text("Not applied: Ben changed this room first")
    ada_asks.get_by_role("button", name="Keep theirs").click()
    expect(conflict).to_be_hidden()
    expect(ada_asks.get_by_label("Capacity")).to_have_value("20")
    assert room() == (120, 20, 3)

    # Ben's next change comes between Ada's button and her gateway: she is refused, shown his, and decides for hers.
    def ben_is_quicker(route: Route) -> None:
        if room()[0] == 120:
            rate(bens, 60)
            expect(bens.locator('[data-f="rateNow"]')).to_have_text("60", timeout=SOON_MS)
        route.continue_()

    ada_asks.route("**/api/ops/rooms/*", ben_is_quicker)
    rate(ada_asks, 240)
    expect(conflict).to_contain_text("Not applied: Ben changed this room first")
    expect(conflict).to_contain_text("Rate 120 a minute → 60 a minute")
    assert room() == (60, 20, 4)
    ada_asks.get_by_role("button", name="Apply mine anyway").click()
    expect(conflict).to_be_hidden()
    expect(bens.locator('[data-f="rateNow"]')).to_have_text("240", timeout=SOON_MS)
    assert room() == (240, 20, 5)
    assert complaints(ada, "401", "409") == complaints(ben, "401") == []
    ada.end()
    ben.end()


@pytest.mark.long
def test_a_phone_steers_one_of_several_rooms(services: Services, database_url: str, browser: Browser) -> None:
    events = [seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50)) for _ in range(3)]
    early = seed_demo(database_url, room=RoomSeed(lobby_minutes=30), on_sale_minutes=600)
    operators(database_url, "Ada")
    gateway = patient_gateway(services)
    fan = Rival(gateway.url)
    fan.join(events[1])
    visit = sign_in(browser, gateway.url, "Ada", PHONE)
    page = visit.page
    expect(page.locator("#room-list a")).to_have_count(4)
    # The room with a line comes first into view; another is a tap away, and its address keeps it.
    expect(page.locator('[data-f="waiting"]')).to_have_text("1")
    page.get_by_label("Room", exact=True).select_option(str(events[2]))
    expect(page.locator('[data-f="waiting"]')).to_have_text("0")
    page.reload()
    expect(page.get_by_label("Room", exact=True)).to_have_value(str(events[2]))
    page.get_by_label("Room", exact=True).select_option(str(events[1]))
    expect(page.locator('[data-f="waiting"]')).to_have_text("1")

    page.get_by_label("Message to the line").fill("The doors open a quarter of an hour late.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator('[data-effect="message"]')).to_have_text("on every waiting page")
    assert fan.call("GET", f"/api/queue/{events[1]}")["message"] == "The doors open a quarter of an hour late."
    tell_in_german(visit, browser, f"{gateway.url}/de/events/{events[1]}", f"{gateway.url}/fr/events/{events[1]}")
    page.get_by_role("switch", name="Autopilot").click()
    expect(page.get_by_role("switch", name="Autopilot")).to_be_checked()
    expect(page.locator('[data-f="autopilotWhy"]')).not_to_have_text(re.compile("^Off"))
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("dialog").get_by_label("Reason").fill("the band is ill")
    page.get_by_role("dialog").get_by_role("button", name="Close the line").click()
    expect(page.locator('[data-f="state"]')).to_have_text("Closed", timeout=SOON_MS)
    expect(page.locator("#log q")).to_have_text("the band is ill")
    # A lobby that is yet to open is shut by nobody: it can be paused, and closed.
    page.get_by_label("Room", exact=True).select_option(str(early))
    expect(page.locator('[data-f="stateWhy"]')).to_have_text("the lobby opens 30 minutes before the sale")
    expect(page.get_by_role("button", name="Pause")).to_be_enabled()
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Close the line").click()
    expect(page.locator('[data-f="stateWhy"]')).to_have_text("nobody can join and nobody is let in", timeout=SOON_MS)
    page.get_by_role("button", name="Open again").click()
    expect(page.get_by_role("button", name="Close", exact=True)).to_be_visible(timeout=SOON_MS)
    width, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width == seen == PHONE[0]
    visit.photograph("console-3-phone")
    # A room that is gone, as a rehearsal's is after it, leaves no figures that look as if they were of now.
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM seat WHERE event_id = %s", (early,))
        connection.execute("DELETE FROM event WHERE event_id = %s", (early,))
    expect(page.locator("#room-list a")).to_have_count(3, timeout=30_000)
    expect(page.locator("#room-list a[aria-current]")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    assert complaints(visit, "401") == []
    visit.end()


def tell_in_german(visit: Visit, browser: Browser, german_url: str, french_url: str) -> None:
    """What the console sends in one language is read there by fans in line, and by nobody else."""
    fans = [browser.new_context(viewport={"width": 360, "height": 740}).new_page() for _ in range(2)]
    for fan, url in zip(fans, (german_url, french_url), strict=True):
        fan.goto(url)
        fan.locator("[data-join] button").first.click()
        stage(fan, "waiting")
        expect(fan.locator("#line-message bdi")).to_have_text("The doors open a quarter of an hour late.")
        expect(fan.locator("#line-message bdi")).to_have_attribute("lang", "")
    page = visit.page
    page.get_by_text("More languages").click()
    page.get_by_label("German").fill("Einlass eine Viertelstunde später. ")
    visit.photograph("console-3-phone-languages")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("summary b[data-f='languagesWithText']")).to_have_text("German")
    expect(page.locator("#log")).to_contain_text("German “Einlass eine Viertelstunde später.”")
    german, french = (fan.locator("#line-message bdi") for fan in fans)
    expect(german).to_have_text("Einlass eine Viertelstunde später.", timeout=SOON_MS)
    expect(german).to_have_attribute("lang", "de")
    expect(french).to_have_text("The doors open a quarter of an hour late.")
    page.get_by_role("button", name="Remove").click()
    for fan in fans:
        expect(fan.locator("#line-message")).to_be_hidden(timeout=SOON_MS)
    expect(page.get_by_label("German")).to_have_value("")
    expect(page.locator('[data-effect="message"]')).to_have_text("taken down everywhere")
    # What was taken down comes back in all its languages, and nothing else is undone with it.
    undo = page.locator("#undo-message")
    expect(undo).to_contain_text("Message → “The doors open")
    undo.click()
    expect(german).to_have_text("Einlass eine Viertelstunde später.", timeout=SOON_MS)
    expect(french).to_have_text("The doors open a quarter of an hour late.", timeout=SOON_MS)
    expect(page.get_by_label("German")).to_have_value("Einlass eine Viertelstunde später.")
    expect(undo).to_contain_text("Message → none")
    for fan in fans:
        fan.context.close()
    page.get_by_text("More languages").click()


def test_an_operator_schedules_takes_back_and_undoes(services: Services, database_url: str, browser: Browser) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=300, capacity=50))
    operators(database_url, "Ada")
    visit = sign_in(browser, services.gateway().url, "Ada")
    page = visit.page
    expect(page.locator("#room-list")).to_be_hidden()
    # A change that is scheduled by the venue's clock, in the list and the log, and taken back.
    page.locator("#steps summary").click()
    expect(page.locator('[data-f="stepZone"]')).to_have_text("By the clock of Europe/Berlin")
    at_venue = (dt.datetime.now(VENUE) + dt.timedelta(days=9)).replace(hour=10, minute=0, second=0, microsecond=0)
    page.locator("#step-form").get_by_label("At", exact=True).fill(f"{at_venue:%Y-%m-%dT%H:%M}")
    page.locator("#step-form").get_by_label("To", exact=True).fill("400")
    page.get_by_role("button", name="Schedule", exact=True).click()
    step = page.locator("#step-list li")
    expect(step).to_contain_text("Rate 400 a minute")
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT at, asks FROM room_step WHERE event_id = %s", (event_id,))
        at, asks = cast(tuple[object, object], row.fetchone())
    assert (at, asks) == (at_venue, {"rate_per_minute": 400})
    expect(page.locator("#log li").first).to_contain_text("Rate 400 a minute")
    visit.photograph("console-4-scheduled", whole=False)
    step.get_by_role("button").click()
    expect(step).to_have_count(0)
    # A preset fills the rate in, and nothing more: 150 seats, two a fan, in twenty minutes.
    page.locator('#presets [data-minutes="20"]').click()
    expect(page.get_by_label("Rate a minute")).to_have_value("4")
    with psycopg.connect(database_url) as connection:
        kept = connection.execute("SELECT rate_per_minute FROM room WHERE event_id = %s", (event_id,)).fetchone()
    assert kept == (300,)
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.locator('[data-f="rateNow"]')).to_have_text("4", timeout=SOON_MS)
    page.get_by_role("button", name="Undo: Rate → 300 a minute").click()
    expect(page.locator('[data-f="rateNow"]')).to_have_text("300", timeout=SOON_MS)
    expect(page.locator("#log li").first).to_contain_text("Rate 4 a minute → 300 a minute")
    assert complaints(visit, "401") == []
    visit.end()


@pytest.mark.long
def test_the_wall_shows_and_steers_nothing(services: Services, database_url: str, browser: Browser) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50))
    operators(database_url, "Ada")
    gateway = patient_gateway(services)
    fans = [Rival(gateway.url) for _ in range(3)]
    for fan in fans:
        fan.join(event_id)
    visit = sign_in(browser, gateway.url, "Ada", (1920, 1080))
    page = visit.page
    page.add_init_script(LISTEN)
    # What a fan reads stands beside the controls.
    expect(page.locator('[data-f="fansWait"]')).to_have_text("The line is standing still. Your place is safe.")
    page.get_by_label("Message to the line").fill("Doors at eight")
    page.get_by_role("button", name="Send").click()
    expect(page.locator('[data-f="fansMessage"]')).to_have_text("Doors at eight", timeout=SOON_MS)
    visit.photograph("console-5-desk", whole=False)
    page.goto(f"{gateway.url}/ops?wall#{event_id}")
    expect(page.locator('[data-f="waiting"]')).to_have_text("3")
    expect(page.locator(".steer")).to_be_hidden()
    expect(page.locator("#charts figure")).to_have_count(3)
    expect(page.locator('[data-f="takings"]')).to_have_text("€0.00")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE room SET rate_per_minute = 6, revision = revision + 1")
    expect(page.locator('[data-f="waitNow"]')).to_have_text(re.compile(r"min$"), timeout=20_000)
    assert loudest(page) == 0.0
    sound = page.get_by_role("button", name="Alarm sound: off")
    sound.click()
    expect(page.get_by_role("button", name="Alarm sound: on")).to_have_attribute("aria-pressed", "true")
    # The operator hears at once how it sounds, and then nothing while all is well.
    await_that(lambda: loudest(page) > 0.1)
    expect(page.locator("#alarm")).to_be_hidden()
    await_that(lambda: loudest(page) == 0.0)
    sizes = page.evaluate(
        "[...document.querySelectorAll('.wall .figures dt, .wall .sales dt, .wall figcaption')]"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert sizes
    assert min(sizes) >= 24
    seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert seen[0] <= 1920
    visit.photograph("console-6-wall", whole=False)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body")).to_have_css("background-color", DARK)
    assert violations(page) == []
    visit.photograph("console-7-wall-dark", whole=False)
    # Without news the wall says so, and rings until its sound is switched off.
    gateway.kill()
    expect(page.locator("#alarm")).to_have_text("Alarm: no news arrives from the server", timeout=30_000)
    for _ in range(2):
        await_that(lambda: loudest(page) > 0.1)
        await_that(lambda: loudest(page) == 0.0)
    assert violations(page) == []
    visit.photograph("console-8-wall-alarm", whole=False)
    page.get_by_role("button", name="Alarm sound: on").click()
    page.wait_for_timeout(RING_EVERY_MS + 1000)
    assert loudest(page) == 0.0
    visit.faults = [fault for fault in visit.faults if "net::ERR" not in fault]
    assert complaints(visit, "401") == []
    visit.end()
