"""Tickets open on any device by their own link, and a fan who signs out leaves nothing in the browser."""

from __future__ import annotations

import re
import uuid
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import Site
from tests.acceptance.test_languages import get
from tests.client import Client, Fan


@pytest.fixture
def bought(site: Site) -> tuple[Fan, int, str]:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    return fan, event_id, fan.buy(event_id, [(1, 2, 1), (1, 2, 2)])["purchaseId"]


def test_the_link_opens_the_tickets_without_a_session(site: Site, bought: tuple[Fan, int, str]) -> None:
    fan, _, purchase_id = bought
    told = fan.get(f"/api/purchases/{purchase_id}/link")
    assert told.headers["Cache-Control"] == "no-store"
    href = urlsplit(told.json["href"])
    stranger = Client(site.url)
    page = stranger.get(f"{href.path}?{href.query}", Accept="text/html")
    text = page.content.decode()
    codes = [detail["ticketCode"] for detail in fan.get(f"/api/purchases/{purchase_id}").json["details"]]
    assert page.status == 200
    assert all(code in text for code in codes)
    assert page.headers["Set-Cookie"] is None, "the link is no session"
    assert 'name="robots" content="noindex"' in text
    # Everything that the page offers goes with the link: the calendar, and the reader's language.
    calendar = re.search(r'href="([^"]+event\.ics[^"]*)"', text)
    assert calendar is not None
    assert b"BEGIN:VEVENT" in stranger.get(calendar[1]).content
    _, moved, _ = get(site, f"{href.path}?{href.query}", {"Accept-Language": "de"})
    assert codes[0] in get(site, moved["Location"])[2]
    # The buyer's own page shows the same link.
    own = fan.get(f"/purchases/{purchase_id}", Cookie=f"admitone_session={fan.token}", Accept="text/html")
    assert told.json["key"] in own.content.decode()


def test_the_key_stands_for_the_fan_of_that_purchase_alone(site: Site, bought: tuple[Fan, int, str]) -> None:
    fan, event_id, purchase_id = bought
    other = site.admitted_fan(event_id).buy(event_id, [(1, 3, 1)])["purchaseId"]
    client = Client(site.url)
    client.headers["X-Purchase-Key"] = fan.get(f"/api/purchases/{purchase_id}/link").json["key"]
    assert client.get(f"/api/purchases/{purchase_id}").json["purchaseId"] == purchase_id
    for purchase in (other, str(uuid.uuid4())):
        assert client.get(f"/api/purchases/{purchase}").code == "unknown_purchase"
        assert client.post(f"/api/purchases/{purchase}/cancel", {}).code == "unknown_purchase"
    for path in ("/api/purchases", f"/api/purchases/{purchase_id}/link", f"/api/queue/{event_id}"):
        assert client.get(path).status == 401, path
    kind = fan.get(f"/api/purchases/{purchase_id}").json["details"][0]["ticketTypeId"]
    seat = {"ticketTypeId": kind, "rowNumber": 2, "seatNumber": 1}
    client.headers["Prefer"] = "wait=10"
    cancelled = client.call(
        "POST", f"/api/purchases/{purchase_id}/cancel", {"details": [seat]}, headers={"Idempotency-Key": "once"}
    )
    again = client.call(
        "POST", f"/api/purchases/{purchase_id}/cancel", {"details": [seat]}, headers={"Idempotency-Key": "once"}
    )
    assert cancelled.json["status"] == again.json["status"] == "succeeded"
    assert cancelled.json["jobId"] == again.json["jobId"], "sent again, it tells the end of the same job"
    left = client.get(f"/api/purchases/{purchase_id}").json["details"]
    assert [one["seatNumber"] for one in left if one.get("cancelledAt") is None] == [2]


def test_who_cannot_open_a_purchase_is_told_what_does(site: Site, bought: tuple[Fan, int, str]) -> None:
    _, _, purchase_id = bought
    for path in (f"/purchases/{purchase_id}", f"/purchases/{purchase_id}?key=guess", f"/purchases/{uuid.uuid4()}"):
        status, _, text = get(site, path, {})
        assert status == 404
        assert "These tickets do not open here" in text, path


def test_a_fan_signs_out(site: Site, bought: tuple[Fan, int, str]) -> None:
    fan, _, _ = bought
    gone = fan.call("DELETE", "/api/session")
    assert gone.status == 204
    assert "Max-Age=0" in str(gone.headers["Set-Cookie"])
    browser = Client(site.url)
    browser.headers["Cookie"] = f"admitone_session={fan.token}"
    form = browser.call("POST", "/sign-out", headers={"Sec-Fetch-Site": "same-origin"})
    assert (form.status, form.headers["Location"]) == (303, "/")
    assert "Max-Age=0" in str(form.headers["Set-Cookie"])
    foreign = browser.call("POST", "/sign-out", headers={"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status, foreign.headers["Set-Cookie"]) == (403, None)
