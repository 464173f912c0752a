"""Cancelling a purchase or some of its seats: through two gateways and a real worker, up to the line behind."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from admitone.fan.seats import seats_of
from db.events.seed import RoomSeed, TicketTypePlan
from tests.acceptance.conftest import Site
from tests.acceptance.test_waiting_room import await_that
from tests.client import Fan

GATEWAYS = 2
A1, A2, VIP = (1, 1, 1), (1, 1, 2), (2, 1, 1)


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    hall = (
        TicketTypePlan(ticket_type="General", price=4900, rows=20, seats_per_row=10),
        TicketTypePlan(ticket_type="VIP", price=12900, rows=1, seats_per_row=8),
    )
    return site.event(hall=hall)


@pytest.fixture
def fan(site: Site, event_id: int) -> Fan:
    return site.admitted_fan(event_id)


def of_purchase(fan: Fan, purchase_id: str) -> dict[str, Any]:
    found: dict[str, Any] = fan.get(f"/api/purchases/{purchase_id}").json
    return found


def test_some_seats_are_cancelled_and_somebody_else_buys_them(site: Site, event_id: int, fan: Fan) -> None:
    purchase = fan.buy(event_id, [A1, A2, VIP])
    accepted = fan.cancel(event_id, purchase["purchaseId"], [A2, VIP], wait=0)
    assert accepted.status == 202
    assert accepted.json["href"] == accepted.headers["Location"]
    finished = fan.at(site.gateways[1].url).job(accepted.json["jobId"], wait="10")
    fan.note("cancel", event_id, finished)
    assert finished.json["kind"] == "cancel"
    result = finished.result
    assert (result["status"], result["totalAmount"], result["refundAmount"]) == ("confirmed", 4900, 17800)
    assert seats_of(result["details"]) == [A2, VIP]
    now = of_purchase(fan, purchase["purchaseId"])
    assert (now["status"], now["totalAmount"]) == ("confirmed", 4900)
    codes = {seats_of([detail])[0]: detail["ticketCode"] for detail in now["details"]}
    assert codes[A1] == purchase["details"][0]["ticketCode"]
    assert codes[A2] is codes[VIP] is None, "a code that is void is shown to nobody"
    assert [detail["cancelledAt"] is None for detail in now["details"]] == [True, False, False]
    seats = site.client().get(f"/api/events/{event_id}/seats?minVersion={result['version']}").json
    assert [1, 1, 1, "booked"] in seats["taken"]
    assert [1, 1, 2] not in [seat[:3] for seat in seats["taken"]]
    heir = site.admitted_fan(event_id)
    assert seats_of(heir.buy(event_id, [A2, VIP])["details"]) == [A2, VIP]
    refused = fan.cancel(event_id, purchase["purchaseId"], [A2])
    assert (refused.code, refused.problem["status"]) == ("not_cancellable", 409)
    assert seats_of(refused.problem["seats"]) == [A2]
    rest = fan.cancel(event_id, purchase["purchaseId"]).result
    assert (rest["status"], rest["refundAmount"], seats_of(rest["details"])) == ("cancelled", 4900, [A1])
    (listed,) = fan.get("/api/purchases").json["purchases"]
    assert (listed["status"], listed["totalAmount"]) == ("cancelled", 0)
    page = fan.get(f"/purchases/{purchase['purchaseId']}").content.decode()
    assert "This purchase was cancelled" in page
    assert '<div class="qr-box"' not in page
    for detail in purchase["details"]:
        assert detail["ticketCode"] not in page
    assert "Cancelled" in fan.get("/purchases").content.decode()


def test_a_key_makes_the_retry_safe(site: Site, event_id: int, fan: Fan) -> None:
    purchase = fan.buy(event_id, [(1, 3, 1), (1, 3, 2)])["purchaseId"]
    first = fan.cancel(event_id, purchase, [(1, 3, 1)], key="one")
    again = fan.at(site.gateways[1].url).cancel(event_id, purchase, [(1, 3, 1)], key="one")
    assert again.json == first.json
    assert fan.cancel(event_id, purchase, [(1, 3, 2)], key="one").code == "idempotency_key_reused"
    # Redis may forget; Postgres repeats what it recorded.
    with site.redis() as redis:
        redis.delete(f"job:{first.json['jobId']}")
    assert fan.cancel(event_id, purchase, [(1, 3, 1)], key="one").json == first.json
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda number: fan.at(site.gateways[number % 2].url).cancel(event_id, purchase), range(8))
        )
    assert sorted(answer.code for answer in answers) == [""] + ["not_cancellable"] * 7
    assert sum(answer.result["refundAmount"] for answer in answers if not answer.code) == 4900


def test_nobody_cancels_what_is_not_theirs(site: Site, event_id: int, fan: Fan) -> None:
    purchase = fan.buy(event_id, [(1, 4, 1)])["purchaseId"]
    before = site.bookings()
    thief = site.admitted_fan(event_id)
    for stolen in (purchase, str(uuid.uuid4())):
        answer = thief.cancel(event_id, stolen)
        assert (answer.status, answer.code) == (404, "unknown_purchase"), "before any job, and it tells of none"
        assert thief.cancel(event_id, stolen, [(1, 4, 1)]).code == "unknown_purchase"
    assert site.client().post(f"/api/purchases/{purchase}/cancel").status == 401
    bodies: list[Any] = [
        {"details": []},
        {"seats": []},
        {"details": [{"ticketTypeId": 1, "rowNumber": 4}]},
        {"details": [{"ticketTypeId": 1, "rowNumber": 4, "seatNumber": "1"}]},
        {"details": [{"ticketTypeId": 1, "rowNumber": 4, "seatNumber": 1}] * 2},
        {"details": [{"ticketTypeId": 1, "rowNumber": 4, "seatNumber": seat} for seat in range(1, 52)]},
    ]
    for body in bodies:
        answer = fan.post(f"/api/purchases/{purchase}/cancel", body)
        assert (answer.status, answer.code) == (400, "invalid_request"), body
    assert site.bookings() == before


def test_cancelling_ends_a_day_before_the_event(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    purchase = fan.buy(event_id, [A1])["purchaseId"]
    assert "data-cancel" in fan.get(f"/purchases/{purchase}").content.decode()
    with psycopg.connect(site.database_url) as connection:
        connection.execute(
            "UPDATE event SET date = clock_timestamp() + interval '23 hours 59 minutes', version = version + 1,"
            " revision = revision + 1 WHERE event_id = %s",
            (event_id,),
        )
        # A purchase of a release that promised no time.
        connection.execute("UPDATE purchase SET cancel_until = NULL WHERE event_id = %s", (event_id,))
    late = fan.cancel(event_id, purchase)
    assert (late.code, late.problem["status"]) == ("cancel_closed", 409)
    assert late.problem["cancelUntil"]
    assert of_purchase(fan, purchase)["status"] == "confirmed"
    await_that(lambda: "data-cancel" not in fan.get(f"/purchases/{purchase}").content.decode())


def test_cancelled_seats_open_a_sold_out_line_again_in_its_old_order(site: Site) -> None:
    pair = (TicketTypePlan(ticket_type="Box", price=100, rows=1, seats_per_row=2),)
    event_id = site.event(hall=pair, room=RoomSeed(rate_per_minute=60_000, capacity=2, line_cap=5))
    buyer, *waiting = (site.fan(number % GATEWAYS) for number in range(4))
    buyer.join(event_id)
    hold = buyer.hold(event_id, [A1, A2])
    await_that(lambda: bool((buyer.poll(event_id).json["stock"] or {}).get("mayReturn")))
    for fan in waiting:
        assert fan.join(event_id).json["state"] == "waiting"
    purchase = buyer.checkout(event_id, hold["reservationId"]).result["purchaseId"]
    await_that(lambda: all(fan.poll(event_id).json["state"] == "sold_out" for fan in waiting))
    assert buyer.cancel(event_id, purchase).result["status"] == "cancelled"
    await_that(lambda: [fan.poll(event_id).json["position"] for fan in waiting] == [1, 2, 3])
    late = site.fan()
    assert late.join(event_id).json["state"] == "waiting"
    assert late.poll(event_id).json["position"] == 4
    assert late.reserve(event_id, [A1]).code == "not_admitted", "they are the line's, not the quickest refresher's"
