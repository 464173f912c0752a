"""The waiting list of a sold-out event: from the entry to the tickets, by the API and by pages without scripts."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from db.waiting.chain import FIRST_LINK, link
from tests.acceptance.conftest import Site
from tests.client import Answer, Client, Fan
from tests.factories import OPEN_DOOR, one_type
from tests.waiting import await_that

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
SEATS: Final = 4
WAIT: Final = {"Prefer": "wait=10"}


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    room = replace(OPEN_DOOR, waiting_list=True, offer_minutes=30)
    return site.event(room=room, hall=(one_type("Stalls", rows=1, seats_per_row=SEATS),))


@pytest.fixture(scope="module")
def seller(site: Site, event_id: int) -> tuple[Fan, str, Fan]:
    """The fan who bought every seat, the purchase, and another one who was let in before the sell-out."""
    fan, fast = site.admitted_fan(event_id), site.admitted_fan(event_id)
    seats = [(1, 1, number) for number in range(1, SEATS + 1)]
    assert enter(fan, event_id, 1).code == "not_sold_out"
    return fan, fan.buy(event_id, seats)["purchaseId"], fast


def enter(fan: Fan, event_id: int, quantity: int) -> Answer:
    body = {"ticketTypeId": 1, "quantity": quantity}
    answer = fan.call("POST", f"/api/events/{event_id}/waiting-list", body, headers=WAIT)
    fan.note("wait", event_id, answer)
    return answer


def entry(fan: Fan, event_id: int) -> dict[str, Any]:
    found: dict[str, Any] = fan.get(f"/api/events/{event_id}/waiting-list").json
    return found


def shown(fan: Client, event_id: int) -> str:
    return fan.get(f"/events/{event_id}/waiting-list").content.decode()


def sent(fan: Client, event_id: int, path: str, **fields: int) -> str:
    """The page after a form was sent."""
    answer = fan.call("POST", f"/events/{event_id}{path}", raw=urlencode(fields).encode(), headers=FORM)
    assert answer.status == 303, answer.content
    return fan.get(str(answer.headers["Location"])).content.decode()


def test_seats_that_come_back_are_offered_in_order(site: Site, event_id: int, seller: tuple[Fan, str, Fan]) -> None:
    owner, purchase, fast = seller
    pair, single, next_one = site.fan(), site.fan(), site.fan()
    assert pair.get(f"/api/events/{event_id}/waiting-list").code == "not_waiting"
    first = enter(pair, event_id, 2).result
    assert (first["number"], first["quantity"]) == (1, 2)
    assert enter(pair, event_id, 2).result["number"] == 1, "the same entry"
    assert "Waiting list" in single.get(f"/events/{event_id}").content.decode()
    page = sent(single, event_id, "/waiting-list", ticketTypeId=1, quantity=1)
    assert "1 entry is ahead of yours" in page
    assert enter(next_one, event_id, 1).result["number"] == 3
    assert entry(next_one, event_id)["ahead"] == 2

    owner.cancel(event_id, purchase, [(1, 1, 1)])
    assert "Seats are kept for you" in shown(single, event_id)
    assert entry(pair, event_id)["state"] == "waiting", "one seat is too few"
    assert "Enter the list" in sent(single, event_id, "/waiting-list/leave"), "declined"
    assert entry(next_one, event_id)["state"] == "offered", "at once"
    assert fast.reserve(event_id, best=(1, 1)).code == "no_block"
    owner.cancel(event_id, purchase, [(1, 1, 2), (1, 1, 3)])
    held = entry(pair, event_id)
    bought = pair.checkout(event_id, held["reservationId"]).result
    assert len(bought["details"]) == 2
    assert entry(pair, event_id)["state"] == "taken"
    gone = next_one.call("DELETE", f"/api/events/{event_id}/waiting-list", headers=WAIT)
    assert len(gone.result["seats"]) == 1

    listed = site.client().get(f"/api/events/{event_id}/waiting-list/entries").json
    assert [one["state"] for one in listed["entries"]] == ["taken", "declined", "declined"]
    before = FIRST_LINK
    for one in listed["entries"]:
        at = dt.datetime.fromisoformat(one["enteredAt"])
        before = link(
            before, event_id=event_id, number=one["number"], ticket_type_id=1, quantity=one["quantity"], at=at
        )
        assert before.hex() == one["link"], "anybody can check the chain"
    assert listed["entries"][0]["link"] == first["link"]
    (figures,) = site.operator().get(f"/api/ops/rooms/{event_id}/waiting-list").json["types"]
    assert (figures["waiting"], figures["taken"], figures["declined"]) == (0, 1, 2)
    assert site.client().get(f"/ops/rooms/{event_id}/waiting-list").status == 200


def test_an_operator_sets_the_rules(site: Site) -> None:
    event_id = site.event()
    fan, operator = site.fan(), site.operator()
    assert enter(fan, event_id, 1).code == "waiting_list_off"
    dials = {"waitingList": True, "offerMinutes": 5, "cancelFeePercent": 10}
    room = operator.patch(f"/api/ops/rooms/{event_id}", dials).json
    assert {name: room[name] for name in dials} == dials
    buyer = site.admitted_fan(event_id)
    bought = buyer.buy(event_id, [(1, 1, 1)])
    await_that(lambda: "A fee is kept of the price" in buyer.get(f"/purchases/{bought['purchaseId']}").content.decode())
    told = buyer.cancel(event_id, bought["purchaseId"]).result
    assert (told["feeAmount"], told["refundAmount"]) == (490, 4410)
    (detail,) = buyer.get(f"/api/purchases/{bought['purchaseId']}").json["details"]
    assert detail["cancelFee"] == 490
