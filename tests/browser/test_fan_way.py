"""A fan's whole way in a real browser: line, call, seats, captcha, ticket; and the console that opens the door."""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import segno
from playwright.sync_api import Browser, Page, expect

from db.booking.ticket_codes import open_code
from db.events.seed import RoomSeed, seed_demo
from tests.browser.looks import IN_ALL_LANGUAGES
from tests.browser.words import JOIN
from tests.services import ROOT, Service, Services

pytestmark = pytest.mark.browser

ARTEFACTS = ROOT / "artefacts"
RIVALS = 5
PASSWORD = "correct horse battery staple"
TURN_MS_MAX = 30_000


@dataclass
class Rival:
    """Another fan, without a browser."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers, method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Prefer", "wait=10")
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def join(self, event_id: int) -> dict[str, Any]:
        self.headers["Authorization"] = f"Bearer {self.call('POST', '/api/session')['token']}"
        return self.call("POST", f"/api/queue/{event_id}", {})

    def leave(self, event_id: int) -> None:
        request = urllib.request.Request(f"{self.url}/api/queue/{event_id}", headers=self.headers, method="DELETE")
        urllib.request.urlopen(request, timeout=20).close()

    def take(self, event_id: int, seat: tuple[int, int, int]) -> None:
        """Claim the call and hold a seat."""
        claimed = self.call("POST", f"/api/queue/{event_id}/claim", {})
        self.headers["X-Admission-Pass"] = claimed["pass"]
        ticket_type_id, row, number = seat
        details = {"ticketTypeId": ticket_type_id, "metaData": {"rowNumbers": [row], "seatNumbers": [number]}}
        job = self.call("POST", "/api/reserve", {"eventId": event_id, "seatDetails": [details]})
        assert job["status"] == "succeeded", job


@dataclass
class Visit:
    """A browser's page with what it complained of."""

    page: Page
    name: str
    faults: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, browser: Browser, name: str, size: tuple[int, int], scheme: Any) -> Visit:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale="en-GB"
        )
        visit = cls(context.new_page(), name)
        visit.page.on("pageerror", lambda error: visit.faults.append(str(error)))
        visit.page.on(
            "console",
            lambda message: visit.faults.append(message.text) if message.type in ("error", "warning") else None,
        )
        return visit

    def photograph(self, stage: str, *, whole: bool = True) -> None:
        """Keep a picture of the page where ``PICTURES=yes`` asks for pictures; each costs half a second."""
        if not IN_ALL_LANGUAGES:
            return
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.wait_for_timeout(400)
        self.page.screenshot(path=ARTEFACTS / f"{stage}-{self.name}.png", full_page=whole)

    def end(self) -> None:
        self.page.context.close()


def open_door(browser: Browser, services: Services, gateway: Service) -> None:
    """An operator signs in and turns the rate up from nothing."""
    added = services.run("operator", "add", "demo", "--password", PASSWORD)
    assert added.returncode == 0, added.stdout + added.stderr
    visit = Visit.begin(browser, "desktop-light", (1280, 860), "light")
    page = visit.page
    page.goto(gateway.url + "/ops")
    page.get_by_label("Name").fill("demo")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#sign-in-message")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator('[data-f="waiting"]')).to_have_text(str(RIVALS))
    page.get_by_label("Rate a minute").fill("90")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator('[data-effect="ratePerMinute"]')).to_have_text(re.compile("^(seen|in force)"))
    visit.photograph("8-console")
    visit.end()


