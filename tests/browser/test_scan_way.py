"""Check-in with the camera, and without a network: a real ticket's picture before a camera that Chromium plays."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import segno
from playwright.sync_api import APIResponse, Browser, Page, Playwright, Route, expect

from db.audit.invariants import audit
from db.events.seed import seed_demo
from db.operators.accounts import add_operator
from db.operators.roles import OperatorRole
from tests.browser.chromium import program
from tests.browser.test_fan_way import PASSWORD
from tests.browser.test_tabs_way import WIDE
from tests.client import Client, Fan
from tests.factories import SECRET
from tests.services import Service, Services
from tickets.keys import TicketKeys
from tickets.signed import SignedTicket

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 640, 480
PIXELS_OF_MODULE = 6
LIGHT, DARK = 225, 25


def film(text: str, path: Path) -> Path:
    """A film of one picture: a QR code that says the text, a little out of the middle, as a hand holds it."""
    matrix = segno.make_qr(text, error="m").matrix
    side = len(matrix) * PIXELS_OF_MODULE
    left, top = (WIDTH - side) // 2 + 17, (HEIGHT - side) // 2 - 11
    picture = [bytearray([LIGHT]) * WIDTH for _ in range(HEIGHT)]
    for row, modules in enumerate(matrix):
        line = b"".join(bytes([DARK if module else LIGHT]) * PIXELS_OF_MODULE for module in modules)
        for y in range(top + row * PIXELS_OF_MODULE, top + (row + 1) * PIXELS_OF_MODULE):
            picture[y][left : left + side] = line
    grey = bytes([128]) * (WIDTH * HEIGHT // 2)
    head = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420\n".encode()
    path.write_bytes(head + b"FRAME\n" + b"".join(picture) + grey)
    return path


@pytest.fixture
def site(services: Services, database_url: str) -> Iterator[tuple[Service, int]]:
    event_id = seed_demo(database_url, room=WIDE)
    add_operator(database_url, "doris", PASSWORD, role=OperatorRole.DOOR)
    services.worker()
    yield services.gateway(), event_id
    assert audit(database_url) == []


def tickets(gateway: Service, event_id: int) -> list[str]:
    """Two signed tickets that a fan has bought."""
    fan = Fan.arrive(gateway.url)
    fan.headers["X-Admission-Pass"] = fan.join(event_id).json["pass"]
    seats = [(1, 1, 1), (1, 1, 2)]
    bought = fan.buy(event_id, seats)
    purchase_id = uuid.UUID(bought["purchaseId"])
    return [TicketKeys(SECRET).sign(SignedTicket(event_id, purchase_id, seat, 1)) for seat in seats]


def open_gate(page: Page, gateway: Service) -> None:
    page.goto(f"{gateway.url}/scan")
    page.get_by_label("Name").fill("doris")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Gate, as this device").fill("North")
    page.get_by_role("button", name="Begin").click()


def type_in(page: Page, ticket: str) -> None:
    """Type a ticket as a reader does that is a keyboard."""
    page.get_by_label("Ticket code", exact=True).fill(ticket)
    page.keyboard.press("Enter")


def test_a_refusal_from_before_the_sign_in_does_not_undo_it(browser: Browser, site: tuple[Service, int]) -> None:
    """The page asks twice who is signed in, and the second refusal comes late."""
    gateway, _ = site
    page = browser.new_page(locale="en-GB")
    held: list[Route] = []
    answers: list[APIResponse] = []

    def hold(route: Route) -> None:
        if route.request.method == "GET" and not held:
            held.append(route)
            answers.append(route.fetch())
        else:
            route.fallback()

    page.route("**/api/ops/session", hold)
    open_gate(page, gateway)
    (refused,) = answers
    assert refused.status == HTTPStatus.UNAUTHORIZED
    with page.expect_response(lambda answer: answer.url.endswith("/session") and answer.ok):
        held[0].fulfill(response=refused)
    expect(page.locator("#gate")).to_be_visible()
    expect(page.get_by_label("Password")).to_be_hidden()
    page.close()


def test_a_ticket_before_the_camera_lets_one_person_in(
    playwright: Playwright, site: tuple[Service, int], tmp_path: Path
) -> None:
    gateway, event_id = site
    ticket, other = tickets(gateway, event_id)
    browser = playwright.chromium.launch(
        executable_path=program(),
        args=[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={film(ticket, tmp_path / 'ticket.y4m')}",
        ],
    )
    page = browser.new_page(locale="en-GB")
    open_gate(page, gateway)
    title = page.locator("#verdict-title")
    expect(title).to_have_text("✓ Let in")
    expect(page.locator("#verdict-place")).to_have_text("General · Row 1 · Seat 1")
    expect(page.locator("#count-here")).to_have_text("1")
    page.locator("#video").evaluate("video => video.srcObject.getTracks().forEach((track) => track.stop())")

    type_in(page, ticket)
    expect(title).to_have_text("✕ Used already")
    expect(page.locator("#verdict-words")).to_contain_text("at gate North")
    type_in(page, other)
    expect(title).to_have_text("✓ Let in")
    page.get_by_role("button", name="Undo the last one").click()
    expect(title).to_have_text("Undone")
    expect(page.locator("#count-all")).to_contain_text("1 of 2")

    page.get_by_label("row and seat (12 7)").fill("1 2")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Let in: ").click()
    expect(page.get_by_role("button", name="Undo: ")).to_be_visible()
    browser.close()


def test_without_a_network_the_page_opens_decides_and_syncs_later(
    playwright: Playwright, site: tuple[Service, int]
) -> None:
    gateway, event_id = site
    ticket, other = tickets(gateway, event_id)
    browser = playwright.chromium.launch(
        executable_path=program(), args=["--headless", "--no-sandbox", "--disable-gpu"]
    )
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    open_gate(page, gateway)
    expect(page.locator("#list-state")).to_contain_text("2 valid tickets kept")
    page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    context.set_offline(True)
    page.reload()
    expect(page.locator("#network")).to_contain_text("No network")
    page.get_by_role("button", name="Begin").click()

    title = page.locator("#verdict-title")
    type_in(page, ticket)
    expect(title).to_have_text("✓ Let in")
    expect(page.locator("#network")).to_contain_text("1 scan to sync")
    type_in(page, ticket)
    expect(title).to_have_text("✕ Used already")
    type_in(page, other[:-8] + "AAAAAAAA")
    expect(title).to_have_text("✕ Do not let in")
    expect(page.locator("#verdict-words")).to_have_text("This is no ticket of this site.")
    type_in(page, other)
    expect(title).to_have_text("✓ Let in")

    # Another gate, which has a network, lets the second ticket in meanwhile.
    gate = Client(gateway.url)
    token = gate.post("/api/ops/session", {"name": "doris", "password": PASSWORD}).json["token"]
    gate.headers["Authorization"] = f"Bearer {token}"
    body = {"ticket": other, "gate": "South", "deviceId": "device-south", "scanId": str(uuid.uuid4())}
    assert gate.post(f"/api/ops/events/{event_id}/entries", body).status == 201

    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()
    context.set_offline(False)
    # The page syncs by itself as well: where it was quicker, the button is off again, and the press does nothing.
    page.evaluate("() => document.getElementById('sync').click()")
    expect(page.locator("#conflict-list li")).to_contain_text("Row 1 · Seat 2 was used already")
    expect(page.locator("#conflict-list li")).to_contain_text("gate South")
    expect(page.locator("#network")).to_have_text("Online")
    counts = gate.get(f"/api/ops/events/{event_id}/entries").json["counts"]
    assert (counts["entries"], counts["conflicts"]) == (2, 1)
    browser.close()
