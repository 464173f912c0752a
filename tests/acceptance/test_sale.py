"""When an event is sold: neither before its sale nor after it, wherever it is asked for."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest

from db.events.seed import RoomSeed
from tests.acceptance.conftest import Site
from tests.acceptance.test_languages import get
from tests.acceptance.test_programme import body, made
from tests.client import Client

HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


def moment(**ahead: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(**ahead)).isoformat()


def room(site: Site, event_id: int) -> dict[str, Any]:
    found: dict[str, Any] = site.client().get(f"/api/initial-call/{event_id}").json["room"]
    return found


@pytest.mark.parametrize("state", ["open", "off"])
def test_an_event_that_is_over_sells_nothing(site: Site, operator: Client, state: str) -> None:
    event = made(operator, date=moment(hours=-1), onSaleAt=moment(hours=-3), room={"state": state})
    event_id = event["eventId"]
    assert event["sale"] == "over"
    assert event["notes"] == ["The event has begun already, and its sale is over: no seat is sold."]
    assert room(site, event_id) | {"waiting": 0} == {
        "state": "closed" if state == "open" else "off",
        "waiting": 0,
        "sale": "over",
        "reason": "The sale of this event is over.",
    }
    fan = site.fan()
    if state == "open":
        joined = fan.join(event_id).json
        assert (joined["state"], joined["sale"]) == ("closed", "over")
    else:
        refused = fan.reserve(event_id, [(1, 1, 1)])
        assert (refused.code, refused.problem["status"]) == ("sale_over", 403)
        assert refused.problem["offSaleAt"]
    page = get(site, f"/events/{event_id}")[2]
    assert "The sale is over" in page
    assert 'data-stage="closed">' in page, "the part that is shown"
    assert "Sale is over" in get(site, "/")[2]


def test_a_sale_ends_at_its_own_time_and_a_hold_of_before_is_still_bought(site: Site, operator: Client) -> None:
    event = made(operator, date=moment(weeks=6), onSaleAt=moment(hours=-1), room={"state": "off"})
    event_id, fan = event["eventId"], site.fan()
    assert event["offSaleAt"] == event["date"]
    hold = fan.hold(event_id, [(1, 1, 1)])
    changed = operator.patch(f"/api/ops/events/{event_id}", {"offSaleAt": moment(seconds=-1)})
    assert changed.status == 200, changed.content
    assert changed.json["sale"] == "over"
    assert fan.reserve(event_id, [(1, 1, 2)]).code == "sale_over"
    assert fan.checkout(event_id, hold["reservationId"]).result["status"] == "confirmed"
    again = operator.patch(f"/api/ops/events/{event_id}", {"offSaleAt": None})
    assert again.json["offSaleAt"] == event["date"]
    assert fan.hold(event_id, [(1, 1, 2)])


def test_a_sale_must_end_after_it_begins(operator: Client) -> None:
    told = operator.post(
        "/api/ops/events?dryRun=true", body(onSaleAt=moment(hours=2), offSaleAt=moment(hours=1), date=moment(weeks=1))
    ).json
    assert [fault["path"] for fault in told["faults"]] == ["$.offSaleAt"]


def test_a_coming_sale_is_told_with_its_time_and_nobody_is_let_in(site: Site) -> None:
    event_id = site.event(on_sale_in=HOUR)
    assert room(site, event_id) == {
        "state": "paused",
        "waiting": 0,
        "sale": "coming",
        "reason": "The sale has not begun yet.",
    }
    fan = site.fan()
    assert fan.join(event_id).json["state"] == "waiting"
    assert fan.claim(event_id).code == "not_called"
    page = get(site, f"/events/{event_id}")[2]
    assert "Tickets are on sale" not in page
    assert "The sale has not begun" in page
    assert "On sale <time" in get(site, "/")[2]


def test_a_sale_moved_to_later_takes_back_whom_it_let_in(site: Site, operator: Client) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=60_000, capacity=5))
    fan = site.admitted_fan(event_id)
    number = fan.poll(event_id).json["ticketNumber"]
    moved = operator.patch(f"/api/ops/events/{event_id}", {"onSaleAt": moment(hours=1)})
    assert moved.status == 200, moved.content
    deadline = time.monotonic() + 10
    while (place := fan.poll(event_id).json)["state"] != "waiting":
        assert time.monotonic() < deadline, place
    assert place["ticketNumber"] == number, "the place is kept"
    assert fan.reserve(event_id, [(1, 1, 1)]).code in ("not_admitted", "not_on_sale")


def test_a_ticket_types_id_is_never_given_again(operator: Client) -> None:
    kinds = [{"ticketType": name, "price": 100, "blocks": [{"rows": 1, "seatsPerRow": 1}]} for name in ("A", "B")]
    event_id = made(operator, ticketTypes=kinds)["eventId"]
    path = f"/api/ops/events/{event_id}"
    assert operator.patch(path, {"removeTicketTypes": [2]}).status == 200
    added = operator.patch(path, {"addTicketTypes": [{**kinds[1], "ticketType": "C"}]}).json
    assert [kind["ticketTypeId"] for kind in added["ticketTypes"]] == [1, 3]


def test_a_ticket_type_keeps_a_seat(operator: Client) -> None:
    event_id = made(operator)["eventId"]
    kind = operator.get(f"/api/ops/events/{event_id}").json["ticketTypes"][0]
    every_seat = {"ticketTypeId": kind["ticketTypeId"], "blocks": kind["blocks"]}
    refused = operator.post(f"/api/ops/events/{event_id}/seats", {"remove": [every_seat]})
    assert (refused.status, refused.code) == (422, "event_invalid")
    assert "remove the ticket type itself" in refused.content.decode()


def test_a_date_that_moves_nearer_takes_no_promise_away(site: Site, operator: Client) -> None:
    event_id = made(operator, date=moment(weeks=6), onSaleAt=moment(hours=-1), room={"state": "off"})["eventId"]
    fan = site.fan()
    purchase = fan.buy(event_id, [(1, 1, 1)])
    promised = fan.get("/api/purchases").json["purchases"][0]["cancelUntil"]
    assert operator.patch(f"/api/ops/events/{event_id}", {"date": moment(hours=5)}).status == 200
    assert fan.get("/api/purchases").json["purchases"][0]["cancelUntil"] == promised
    assert fan.cancel(event_id, purchase["purchaseId"]).result["status"] == "cancelled"


def test_an_event_taken_off_sale_is_not_found_and_sells_nothing(site: Site, operator: Client) -> None:
    event_id = made(operator, name="Taken off sale", onSaleAt=moment(hours=-1), room={"state": "off"})["eventId"]
    path = f"/api/ops/events/{event_id}"
    fan = site.fan()
    hold = fan.hold(event_id, [(1, 1, 1)])
    taken_off = operator.patch(path, {"state": "unpublished", "why": "the contract is not signed"}).json
    assert (taken_off["state"], taken_off["sale"]) == ("unpublished", "unpublished")
    assert taken_off["notes"] == ["The event is not published: fans do not find it, and no seat is sold."]
    line = next(one for one in operator.get("/api/ops/events").json["events"] if one["eventId"] == event_id)
    assert (line["state"], line["sale"]) == ("unpublished", "unpublished")
    assert fan.reserve(event_id, [(1, 1, 2)]).code == "event_unpublished"
    assert fan.checkout(event_id, hold["reservationId"]).result["status"] == "confirmed", "a hold of before is bought"
    assert "Taken off sale" not in get(site, "/")[2]
    assert "This event is off sale" in get(site, f"/events/{event_id}")[2]
    assert operator.patch(path, {"state": "published"}).json["sale"] == "on_sale"
    assert fan.hold(event_id, [(1, 1, 2)])
    assert operator.patch(path, {"state": "postponed"}).code == "invalid_request"
