"""Every page in every state: axe-core finds nothing, nothing scrolls sideways, and the way to the ticket is heard.

`make test` looks at the fan's way and at the console; `make test-long` at all pages, at every size.
"""

from __future__ import annotations

import datetime as dt
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import APIRequestContext, Browser, BrowserContext, Error, Page, Route, expect

from db.events.seed import RoomSeed, seed_demo, seed_stadium
from db.operators.accounts import add_operator
from db.pictures import keep_picture
from db.rooms.states import RoomState
from gateway.programme.pictures import picture_forms
from messages.links import LinkTokens, Reader
from tests.browser.looks import ARTEFACTS, DESKTOP, IN_ALL_LANGUAGES, LISTEN, Looks, Transcript, violations
from tests.browser.test_fan_way import PASSWORD
from tests.browser.test_tabs_way import stage
from tests.browser.words import JOIN
from tests.client import Client, Fan
from tests.factories import make_event, one_type, plan_event
from tests.services import Services
from tests.waiting import await_that

pytestmark = pytest.mark.browser

AHEAD = 12
"""How many fans stand in line before the one whose way is walked."""
OPERATOR = "Ada"


@dataclass(frozen=True)
class Site:
    """A gateway with an event in each state."""

    url: str
    database_url: str
    secret: str
    office: APIRequestContext
    hall: int
    stadium: int
    early: int
    lobby: int
    drawn: int
    one_seat: int
    closed: int
    cancelled: int
    off_sale: int
    full: int

    def steer(self, event_id: int, **dials: Any) -> None:
        answer = self.office.patch(f"{self.url}/api/ops/rooms/{event_id}", data=dials)
        assert answer.ok, answer.text()


def picture(database_url: str, event_id: int) -> None:
    """Give the event a picture and the doors' time."""
    drawn = Image.new("RGB", (1280, 720), "#1d2340")
    pen = ImageDraw.Draw(drawn)
    for number in range(9):
        pen.ellipse((140 * number - 60, 380 - 34 * number, 140 * number + 200, 640 - 34 * number), fill="#f0a35e")
    file = io.BytesIO()
    drawn.save(file, "PNG")
    forms = picture_forms(file.getvalue(), 4_000_000)
    with psycopg.connect(database_url, autocommit=True) as connection:
        keep_picture(connection, forms)
        connection.execute(
            "UPDATE event SET picture_hash = %s, picture_alt = 'Lights above a stage',"
            " doors_at = date - interval '1 hour' WHERE event_id = %s",
            (forms.hash, event_id),
        )


def a_stadium(database_url: str) -> int:
    """A hall too large to be drawn as a whole: for the pictures 80,000 seats, for axe the fewest that will do."""
    room = RoomSeed(state=RoomState.OFF)
    if IN_ALL_LANGUAGES:
        return seed_stadium(database_url, room=room)
    stands = tuple(
        one_type(name, rows=16, seats_per_row=20, price=price)
        for name, price in (("North", 8900), ("East", 11900), ("South", 6900), ("West", 14900))
    )
    return make_event(database_url, plan_event(name="Long Way Home Tour", hall=stands, room=room))


