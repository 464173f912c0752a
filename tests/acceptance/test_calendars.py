"""Calendar files of a sale and of bought tickets, read back by a calendar's own parser."""

from __future__ import annotations

import datetime as dt
import urllib.request

import psycopg
from icalendar import Calendar

from db.events.seed import RoomSeed
from tests.acceptance.conftest import Site
from tests.acceptance.test_languages import get


def test_a_sale_to_come_is_a_calendar_entry_with_an_alarm(site: Site) -> None:
    event_id = site.event(
        room=RoomSeed(rate_per_minute=0, capacity=5, lobby_minutes=10), on_sale_in=dt.timedelta(hours=1)
    )
    event = site.client().get(f"/api/initial-call/{event_id}").json["event"]
    status, headers, text = get(site, f"/events/{event_id}/sale.ics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/calendar")
    entry = Calendar.from_ical(text).walk("VEVENT")[0]
    opens = dt.datetime.fromisoformat(event["onSaleAt"]) - dt.timedelta(minutes=10)
    assert abs(entry.decoded("dtstart") - opens) < dt.timedelta(seconds=1)
    assert entry["summary"] == f"The lobby opens: {event['name']}"
    assert entry["url"] == f"{site.url}/events/{event_id}"
    assert entry.walk("VALARM")[0].decoded("trigger") == dt.timedelta(minutes=-10)
    assert get(site, "/events/987654321/sale.ics")[0] == 404


def test_tickets_are_a_calendar_entry_for_their_fan_alone(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    purchase_id = fan.buy(event_id, [(1, 1, 1), (1, 1, 2)])["purchaseId"]
    path = f"/purchases/{purchase_id}/event.ics"
    status, _, text = get(site, path, {"Cookie": f"admitone_session={fan.token}"})
    assert status == 200
    entry = Calendar.from_ical(text).walk("VEVENT")[0]
    event = site.client().get(f"/api/initial-call/{event_id}").json["event"]
    assert entry.decoded("dtstart") == dt.datetime.fromisoformat(event["date"]).replace(microsecond=0)
    assert entry["dtstart"].params["TZID"] == "Europe/Berlin"
    zones = Calendar.from_ical(text).walk("VTIMEZONE")
    assert [zone["tzid"] for zone in zones] == ["Europe/Berlin"], "with the zone's own rules"
    assert entry.decoded("dtend") - entry.decoded("dtstart") == dt.timedelta(hours=3)
    # Where the venue's zone is not known, a calendar shows the evening by its owner's clock.
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE event SET time_zone = 'UTC' WHERE event_id = %s", (event_id,))
    gateway = site.services.gateway()
    try:
        there = urllib.request.Request(gateway.url + path, headers={"Cookie": f"admitone_session={fan.token}"})
        with urllib.request.urlopen(there, timeout=20) as answer:
            unknown = Calendar.from_ical(answer.read())
    finally:
        gateway.kill()
    assert unknown.walk("VTIMEZONE") == []
    assert "TZID" not in unknown.walk("VEVENT")[0]["dtstart"].params
    assert unknown.walk("VEVENT")[0].decoded("dtstart") == entry.decoded("dtstart")
    assert entry["location"] == event["venue"]
    assert "General row 1 seat 2" in str(entry["description"])
    assert get(site, path)[0] == 404, "another session's"