def note_positions(page: Page) -> None:
    """Let the page write down every position it shows from now on, for `window.seen`."""
    page.evaluate(
        """() => {
            const place = document.getElementById("position");
            window.seen = [Number(place.textContent)];
            new MutationObserver(() => window.seen.push(Number(place.textContent)))
                .observe(place, { childList: true, characterData: true, subtree: true });
        }"""
    )


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        ("phone-light", (390, 844), "light"),
        pytest.param("desktop-dark", (1280, 860), "dark", marks=pytest.mark.long),
    ],
)
def test_a_fan_gets_from_the_line_to_two_tickets(
    services: Services, database_url: str, browser: Browser, name: str, size: tuple[int, int], scheme: str
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50))
    services.worker()
    # Rivals only wait, however long the browser takes: still, they are not to be passed over as absent.
    gateway = services.gateway(ADMITONE_CONNECTED_SECONDS="120", ADMITONE_ABSENCE_SECONDS="600")
    rivals = [Rival(gateway.url) for _ in range(RIVALS)]
    for rival in rivals:
        rival.join(event_id)

    visit = Visit.begin(browser, name, size, scheme)
    page = visit.page
    page.goto(gateway.url)
    visit.photograph("1-events")
    page.locator(f'a[href="/events/{event_id}"]').click()
    expect(page.locator("[data-ticket='1']")).to_contain_text("100 left")
    visit.photograph("2-join")
    page.get_by_role("button", name=JOIN).click()
    expect(page.locator("#position")).to_have_text(str(RIVALS + 1))
    expect(page.locator("#behind")).to_have_text("0")
    expect(page).to_have_title(re.compile(rf"^{RIVALS + 1} (in line|· ~)"))
    expect(page.locator("#rate")).to_have_text("0 per minute")
    visit.photograph("3-waiting")
    page.reload()
    expect(page.locator("#position")).to_have_text(str(RIVALS + 1))

    note_positions(page)
    rivals[-1].leave(event_id)
    expect(page.locator("#position")).to_have_text(str(RIVALS))
    open_door(browser, services, gateway)
    page.locator("#map svg").wait_for(timeout=TURN_MS_MAX)
    seen = page.evaluate("window.seen")
    assert seen[0] == RIVALS + 1
    assert RIVALS in seen, f"the position never moved: {seen}"
    assert seen == sorted(seen, reverse=True), f"the position rose: {seen}"

    # By keyboard: the seat nearest to the middle of the stage, then its neighbour.
    first = page.locator("[role=option][tabindex='0']")
    expect(first).to_have_attribute("aria-label", re.compile(r"^VIP row 1 seat 5, €129\.00, free$"))
    first.focus()
    for key in ("Enter", "ArrowRight", "Space"):
        page.keyboard.press(key)
    expect(page.locator("#picked li")).to_have_count(2)
    # Somebody else takes the first: the plan shows it, and the choice loses it.
    vip = int((first.get_attribute("data-key") or "").split("/")[0])
    rivals[0].take(event_id, (vip, 1, 5))
    expect(page.locator("#message")).to_contain_text("VIP row 1 seat 5 was just taken")
    expect(page.locator(f'[data-key="{vip}/1/5"]')).to_have_class("seat reserved")
    expect(page.locator("#picked li")).to_have_count(1)
    page.locator(".map-head").scroll_into_view_if_needed()
    page.mouse.wheel(0, size[1] // 3)
    visit.photograph("4-seats", whole=False)
    page.locator(f'[data-key="{vip}/1/7"]').click()
    expect(page.locator("#picked-total")).to_have_text("€258.00")
    page.get_by_role("button", name="Continue").click()

    expect(page.locator("#hold-left")).to_have_text(re.compile(r"^(10:00|9:5\d)$"))
    expect(page.locator("#person")).to_have_text("Security check passed")
    visit.photograph("5-held")
    page.reload()
    expect(page.locator("#hold-seats li")).to_have_count(2)
    page.get_by_role("button", name="Buy 2 tickets").click()

    page.wait_for_url(re.compile("/purchases/"))
    visit.photograph("6-ticket")
    with psycopg.connect(database_url) as connection:
        codes = {
            open_code(row[0])
            for row in connection.execute(
                "SELECT ticket_code FROM purchase_detail WHERE event_id = %s AND ticket_type_id = %s"
                " AND row_number = 1 AND seat_number IN (6, 7)",
                (event_id, vip),
            )
        }
    assert len(codes) == 2
    assert set(page.locator(".code").all_text_contents()) == codes
    tickets = page.url
    bought = page.request.get(f"{gateway.url}/api/purchases/{urlsplit(tickets).path.rpartition('/')[2]}").json()
    signed = {detail["ticketCode"]: detail["ticket"] for detail in bought["details"]}
    for ticket in page.locator(".ticket").all():
        drawn = ticket.locator("svg.qr path[stroke]").get_attribute("d")
        assert drawn == path_of_qr(signed[ticket.locator(".code").text_content() or ""])
    page.get_by_role("link", name="Your tickets").click()
    expect(page.locator(".event-row")).to_contain_text("2 tickets")
    visit.photograph("6-tickets")
    page.locator(".event-row").click()
    expect(page).to_have_url(tickets)
    give_one_back(visit, codes)
    assert visit.faults == []

    stranger = Visit.begin(browser, name, size, scheme)
    answer = stranger.page.goto(tickets)
    assert answer is not None
    assert answer.status == 404
    stranger.photograph("7-not-yours")
    stranger.end()
    visit.end()


def give_one_back(visit: Visit, codes: set[str]) -> None:
    """By keyboard: look, think better of it, look again, and cancel the first of two tickets."""
    page = visit.page
    dialog = page.get_by_role("dialog", name="Which tickets do you want to cancel?")
    page.get_by_role("button", name="Cancel tickets").press("Enter")
    expect(dialog.get_by_role("button", name="Choose tickets")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Cancel tickets").press("Enter")
    expect(dialog.get_by_role("checkbox").first).to_be_focused()
    page.keyboard.press("Space")
    expect(dialog.get_by_role("status")).to_have_text("1 ticket, €129.00 back")
    visit.photograph("9-cancelling", whole=False)
    dialog.get_by_role("button", name="Cancel 1 ticket").press("Enter")
    expect(page.locator(".ticket.is-void")).to_contain_text("Cancelled, not valid")
    expect(page.locator(".qr-box")).to_have_count(1)
    expect(page.locator(".code")).to_have_count(1)
    (left,) = page.locator(".code").all_text_contents()
    assert left in codes
    visit.photograph("9-cancelled")
    page.get_by_role("button", name="Cancel tickets").click()
    last = page.get_by_role("dialog", name="Cancel this ticket?")
    expect(last.get_by_role("button", name="Keep the ticket")).to_be_focused()
    visit.photograph("9-cancelling-the-last", whole=False)
    last.get_by_role("button", name="Cancel 1 ticket").click()
    expect(page.get_by_role("heading", name="This purchase was cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel tickets")).to_have_count(0)
    page.get_by_role("link", name="Your tickets").click()
    expect(page.locator(".event-row")).to_contain_text("Cancelled")


def path_of_qr(text: str) -> str:
    found = re.search(r' d="([^"]+)"', segno.make_qr(text, error="m").svg_inline(border=4, omitsize=True))
    assert found
    return found[1]


def test_without_scripts_one_can_join_see_the_place_and_leave(
    services: Services, database_url: str, browser: Browser, tmp_path: Path
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50))
    gateway = services.gateway()
    Rival(gateway.url).join(event_id)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_role("button", name=JOIN).click()
    expect(page).to_have_url(f"{gateway.url}/events/{event_id}")
    expect(page.locator("#position")).to_have_text("2")
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    page.get_by_role("button", name="Leave the line").click()
    expect(page.get_by_role("button", name=JOIN)).to_be_visible()
    context.close()