def make_site(services: Services, database_url: str, browser: Browser) -> Site:
    """One event a state, made before anything is started."""
    small = (one_type("Stalls", rows=2, seats_per_row=4),)
    shut = RoomSeed(rate_per_minute=0, capacity=50, claim_window_seconds=600)

    def event(name: str, room: RoomSeed, minutes: float = -60, *, hall: Any = small) -> int:
        on_sale_in = dt.timedelta(minutes=minutes)
        return make_event(database_url, plan_event(name=name, hall=hall, room=room, on_sale_in=on_sale_in))

    hall = seed_demo(database_url, room=shut)
    picture(database_url, hall)
    drawn = event("Matinee", RoomSeed(rate_per_minute=0, capacity=50, lobby_minutes=5), 0.2)
    early = event("Kammermusik", RoomSeed(lobby_minutes=30), 600)
    lobby = event("Silent Film Night", RoomSeed(rate_per_minute=0, capacity=50, lobby_minutes=30), 20)
    one_seat = event("Open Rehearsal", RoomSeed(), hall=(one_type("Stalls"),))
    closed, cancelled, off_sale = (event(name, RoomSeed()) for name in ("Gala", "Winterreise", "Late Set"))
    full = event("Club Night", RoomSeed(rate_per_minute=0, capacity=0, line_cap=1))
    stadium = a_stadium(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE event SET state = 'cancelled', notice = 'The singer is ill. We pay you back.' WHERE event_id = %s",
            (cancelled,),
        )
        connection.execute("UPDATE event SET state = 'unpublished' WHERE event_id = %s", (off_sale,))
    add_operator(database_url, OPERATOR, PASSWORD)
    services.worker()
    # Fans only wait here, however long the browser takes: still, they are not to be passed over as absent.
    url = services.gateway(ADMITONE_CONNECTED_SECONDS="120", ADMITONE_ABSENCE_SECONDS="600").url
    office = browser.new_context().request
    assert office.post(f"{url}/api/ops/session", data={"name": OPERATOR, "password": PASSWORD}).ok
    site = Site(
        url,
        database_url,
        services.environ["ADMITONE_SECRET"],
        office,
        hall,
        stadium,
        early,
        lobby,
        drawn,
        one_seat,
        closed,
        cancelled,
        off_sale,
        full,
    )
    site.steer(closed, closed=True)
    for place in range(AHEAD):
        fan = Fan.arrive(url)
        fan.join(hall)
        if place < 3:
            fan.join(drawn)
        if place == 0:
            fan.join(full)
            fan.join(one_seat)
            fan.claim(one_seat)
            fan.buy(one_seat, [(1, 1, 1)])
            fan.call("PUT", f"/api/events/{one_seat}/contact", {"mail": "ada@example.org"})
    return site


def fans_context(browser: Browser, **options: Any) -> BrowserContext:
    context = browser.new_context(
        viewport={"width": DESKTOP.width, "height": DESKTOP.height}, locale="en-GB", reduced_motion="reduce", **options
    )
    context.add_init_script(LISTEN)
    return context


def is_in(name: str, page: Page) -> None:
    """The page is in this stage, with what it fetches."""
    stage(page, name)
    if name == "choose":
        page.locator("#map svg").first.wait_for()
    elif name == "waiting":
        expect(page.locator("#rate")).not_to_have_text("–")
    elif name == "held":
        expect(page.locator("#person")).to_have_text(re.compile(r"\S"))
        expect(page.locator("#buy")).to_be_enabled()


def is_there(_: Page) -> None:
    """A page that is whole as it comes."""


def never_answered(_: Route) -> None:
    """A request that waits until its page is gone."""


