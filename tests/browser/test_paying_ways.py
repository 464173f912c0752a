"""Each way that a payment may go with the demo's test provider, as a fan without scripts sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from admitone.fan.seats import Seat
from db.audit.invariants import audit
from db.events.seed import RoomSeed
from db.payments.intents import READ_INTENT
from tests.browser.looks import Looks
from tests.client import Fan
from tests.factories import make_event, one_type, plan_event
from tests.services import Services
from tests.waiting import await_that

pytestmark = pytest.mark.browser

PRICE = 4900
TICKETS_MS_MAX = 40_000
"""A provider that gives no answer is asked again after one, two and four seconds."""


@dataclass
class Stall:
    """An event whose tickets are paid by the test provider, with its gateway and worker."""

    browser: Browser
    url: str
    database_url: str
    event_id: int

    @contextmanager
    def at_the_till(self) -> Iterator[Page]:
        """The page where a new fan pays for one seat."""
        context = self.browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
        page = context.new_page()
        try:
            page.goto(f"{self.url}/events/{self.event_id}")
            page.locator("select[name=quantity]").select_option("1")
            page.locator("form.plain-best").get_by_role("button").click()
            self.buy(page)
            yield page
        finally:
            context.close()

    def buy(self, page: Page) -> None:
        page.locator("form[action$=buy] button").click()
        expect(page.get_by_role("button", name="Let the payment fail")).to_be_visible(timeout=TICKETS_MS_MAX)

    def database(self) -> psycopg.Connection:
        return psycopg.connect(self.database_url, autocommit=True)

    def books(self, till: str) -> tuple[str, int, int]:
        """What the provider's own books say of the payment of this address: its state, and what was taken and paid
        back.
        """
        which = {"event_id": self.event_id, "payment_id": payment_of(till)}
        with self.database() as connection:
            row = connection.execute(READ_INTENT, which).fetchone()
        assert row is not None
        state, _, taken, _, paid_back, _ = row
        return state, taken, paid_back


@pytest.fixture
def stall(services: Services, database_url: str, browser: Browser) -> Iterator[Stall]:
    hall = (one_type("Hall", rows=4, seats_per_row=10),)
    event_id = make_event(database_url, plan_event(hall=hall, room=RoomSeed(state="off"), payments="test"))
    gateway = services.gateway(ADMITONE_CAPTCHA="off", ADMITONE_PAYMENT_PROVIDERS="test")
    services.worker(ADMITONE_PAYMENT_PROVIDERS="test")
    yield Stall(browser, gateway.url, database_url, event_id)
    assert audit(database_url) == []


def payment_of(till: str) -> str:
    return till.rsplit("/", 1)[1].partition("?")[0]


def seat_of(connection: psycopg.Connection, till: str) -> Seat:
    """The seat that is paid on this page."""
    row = connection.execute(
        "SELECT r.ticket_type_ids[1], r.row_numbers[1], r.seat_numbers[1]"
        "  FROM payment p JOIN reservation r USING (event_id, reservation_id) WHERE p.payment_id = %s",
        (payment_of(till),),
    ).fetchone()
    assert row is not None
    return row


def choose(page: Page, way: str) -> None:
    """Press a way's button, beside which stands what comes of it."""
    button = page.get_by_role("button", name=way, exact=True)
    words = page.locator(f"#{button.get_attribute('aria-describedby')}")
    expect(words).to_contain_text(".")
    button.click()


def waits(page: Page) -> None:
    expect(page.get_by_role("status")).to_have_text("One moment: we are waiting for word of your payment.")


def has_one_ticket(page: Page) -> None:
    page.wait_for_url("**/purchases/*", timeout=TICKETS_MS_MAX)
    expect(page.locator("svg.qr")).to_have_count(1)
    page.goto(page.url.rpartition("/purchases/")[0] + "/purchases")
    links = {link.get_attribute("href") for link in page.locator("a[href*='/purchases/']").all()}
    assert len(links - {"/purchases/find"}) == 1, "one purchase"


