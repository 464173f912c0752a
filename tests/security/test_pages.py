"""Pages under attack: markup in names and searches, foreign pages, frames. The browser is a real Chromium."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.acceptance.conftest import OPERATOR, PASSWORD, Site
from tests.browser.words import JOIN
from tests.client import Client
from tests.factories import make_event, one_type, plan_event
from tests.security.description import NOBODY, Operation, operations

MARKUP = '<img src=x onerror="window.ran=1">\'"</script><script>window.ran=1</script>{{7*7}}<svg/onload=ran=1>'
EVIL = "http://evil.example"
SIGNED = ("/api/messages/replies", "/api/messages/reports", "/api/payments/{provider}/notices")
"""Programs post to these, with a signature and no cookie."""
FOREIGN: tuple[dict[str, str], ...] = (
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
)


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    """An event whose every name is markup."""
    return make_event(
        site.database_url,
        plan_event(
            name=MARKUP,
            artist=f"artist {MARKUP}",
            venue=f"venue {MARKUP}",
            hall=(one_type(MARKUP[:60], price=100, rows=2, seats_per_row=4),),
        ),
    )


class Elsewhere(ThreadingHTTPServer):
    """Another site: under the name localhost, while ours goes by its address."""

    body = ""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}/"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Elsewhere)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@dataclass
class Visit:
    """A page, and whatever of the attacks ran in it."""

    page: Page
    ran: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, context: BrowserContext) -> Visit:
        visit = cls(context.new_page())
        visit.page.on("dialog", lambda dialog: visit.ran.append(dialog.message))
        visit.page.on("pageerror", lambda error: visit.ran.append(str(error)))
        visit.page.on(
            "console",
            # The policy stops what got through; that it got through is the fault.
            lambda message: visit.ran.append(message.text) if "Content Security Policy" in message.text else None,
        )
        return visit

    def check(self) -> None:
        """Raises:
        AssertionError: something ran, or would have if the policy had let it.
        """
        assert self.page.evaluate("window.ran") is None
        assert self.ran == []
        assert self.page.locator("img[src=x], svg[onload]").count() == 0


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB")
    yield context
    context.close()


@pytest.mark.browser
def test_names_and_searches_are_words_only(site: Site, event_id: int, context: BrowserContext) -> None:
    visit = Visit.begin(context)
    page = visit.page
    page.goto(site.url)
    expect(page.get_by_text(MARKUP).first).to_be_visible()
    visit.check()
    page.goto(f"{site.url}/?q={quote(MARKUP[:90])}")
    expect(page.locator("#q")).to_have_value(MARKUP[:90])
    visit.check()
    page.goto(f"{site.url}/events/{event_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text(MARKUP)
    visit.check()
    page.get_by_role("button", name=JOIN).first.click()
    expect(page.locator("#quick")).to_be_visible(timeout=20_000)
    visit.check()
    page.locator("#quick-go").click()
    page.locator("#hold").click()
    expect(page.locator("#buy")).to_be_visible(timeout=20_000)
    visit.check()
    page.locator("#buy").click()
    page.wait_for_url("**/purchases/*", timeout=30_000)
    expect(page.get_by_text("onerror").first).to_be_visible()
    visit.check()


@pytest.mark.browser
def test_the_console_shows_words_only(site: Site, event_id: int, context: BrowserContext) -> None:
    site.operator()
    visit = Visit.begin(context)
    page = visit.page
    page.goto(f"{site.url}/ops")
    page.get_by_label("Name").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="onerror")).to_be_visible(timeout=20_000)
    visit.check()


@pytest.mark.browser
def test_another_sites_page_moves_nobody(
    site: Site, event_id: int, context: BrowserContext, elsewhere: Elsewhere
) -> None:
    """Its forms and fetches neither take the fan out of the line nor put another session in the fan's place."""
    page = context.new_page()
    page.goto(f"{site.url}/events/{event_id}")
    page.get_by_role("button", name=JOIN).first.click()
    expect(page.locator("#quick")).to_be_visible(timeout=20_000)
    before = {cookie["name"]: cookie["value"] for cookie in context.cookies(site.url)}
    assert "admitone_session" in before
    fan = site.client()
    fan.headers["Authorization"] = f"Bearer {before['admitone_session']}"
    number = fan.get(f"/api/queue/{event_id}").json["ticketNumber"]

    for path in (f"/events/{event_id}/leave", f"/events/{event_id}/join", "/api/session", "/api/ops/session"):
        elsewhere.body = (
            f"<form method=post enctype=text/plain action='{site.url}{path}'><input name=x value=y></form>"
            "<script>document.forms[0].submit()</script>"
        )
        with page.expect_response(site.url + path) as told:
            page.goto(elsewhere.url, wait_until="commit")
        assert told.value.status in (403, 415), path
        page.wait_for_load_state()
        now = {cookie["name"]: cookie["value"] for cookie in context.cookies(site.url)}
        assert now["admitone_session"] == before["admitone_session"], path
    place = fan.get(f"/api/queue/{event_id}").json
    assert (place["ticketNumber"], place["state"]) == (number, "admitted")


@pytest.mark.browser
def test_no_page_can_be_framed(site: Site, event_id: int, context: BrowserContext, elsewhere: Elsewhere) -> None:
    page = context.new_page()
    paths = ("/health/live", "/", f"/events/{event_id}", "/ops", "/schema")
    elsewhere.body = "".join(f"<iframe src='{site.url}{path}'></iframe>" for path in paths)
    page.goto(elsewhere.url)
    for frame in page.frames[1:]:
        frame.wait_for_url(re.compile("^(http|chrome-error)"))
    # The first is no page, and shows that this test would see one.
    assert [frame.url.removeprefix(site.url) for frame in page.frames[1:]] == [
        "/health/live",
        *["chrome-error://chromewebdata/"] * (len(paths) - 1),
    ]