def walk_to_the_ticket(site: Site, browser: Browser, looks: Looks) -> Transcript:
    """One tab goes the way without being reloaded; each step is looked at in another tab of the same fan."""
    context = fans_context(browser)
    page, other = context.new_page(), context.new_page()
    other.route("**/claim", never_answered)
    transcript = Transcript(page)
    path = f"/events/{site.hall}"

    def step(name: str, *, address: str = path, shows: str = "") -> None:
        transcript.note(name)
        looks.look_in_languages(other, name, address, partial(is_in, shows or name) if address == path else is_there)

    other.goto(site.url)
    page.goto(site.url)
    step("home", address="/")
    page.get_by_role("link", name=re.compile("Nachtflug")).click()
    is_in("join", page)
    step("join")

    page.get_by_role("button", name=JOIN).click()
    is_in("waiting", page)
    expect(page.locator("#position")).to_have_text(str(AHEAD + 1))
    step("waiting")
    site.steer(site.hall, paused=True, message="The doors open a quarter of an hour late.")
    expect(page.locator("#line-message")).to_contain_text("a quarter of an hour late")
    expect(page.locator("#paused")).to_be_visible()
    step("paused", shows="waiting")
    # What only some fans see while they wait, all at once.
    other.evaluate(
        """() => {
            for (const id of ["idle", "drawn", "returning", "run-out"]) {
                const part = document.getElementById(id);
                part.hidden = false;
                part.textContent ||= "You were drawn: place 3 of 40.";
            }
            document.querySelectorAll("details:not([hidden])").forEach((details) => { details.open = true; });
        }"""
    )
    looks.look(other, "waiting with every notice")
    site.steer(site.hall, paused=False, message="")

    claims: list[Route] = []
    page.route("**/claim", lambda claim: claims.append(claim))
    site.steer(site.hall, ratePerMinute=6000)
    is_in("called", page)
    page.wait_for_timeout(300)
    step("called")
    other.goto("about:blank")
    page.unroute("**/claim")
    for claim in claims:
        with suppress(Error):  # The page may have given this one up.
            claim.continue_()

    is_in("choose", page)
    other.goto(site.url)
    step("choose")
    other.goto(f"{site.url}{path}")
    is_in("choose", other)
    other.get_by_role("option", name=re.compile("free")).first.click()
    other.locator("#picked-toggle").click()
    looks.look(other, "choose with a seat picked")
    other.goto("about:blank")
    page.get_by_label("How many tickets?").select_option("2")
    page.get_by_role("button", name="Find seats").click()
    expect(page.locator("#picked li")).to_have_count(2)
    transcript.note("proposals")
    page.get_by_role("button", name="Continue").click()

    is_in("held", page)
    expect(page.locator("#person")).to_have_text("Security check passed")
    other.goto(site.url)
    step("held")
    other.goto("about:blank")
    page.get_by_role("button", name="Buy 2 tickets").click()
    page.wait_for_url(re.compile("/purchases/"))
    other.goto(site.url)
    purchase = page.url.removeprefix(site.url)
    step("ticket", address=purchase)
    other.goto(site.url + purchase)
    other.get_by_role("button", name="Cancel tickets").click()
    looks.look(other, "cancelling")
    other.goto(f"{site.url}{purchase}#ticket-1")
    looks.look(other, "at the door")
    looks.look_in_languages(other, "purchases", "/purchases", is_there)
    looks.look_in_languages(other, "done", path, partial(is_in, "done"))
    context.close()
    return transcript


