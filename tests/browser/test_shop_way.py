"""The line before somebody else's shop, in a browser with scripts: it joins, and leaves for the shop, by itself."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from tests.services import Services

pytestmark = pytest.mark.browser

GO_IN_MS_MAX = 60_000


class _Shop(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        body = b"<!doctype html><title>Shop</title><h1>The shop</h1>"
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
