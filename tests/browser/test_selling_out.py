"""What the waiting page says when the seats run out, are all in holds, and are all sold; in a real browser."""

from __future__ import annotations

import re

import pytest
import redis
from playwright.sync_api import Browser, expect

from db.events.seed import RoomSeed
from tests.browser.test_fan_way import Visit
from tests.browser.words import JOIN
from tests.client import Fan
from tests.factories import make_event, one_type, plan_event
from tests.services import Services
from tests.waiting import await_that
from waiting_room.line import Slots

pytestmark = pytest.mark.browser

SEATS = 18
ALL = [(1, 1, seat) for seat in range(1, SEATS + 1)]


@pytest.mark.long
def test_the_line_is_told_what_is_left(services: Services, database_url: str, redis_url: str, browser: Browser) -> None:
    hall = (one_type("Stalls", seats_per_row=SEATS),)
    room = RoomSeed(rate_per_minute=60_000, capacity=2)
    event_id = make_event(database_url, plan_event(hall=hall, room=room, seats_per_fan_max=SEATS))
    services.worker()
    gateway = services.gateway(ADMITONE_CONNECTED_SECONDS="120", ADMITONE_ABSENCE_SECONDS="600")
    buyer = Fan.arrive(gateway.url)
    assert buyer.join(event_id).json["state"] == "admitted"
    hold = buyer.hold(event_id, ALL)
    # The line hears of a hold a moment after its fan; until then it would call one more.
    with redis.Redis.from_url(redis_url, socket_timeout=10) as client:
        await_that(lambda: (stock := Slots(client).counts(event_id).stock) is not None and stock.free == 0)
    others = [Fan.arrive(gateway.url) for _ in range(2)]
    for other in others:
        other.join(event_id)

    visit = Visit.begin(browser, "phone-light", (390, 844), "light")
    page = visit.page
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_role("button", name=JOIN).click()
    expect(page.locator("#position")).to_have_text("3")
    returning = page.locator("#returning")
    expect(returning).to_have_text(
        re.compile(
            rf"^No seat is free right now\. {SEATS} are in other fans’ baskets and go to the line if they come back\. "
            r"We know by \d?\d:\d\d at the latest\.$"
        )
    )
    expect(page.locator("#eta")).to_have_text("All seats are in baskets right now. Your place is safe.")
    stock = page.locator("[data-ticket='1'] .stock")
    expect(stock).to_have_text("18 in baskets, may come back")
    visit.photograph("selling-out-1-all-held")

    buyer.release(event_id, hold["reservationId"])
    # Eighteen are free and one slot with them; whoever is called for it does not come, so the others go on waiting.
    expect(returning).to_be_hidden()
    hold = buyer.hold(event_id, ALL)
    expect(returning).to_be_visible()

    buyer.checkout(event_id, hold["reservationId"])
    expect(page.get_by_role("heading", name="Sold out")).to_be_visible()
    expect(page.locator("#position")).to_be_hidden()
    expect(stock).to_have_text("sold out")
    visit.photograph("selling-out-2-sold-out")
    assert visit.faults == []
    visit.end()

    late = Visit.begin(browser, "desktop-dark", (1280, 860), "dark")
    late.page.goto(f"{gateway.url}/events/{event_id}")
    expect(late.page.get_by_role("heading", name="Sold out")).to_be_visible()
    assert late.faults == []
    late.end()