def see_other_states(site: Site, browser: Browser, looks: Looks) -> None:
    """What fans see who are on no way to a ticket."""
    context = fans_context(browser)
    page = context.new_page()
    page.goto(site.url)
    stages = (
        ("early", site.early, "early"),
        ("before the lobby", site.lobby, "join"),
        ("sold out", site.one_seat, "sold_out"),
        ("closed", site.closed, "closed"),
        ("cancelled", site.cancelled, "closed"),
        ("off sale", site.off_sale, "closed"),
    )
    for name, event_id, shown in stages:
        looks.look_in_languages(page, name, f"/events/{event_id}", partial(is_in, shown))
    page.goto(f"{site.url}/events/{site.lobby}")
    page.get_by_role("button", name="Enter the lobby").click()
    is_in("lobby", page)  # a page that is left at once asks for no place
    looks.look_in_languages(page, "lobby", f"/events/{site.lobby}", partial(is_in, "lobby"))
    page.goto(f"{site.url}/events/{site.full}")
    page.get_by_role("button", name=JOIN).click()
    is_in("line_full", page)
    looks.look(page, "line full")
    # A line is rebuilt, and a turn passes, in other tests; here their words are shown.
    for name in ("rebuilding", "expired"):
        page.evaluate(
            """(name) => document.querySelectorAll(".stage").forEach((part) => {
                part.hidden = part.dataset.stage !== name;
            })""",
            name,
        )
        looks.look(page, name)
    page.goto(f"{site.url}/events/{site.hall}")
    context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("offline")
    looks.look(page, "offline")
    context.set_offline(False)

    looks.look_in_languages(page, "draw to come", f"/events/{site.lobby}/draw", is_there)
    page.goto(f"{site.url}/events/{site.drawn}/draw")
    looks.look_in_languages(page, "draw", f"/events/{site.drawn}/draw", is_there)
    looks.look_in_languages(page, "not found", "/events/999999", is_there)
    looks.look_in_languages(page, "no such ticket", "/purchases/00000000-0000-0000-0000-000000000000", is_there)
    looks.look_in_languages(page, "no purchases", "/purchases", is_there)
    page.goto(f"{site.url}/schema")
    # Hundreds of parts of one form, of which axe would read for minutes: some stand for all.
    page.evaluate(
        """() => {
            document.querySelectorAll("details.call").forEach((call, number) => { call.open = number < 4; });
            document.querySelectorAll(".type:nth-of-type(n + 6)").forEach((type) => type.remove());
        }"""
    )
    looks.look(page, "schema")

    see_messages(site, page, looks)
    looks.look_in_languages(page, "stadium", f"/events/{site.stadium}", partial(is_in, "choose"))
    page.goto(f"{site.url}/events/{site.stadium}")
    is_in("choose", page)
    page.get_by_text("All sections, cheapest first").click()
    page.get_by_role("button", name="Find seats").click()
    expect(page.locator("#proposals button").first).to_have_attribute("aria-pressed", "true")
    looks.look(page, "stadium section")
    context.close()


def see_messages(site: Site, page: Page, looks: Looks) -> None:
    """What the links of messages lead to, and the mailbox of a development site with one mail."""
    tokens = LinkTokens(site.secret)
    token = tokens.sign_reader(Reader(channel="mail", address="ada@example.org", kind="turn"))
    looks.look_in_languages(page, "preferences", f"/messages/{token}?saved=true", is_there)
    looks.look_in_languages(page, "unsubscribe", f"/messages/{token}/unsubscribe", is_there)
    page.get_by_role("button", name="Unsubscribe").click()
    looks.look(page, "unsubscribed")
    confirm = tokens.sign_confirmation("00000000-0000-7000-8000-000000000000")
    looks.look_in_languages(page, "confirm", f"/messages/confirm/{confirm}", is_there)
    looks.look_in_languages(page, "told", f"/events/{site.early}?told=contact", is_there)
    looks.look_in_languages(page, "account signed out", "/account?problem=unfinished", is_there)
    link = tokens.sign_account_link("ada@example.org")
    looks.look_in_languages(page, "account link", f"/account/links/{link}", is_there)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set my password").click()
    page.wait_for_url(re.compile("told=in"))
    looks.look_in_languages(page, "account", "/account?told=password", is_there)
    other = {"link": tokens.sign_account_link("ada@example.com"), "password": PASSWORD}
    assert Client(site.url).post("/api/account/password", other).status == 201
    page.goto(f"{site.url}/account")
    page.get_by_label("E-mail address of the other account").fill("ada@example.com")
    page.get_by_label("Password of the other account").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(re.compile("proof="))
    looks.look_in_languages(page, "account join", page.url.removeprefix(site.url), is_there)
    mail = page.locator("a.event-row").first

    def sent() -> bool:
        page.goto(f"{site.url}/dev/mailbox")
        return mail.count() > 0

    await_that(sent, seconds_max=30, what="a mail in the mailbox")
    looks.look(page, "mailbox")
    mail.click()
    page.locator("iframe.mail").wait_for()
    looks.look(page, "mail")
    # Where a mail stands by itself, its policy lets no script run, not even axe.
    mail_page = page.request.get(f"{site.url}/ops/messages/preview/purchase/en").text()
    page.goto("about:blank")
    page.set_content(mail_page)
    looks.look(page, "mail by itself")
    page.goto(site.url)