# -- without a browser


def raw(client: Client, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """An answer that may be a page: its status, headers and content."""
    with closing(client._connect(20)) as connection:
        connection.request(method, path, body, headers)
        with connection.getresponse() as response:
            return response.status, response.headers, response.read()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/?q=x", 200),
        ("GET", "/events/{event}", 200),
        ("GET", "/events/987654321", 404),
        ("GET", "/purchases", 200),
        ("GET", f"/purchases/{NOBODY}", 404),
        ("GET", "/ops", 200),
        ("GET", "/scan", 200),
        ("GET", "/schema", 200),
        ("GET", "/nothing/here", 404),
        ("GET", "/static/x/y", 404),
        ("PUT", "/events/{event}", 405),
    ],
)
def test_pages_say_what_they_may(site: Site, event_id: int, method: str, path: str, status: int) -> None:
    """OWASP's headers for pages: nothing from elsewhere, nothing inline, in no frame, no guessing of types."""
    found, headers, content = raw(site.client(), method, path.format(event=event_id), {"Accept": "text/html"})
    assert found == status
    assert headers["Content-Type"].startswith("text/html")
    policy = {part.split()[0]: part.split()[1:] for part in headers["Content-Security-Policy"].split(";")}
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["form-action"] == ["'self'"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    camera = "camera=(self)" if path == "/scan" else "camera=()"
    assert {camera, "geolocation=()", "payment=()"} <= set(headers["Permissions-Policy"].split(", "))
    # What strangers are shown may be kept, and is the same for all of them (tests/acceptance/test_cacheable.py).
    for_everybody = status == 200 and path in {"/", "/?q=x", "/events/{event}"}
    assert headers["Cache-Control"].startswith("public, max-age=0, " if for_everybody else "no-store")
    assert "Set-Cookie" not in headers
    assert "Server" not in headers
    # Shared links and search engines need the page's own address, and the name of the vocabulary.
    text = content.decode().replace(site.client().url, "").replace("https://schema.org", "")
    assert "http://" not in text.replace("http://www.w3.org/", "")
    examples = "&#34;https://(?:shop\\.example&#34;|(?:(?:shop|push)\\.example\\.org|hooks\\.chat\\.example)/)"
    assert "https://" not in re.sub(examples, "", text), "but for the examples"
    # Within quotes a name may read like a handler, and is none.
    assert not re.search(r"<[a-z][^>]*\son[a-z]+=", re.sub('"[^"]*"', '""', text)), "a handler inline"
    assert not re.search(r"<script(?![^>]*\ssrc=)(?![^>]*type=\"application/(?:ld\+)?json\")", text), "a script inline"


def test_answers_with_a_token_are_kept_nowhere(site: Site, event_id: int) -> None:
    fan = site.admitted_fan(event_id)
    for answer in (fan.poll(event_id), site.client().post("/api/session"), fan.get("/api/purchases")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.fixture(scope="module")
def described(site: Site) -> list[Operation]:
    return operations(site.client().get("/schema/openapi.json").json)


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_site_changes_nothing_by_cookie(
    site: Site, event_id: int, described: list[Operation], headers: dict[str, str]
) -> None:
    """Every operation that changes something, or sets a cookie, with both cookies of a browser."""
    fan, operator = site.admitted_fan(event_id), site.operator()
    cookies = {
        "admitone_session": fan.token,
        "admitone_operator": operator.headers["Authorization"].removeprefix("Bearer "),
        f"admitone_pass_{event_id}": fan.headers["X-Admission-Pass"],
    }
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    changing = [operation for operation in described if operation.method != "GET" and operation.path not in SIGNED]
    assert len(changing) >= 8
    before, revision = site.bookings(), operator.get(f"/api/ops/rooms/{event_id}").json["revision"]
    for operation in changing:
        answer = operation.call(
            site.client(), ids={"event_id": event_id, "eventId": event_id}, headers=headers | {"Cookie": cookie}
        )
        assert (answer.status, answer.code) == (403, "cross_site"), operation.name
        assert "Set-Cookie" not in answer.headers
    forms = [f"/events/{event_id}/{action}" for action in ("join", "leave", "contact", "follow")]
    forms += [f"/account/{action}" for action in ("sign-in", "links", "links/x", "password", "elsewhere", "identities")]
    forms += ["/account/identities/remove", "/account/join/proof", "/account/join"]
    for form in forms:
        status, told, _ = raw(
            site.client(),
            "POST",
            form,
            headers | {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"},
            urlencode({"x": 1}).encode(),
        )
        assert status == 403
        assert "Set-Cookie" not in told
    assert site.bookings() == before
    assert operator.get(f"/api/ops/rooms/{event_id}").json["revision"] == revision
    assert fan.poll(event_id).json["state"] == "admitted"


def test_no_get_changes_anything(site: Site, event_id: int, described: list[Operation]) -> None:
    """Lax cookies travel with every link: so no link may do anything."""
    fan = site.admitted_fan(event_id)
    assert fan.reserve(event_id, best=(1, 1)).result
    before = site.bookings()
    for operation in described:
        if operation.method == "GET":
            operation.call(fan, ids={"event_id": event_id, "eventId": event_id})
    for path in (f"/events/{event_id}/join", f"/events/{event_id}/leave"):
        assert raw(site.client(), "GET", path, {"Cookie": f"admitone_session={fan.token}"})[0] == 405
    assert site.bookings() == before
    assert fan.poll(event_id).json["state"] == "admitted"