def test_a_fan_sees_what_comes_of_each_way(stall: Stall) -> None:
    with stall.at_the_till() as page:
        choose(page, "Let the payment fail")
        expect(page.get_by_role("alert")).to_have_text("The payment did not go through, and nothing was charged.")
        assert stall.books(page.url) == ("declined", 0, 0)
        page.get_by_role("link", name="Back to the event").click()
        stall.buy(page)
        choose(page, "Pay, with a slow bank")
        waits(page)
        has_one_ticket(page)

    for way in ("Pay, and hear of it twice", "Pay, with reports out of order"):
        with stall.at_the_till() as page:
            till = page.url
            choose(page, way)
            has_one_ticket(page)
            assert stall.books(till) == ("captured", PRICE, 0)

    with stall.at_the_till() as page:
        till = page.url
        choose(page, "Pay, and it times out")
        waits(page)
        has_one_ticket(page)
        with stall.database() as connection:
            row = connection.execute("SELECT max(tries) FROM payment").fetchone()
        assert row is not None
        assert row[0] > 1, "the provider was asked in vain"
        assert stall.books(till) == ("captured", PRICE, 0)

    with stall.at_the_till() as page:
        choose(page, "Pay a wrong amount")
        expect(page.get_by_role("alert")).to_contain_text("You get all of it back.", timeout=TICKETS_MS_MAX)
        await_that(lambda: stall.books(page.url) == ("captured", PRICE + 1, PRICE + 1))


def test_money_that_comes_too_late_buys_the_seats_if_they_are_free(stall: Stall) -> None:
    with stall.at_the_till() as lucky, stall.at_the_till() as unlucky:
        tills = [lucky.url, unlucky.url]
        for page in (lucky, unlucky):
            choose(page, "Pay too late")
            waits(page)
        with stall.database() as connection:
            late = connection.execute(
                "SELECT count(*) FROM provider_intent i JOIN payment p USING (event_id, payment_id)"
                " WHERE i.pays_at > p.expires_at"
            ).fetchone()
            assert late == (2,)
            # Their time is over, and others have taken the seat of one of them.
            connection.execute("UPDATE payment SET expires_at = clock_timestamp(), due_at = clock_timestamp()")
            connection.execute(
                "UPDATE reservation SET expires_at = clock_timestamp() - interval '1 min', created_at = created_at"
                " - interval '2 hours', lifetime_ends_at = clock_timestamp()"
            )
            connection.execute("UPDATE seat SET held_until = clock_timestamp() WHERE status = 'reserved'")
            lapsed = "SELECT count(*) FROM reservation WHERE state = 'lapsed'"
            await_that(lambda: connection.execute(lapsed).fetchone() == (2,), 30)
            other = Fan.arrive(stall.url)
            other.hold(stall.event_id, [seat_of(connection, unlucky.url)])
            connection.execute("UPDATE provider_intent SET pays_at = clock_timestamp()")
            connection.execute("UPDATE payment SET due_at = clock_timestamp()")
        has_one_ticket(lucky)
        unlucky.goto(tills[1])
        expect(unlucky.get_by_role("alert")).to_contain_text("You get all of it back.", timeout=TICKETS_MS_MAX)
        await_that(
            lambda: [stall.books(till) for till in tills] == [("captured", PRICE, 0), ("captured", PRICE, PRICE)]
        )


def test_the_page_with_all_ways_is_fit_to_be_seen(stall: Stall, browser: Browser) -> None:
    looks = Looks(read_at_every_size=True)
    with stall.at_the_till() as plain:
        context = browser.new_context(storage_state=plain.context.storage_state(), locale="en-GB")
        page = context.new_page()
        page.goto(plain.url)
        looks.look_in_languages(
            page,
            "pay",
            plain.url.removeprefix(stall.url),
            lambda page: expect(page.locator(".ways button")).to_have_count(7),
        )
        page.goto(plain.url)
        page.get_by_role("button", name="Pay €").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("nothing was charged")
        context.close()
    assert looks.faults == []