def enter_the_console(site: Site, browser: Browser, looks: Looks) -> Page:
    """The operators' pages are in English alone. Gives one at the console, for `see_the_office`."""
    site.steer(site.hall, capacity=60)
    context = browser.new_context(locale="en-GB", reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{site.url}/ops")
    page.get_by_label("Password").wait_for()
    looks.look(page, "sign-in")
    page.get_by_label("Name").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator(f'#room-list a[href="#{site.hall}"]').click()
    expect(page.locator('[data-f="name"]')).to_contain_text("Nachtflug")
    expect(page.locator("#log li").first).to_be_visible()
    expect(page.locator("#charts canvas").first).to_be_visible()
    looks.look(page, "console")
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("dialog").get_by_label("Reason").wait_for()
    looks.look(page, "console closing")
    page.keyboard.press("Escape")
    return page


def see_the_office(site: Site, page: Page, looks: Looks) -> None:
    """The operators' other pages."""

    def open_at(path: str, ready: str) -> None:
        page.goto(site.url + path)
        page.locator(ready).wait_for()

    open_at(f"/ops/rooms/{site.hall}/codes", "#codes")
    page.get_by_label("What for").fill("Fan club presale")
    page.get_by_label("How many").fill("3")
    page.get_by_role("button", name="Issue", exact=True).click()
    expect(page.locator("#message")).to_have_text("Issued 3 codes.")
    looks.look(page, "codes")
    open_at(f"/ops/events/{site.hall}/vouchers", "#vouchers")
    page.get_by_label("What for").fill("Students")
    page.get_by_label("How many").fill("3")
    page.get_by_label("Less by").fill("50")
    page.get_by_role("button", name="Issue", exact=True).click()
    expect(page.locator("#message")).to_have_text("Issued 3 vouchers.")
    expect(page.locator("#issues")).to_contain_text("50 % less a seat · 3 vouchers, 0 of 3 uses taken")
    looks.look(page, "vouchers")
    open_at(f"/ops/events/{site.hall}/allotments", "#allotments")
    page.get_by_label("What for").fill("House seats")
    page.get_by_label("Seats, by their rows").fill("9: 1-3, 7; 10: 2")
    page.get_by_role("button", name="Take them out").click()
    expect(page.locator("#message")).to_have_text("House seats is out of the sale.")
    expect(page.locator("#list")).to_contain_text("General row 9: 1–3, 7; General row 10: 2")
    looks.look(page, "allotments")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Put House seats back into the sale").click()
    expect(page.locator("#none")).to_be_visible()
    open_at("/ops/events", "#events .event-row >> nth=0")
    looks.look(page, "programme")
    open_at("/ops/events/new", "#event-form")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#message")).to_be_visible()
    looks.look(page, "new event")
    open_at(f"/ops/events/{site.hall}", "#types .type >> nth=0")
    looks.look(page, "event form")
    page.get_by_role("button", name="Cancel the event…").click()
    looks.look(page, "cancelling the event")
    open_at("/ops/messages", "#dead-words:not(:empty)")
    looks.look(page, "messages")
    open_at("/ops/webhooks", "#none")
    looks.look(page, "no webhooks")
    page.get_by_role("button", name="Add a webhook").click()
    page.get_by_label("Address").fill(f"{site.url}/no-such-page")
    looks.look(page, "adding a webhook")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_label("Secret")).to_have_value(re.compile("^whsec_"))
    looks.look(page, "webhooks")
    open_at("/ops/account", "#sessions li >> nth=0")
    looks.look(page, "account")
    open_at("/ops/desk", "#search")
    page.get_by_label("Order, hold").fill("1")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#found-none")).to_be_visible()
    looks.look(page, "desk")
    open_at("/ops/networks", "#rules li >> nth=0")
    page.get_by_label("Networks, addresses").fill("203.0.113.0/24")
    page.get_by_label("Reason").fill("sells on")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#rules")).to_contain_text("203.0.113.0/24 is turned away")
    looks.look(page, "networks")
    open_at("/ops/shops", "#none")
    page.get_by_role("button", name="Protect a shop").click()
    page.get_by_label("Shop’s address, without a path").fill("https://shop.example")
    looks.look(page, "protecting a shop")
    page.get_by_role("button", name="Protect", exact=True).click()
    page.locator("#list summary").click()
    expect(page.get_by_label("The file")).to_have_value(re.compile(r"server_name shop\.example;"))
    looks.look(page, "shops")
    open_at("/ops/lanes", "#list li >> nth=0")
    looks.look(page, "lanes")
    open_at("/ops/operators", "#list li >> nth=0")
    page.get_by_role("button", name=f"Role of {OPERATOR}").click()
    looks.look(page, "operators")
    open_at("/scan", "#setup")
    looks.look(page, "check-in")
    page.get_by_label("Gate, as this device").fill("North")
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("Ticket code", exact=True).fill("ABCDEFGHIJKLMNOP")
    page.get_by_role("button", name="Check in").click()
    expect(page.locator("#verdict-title")).to_have_text("✕ Do not let in")
    looks.look(page, "a refused ticket")


