"""The line before somebody else's shop, in a browser with scripts: it joins, and leaves for the shop, by itself."""

from __future__ import annotations

import http.client
import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.looks import Looks
from tests.integration.deploy.test_gate import nginx
from tests.services import Services, free_port
from tests.waiting import await_that

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(300)]

GO_IN_MS_MAX = 60_000


class _Shop(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        banner = f'<script src="/line/wait/widget.js" data-room="{self.path[1:]}" defer></script>'
        body = (
            '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Shop</title>'
            f"<main><h1>The shop</h1><p>Fine things.</p></main>{banner if self.path[1:].isdigit() else ''}</html>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def shop() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def front(services: Services, shop: str, tmp_path: Path) -> Iterator[tuple[str, str, int]]:
    """The shop behind nginx, whose checkout is protected and which has our pages at its own host.

    Gives its address, ours, and the room's number.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    asked = ("--path", "/checkout", "--rate", "0", "--own-page")
    site = f"{url}/line"
    made = services.run("shop", "add", url, "--name", "The Corner Shop", *asked, ADMITONE_PUBLIC_URL=site)
    assert made.returncode == 0, made.stderr
    event_id = int(made.stdout.removeprefix("room "))
    gateway_port = free_port()
    services.gateway(
        port=gateway_port, ADMITONE_PUBLIC_URL=site, ADMITONE_TRUSTED_PROXIES="127.0.0.1", ADMITONE_CAPTCHA="off"
    )
    command = nginx(tmp_path, port, gateway_port, urlsplit(shop).port or 0, event_id, at_own_host=True)
    process = subprocess.Popen(command)

    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/line/health/live")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    await_that(answers, what="nginx")
    yield url, site, event_id
    process.terminate()
    process.wait(15)


def test_fans_wait_at_the_shops_own_host_by_its_banner_or_on_our_page(
    front: tuple[str, str, int], database_url: str, browser: Browser
) -> None:
    url, site, event_id = front
    looks = Looks(read_at_every_size=False)
    faults: list[str] = []
    guest, fan = browser.new_context(), browser.new_context()
    page = guest.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    # A page of the shop that needs no pass, with our banner.
    page.goto(f"{url}/{event_id}")
    page.get_by_role("button", name="Join the line").click()
    expect(page.get_by_role("status")).to_contain_text("Place 1 in line.")
    own_page = page.get_by_role("link", name="Your place in line").get_attribute("href")
    assert (own_page or "").startswith(f"{site}/wait/{event_id}?to=")
    looks.look(page, "shop-banner")
    # Another fan wants to buy at once, and comes to our whole page at the shop's host.
    waiting = fan.new_page()
    waiting.on("pageerror", lambda error: faults.append(str(error)))
    waiting.goto(f"{url}/checkout?step=1")
    assert waiting.url.startswith(f"{site}/wait/{event_id}?to=")
    expect(waiting.locator("#position")).to_have_text("2")
    looks.look(waiting, "shop-own-page")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE room SET rate_per_minute = 6000, revision = revision + 1")
    waiting.wait_for_url(f"{url}/checkout?step=1", timeout=GO_IN_MS_MAX)
    expect(waiting.locator("h1")).to_have_text("The shop")
    page.get_by_role("link", name="Go in now").click(timeout=GO_IN_MS_MAX)
    page.wait_for_url(f"{url}/{event_id}", timeout=GO_IN_MS_MAX)
    page.goto(f"{url}/checkout")
    assert page.url == f"{url}/checkout", "the pass is there"
    page.goto(f"{url}/{event_id}")
    expect(page.get_by_role("status")).to_be_hidden()
    assert (faults, looks.faults) == ([], [])
    for context in (guest, fan):
        context.close()


def test_a_fan_leaves_the_line_from_the_banner_once_asked(
    front: tuple[str, str, int], database_url: str, browser: Browser
) -> None:
    url, _, event_id = front
    looks = Looks(read_at_every_size=True)
    faults: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{url}/{event_id}")
    page.get_by_role("button", name="Join the line").click()
    expect(page.get_by_role("status")).to_contain_text("Place 1 in line.")
    # By the keyboard alone: the safe answer has the focus, and Escape is another no.
    leave, question = page.get_by_role("button", name="Leave the line"), page.get_by_role("group")
    leave.focus()
    page.keyboard.press("Enter")
    expect(question).to_have_accessible_name("Leave the line? You lose your place for good.")
    expect(page.get_by_role("button", name="Keep my place")).to_be_focused()
    looks.look(page, "shop-banner-leave")
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(leave).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(question).to_be_hidden()
    expect(page.get_by_role("status")).to_contain_text("Place 1 in line.")
    # News of the place, for another fan joins, leaves an open question alone.
    page.keyboard.press("Enter")
    other = browser.new_context()
    second = other.new_page()
    second.goto(f"{url}/{event_id}")
    second.get_by_role("button", name="Join the line").click()
    expect(second.get_by_role("status")).to_contain_text("Place 2 in line.")
    expect(question).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("You left the line.")
    expect(page.get_by_role("button", name="Join the line")).to_be_focused()
    expect(second.get_by_role("status")).to_contain_text("Place 1 in line.", timeout=GO_IN_MS_MAX)
    # Whoever comes again is the last.
    page.reload()
    page.get_by_role("button", name="Join the line").click()
    expect(page.get_by_role("status")).to_contain_text("Place 2 in line.")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE room SET rate_per_minute = 6000, revision = revision + 1")
    expect(page.get_by_role("link", name="Go in now")).to_be_visible(timeout=GO_IN_MS_MAX)
    expect(question).to_be_hidden()
    assert (faults, looks.faults) == ([], [])
    for one in (context, other):
        one.close()


def test_a_fan_waits_and_is_taken_to_the_shop(
    services: Services, database_url: str, browser: Browser, shop: str
) -> None:
    made = services.run("shop", "add", shop, "--name", "The Corner Shop", "--rate", "0")
    assert made.returncode == 0, made.stderr
    event_id = made.stdout.removeprefix("room ").strip()
    gateway = services.gateway(ADMITONE_CAPTCHA="off")
    context = browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{gateway.url}/wait/{event_id}?to={quote(f'{shop}/checkout?step=1', safe='')}")
    expect(page.locator("#position")).to_have_text("1")
    expect(page.locator("h1")).to_have_text("The Corner Shop")
    expect(page.locator("[data-stage=waiting] .steps")).to_contain_text("takes you to the shop by itself")
    expect(page.locator("aside.side")).to_have_text("")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE room SET rate_per_minute = 6000, revision = revision + 1")
    page.wait_for_url(re.compile(r"/checkout\?step=1&admitone_pass=[\w.-]+$"), timeout=GO_IN_MS_MAX)
    expect(page.locator("h1")).to_have_text("The shop")
    # Whoever comes again while the pass is good is sent on at once, to where the fan wants to go now.
    page.goto(f"{gateway.url}/wait/{event_id}?to={quote(f'{shop}/basket', safe='')}")
    page.wait_for_url(re.compile(r"/basket\?admitone_pass="))
    assert faults == []
    context.close()