def assert_axe_finds_faults(browser: Browser) -> None:
    """Or it would find none anywhere."""
    page = browser.new_page()
    page.set_content('<p style="color: #ccc; background: #fff">Hardly seen</p><button></button>')
    found = {fault.partition(":")[0] for fault in violations(page)}
    assert {"button-name", "color-contrast", "html-has-lang"} <= found
    page.close()


def hear(transcript: Transcript) -> None:
    """The way as a screen reader tells it."""
    headings = {
        "home": ["What’s on", "On sale now"],
        "join": ["Nachtflug: Lena Brandt and Band", "Tickets are on sale", "Tickets"],
        "waiting": ["Your place in line", "What happens next"],
        "called": ["It’s your turn!"],
        "choose": ["Best seats together", "Or pick on the map"],
        "held": ["Your seats"],
        "ticket": ["Your tickets"],
    }
    for step, expected in headings.items():
        assert set(expected) <= set(transcript.headings(step)), (step, transcript.headings(step))
    # The map tells of this fan's own hold too, perhaps before the hold's answer comes.
    assert "just taken" not in transcript.heard("held")
    said = {
        "paused": ["The doors open a quarter of an hour late."],
        "called": ["It’s your turn! Opening the seats…"],
        "choose": ["It’s your turn: choose your seats."],
        "held": ["Security check passed"],
    }
    for step, words in said.items():
        for one in words:
            assert one in transcript.heard(step), (step, transcript.steps[step][1])


@pytest.mark.timeout(1500 if IN_ALL_LANGUAGES else 900)
@pytest.mark.parametrize(
    "at_every_size",
    [
        pytest.param(IN_ALL_LANGUAGES, id="everyday"),
        pytest.param(True, id="every-size", marks=pytest.mark.long),
    ],
)
def test_axe_finds_nothing_on_any_page_and_the_way_can_be_heard(
    services: Services, database_url: str, browser: Browser, at_every_size: bool
) -> None:
    site = make_site(services, database_url, browser)
    looks = Looks(read_at_every_size=at_every_size)
    assert_axe_finds_faults(browser)
    transcript = walk_to_the_ticket(site, browser, looks)
    transcript.keep(ARTEFACTS / "transcript.txt")
    console = enter_the_console(site, browser, looks)
    if at_every_size:
        see_other_states(site, browser, looks)
        see_the_office(site, console, looks)
    console.context.close()
    assert looks.faults == [], "\n\n".join(looks.faults)
    hear(transcript)
