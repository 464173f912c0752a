"""A whole event is cancelled: what becomes of its holds, purchases and line, and what everybody is told."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import icalendar
import psycopg
import pytest

from db.events.seed import RoomSeed
from tests.acceptance.conftest import Site
from tests.acceptance.test_languages import get
from tests.acceptance.test_programme import made
from tests.acceptance.test_sale import moment, room
from tests.client import Answer, Client

NOTICE = "The singer is ill. We pay you back within two weeks."
WHY = "the agency called"
SECONDS_MAX = 15.0


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


def await_that(check: Callable[[], object], what: str) -> None:
    until = time.monotonic() + SECONDS_MAX
    while not check():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def cancelled(operator: Client, event_id: int, **fields: Any) -> Answer:
    return operator.patch(f"/api/ops/events/{event_id}", {"state": "cancelled", "notice": NOTICE, "why": WHY, **fields})


def rows(site: Site, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(site.database_url) as connection:
        return connection.execute(query, parameters).fetchall()


def news(site: Site, event_id: int, kind: str) -> list[dict[str, Any]]:
    query = "SELECT payload FROM outbox WHERE event_id = %s AND kind = %s ORDER BY outbox_id"
    return [row[0] for row in rows(site, query, event_id, kind)]


def test_all_that_hangs_on_a_cancelled_event_ends(site: Site, operator: Client) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=60_000, capacity=3))
    bought, gave_back, holding = (site.admitted_fan(event_id) for _ in range(3))
    purchase = bought.buy(event_id, [(1, 1, 1), (1, 1, 2)])
    bought.cancel(event_id, purchase["purchaseId"], [(1, 1, 2)])
    given_back = gave_back.buy(event_id, [(1, 2, 1)])
    gave_back.cancel(event_id, given_back["purchaseId"])
    hold = holding.hold(event_id, [(1, 3, 1)])
    choosing = site.admitted_fan(event_id)
    admitted = site.admitted_fan(event_id)
    waiting = site.fan()
    assert waiting.join(event_id).json["state"] == "waiting"
    path = f"/api/ops/events/{event_id}"

    told = operator.patch(f"{path}?dryRun=true", {"state": "cancelled", "why": WHY}).json
    assert told["valid"]
    assert told["event"]["notes"][0] == (
        "Cancelling voids 1 purchase with 1 ticket, ends 1 hold, and closes the line for 4 fans."
    )
    assert operator.get(path).json["state"] == "published", "a dry run changes nothing"
    silent = operator.patch(path, {"state": "cancelled", "why": " "})
    assert (silent.status, silent.json["errors"][0]["path"]) == (422, "$.why")

    with waiting.line(event_id) as stream:
        stream.next("place")
        done = cancelled(operator, event_id)
        assert done.status == 200, done.content
        assert stream.data("closed") == {"reason": "This event was cancelled."}
    assert (done.json["state"], done.json["sale"], done.json["notice"]) == ("cancelled", "cancelled", NOTICE)
    assert done.json["notes"] == [
        *told["event"]["notes"][:2],
        "A cancelled event cannot be brought back: no seat of it is sold, and every ticket is void.",
    ]

    # Nothing is bought, held or given back any more.
    refused = {
        "with a pass": choosing.reserve(event_id, [(1, 4, 1)]),
        "without one": site.fan().reserve(event_id, [(1, 4, 1)]),
        "a hold": holding.checkout(event_id, hold["reservationId"]),
        "a purchase": bought.cancel(event_id, purchase["purchaseId"]),
    }
    assert {what: answer.code for what, answer in refused.items()} == dict.fromkeys(refused, "event_cancelled")
    assert holding.get(f"/api/reservations?eventId={event_id}").json["reservations"] == []
    open_holds = "SELECT 1 FROM reservation WHERE event_id = %s AND state IN ('held', 'paying')"
    await_that(lambda: not rows(site, open_holds, event_id), "the holds end")
    assert rows(site, "SELECT state FROM reservation WHERE reservation_id = %s", hold["reservationId"]) == [("lapsed",)]

    # The line is closed, and whoever was inside is out.
    for fan in (waiting, choosing, admitted, bought):
        place = fan.poll(event_id).json
        assert (place["state"], place["sale"], place["pass"]) == ("closed", "cancelled", None)
    assert admitted.claim(event_id).code == "not_called"
    figures = f"/api/ops/rooms/{event_id}"
    await_that(lambda: operator.get(figures).json["admitted"] == 0, "the passes end")
    history = admitted.get(f"/api/queue/{event_id}/receipt").json["entries"]
    assert (history[-1]["state"], history[-1]["reason"]) == ("waiting", "event_cancelled")
    assert site.fan().join(event_id).json["state"] == "closed"

    # What was bought stays to be read, and is void.
    kept = bought.get(f"/api/purchases/{purchase['purchaseId']}").json
    assert (kept["status"], kept["totalAmount"]) == ("event_cancelled", purchase["totalAmount"] // 2)
    assert [detail["ticketCode"] for detail in kept["details"]] == [None, None]
    assert [detail["cancelledAt"] is None for detail in kept["details"]] == [True, False]
    assert gave_back.get(f"/api/purchases/{given_back['purchaseId']}").json["status"] == "cancelled"

    # The outside hears of the event once, and of each purchase that had a seat left.
    assert news(site, event_id, "event.cancelled") == [
        {
            "eventId": event_id, "notice": NOTICE, "purchases": 1, "seats": 1, "revision": done.json["revision"],
            "state": "cancelled",
        }
    ]  # fmt: skip
    to_do = "SELECT 1 FROM event_cancellation WHERE event_id = %s AND done_at IS NULL"
    await_that(lambda: not rows(site, to_do, event_id), "all that follows is done")
    (said,) = news(site, event_id, "purchase.event_cancelled")
    assert (said["purchaseId"], said["status"], said["totalAmount"]) == (
        purchase["purchaseId"], "event_cancelled", kept["totalAmount"],
    )  # fmt: skip
    assert said["details"] == [{"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 1, "amount": kept["totalAmount"]}]
    line = next(entry for entry in operator.get(f"{path}/log").json["entries"] if entry["field"] == "state")
    assert (line["from"], line["to"], line["why"]) == ("published", "cancelled", WHY)

    # Every page says so, with the organiser's words.
    assert room(site, event_id) | {"waiting": 0} == {
        "state": "closed", "waiting": 0, "sale": "cancelled", "reason": "This event was cancelled.",
    }  # fmt: skip
    event = site.client().get(f"/api/initial-call/{event_id}").json["event"]
    assert (event["state"], event["notice"]) == ("cancelled", NOTICE)
    page = get(site, f"/events/{event_id}")[2]
    assert 'data-stage="closed">' in page
    assert "This event was cancelled" in page
    assert NOTICE in page
    tickets = bought.get(f"/purchases/{purchase['purchaseId']}").content.decode()
    for words in ("This event was cancelled", "The tickets are no longer valid.", NOTICE, "Cancelled, not valid"):
        assert words in tickets
    assert purchase["details"][0]["ticketCode"] not in tickets
    assert 'class="qr-box"' not in tickets
    assert "data-cancel" not in tickets
    mine = bought.get("/purchases").content.decode()
    assert "Event cancelled" in mine
    assert NOTICE in mine
    for address in (f"/events/{event_id}/sale.ics", f"/purchases/{purchase['purchaseId']}/event.ics"):
        calendar = icalendar.Calendar.from_ical(bought.get(address).content)
        (entry,) = calendar.walk("VEVENT")
        assert (str(entry["status"]), str(entry["sequence"])) == ("CANCELLED", str(done.json["revision"]))
        assert not entry.walk("VALARM"), "nobody is woken for it"


def test_a_cancelled_event_stays_cancelled_and_its_notice_may_change(site: Site, operator: Client) -> None:
    event_id = made(operator, name="Kept as cancelled", onSaleAt=moment(hours=-1), room={"state": "off"})["eventId"]
    path = f"/api/ops/events/{event_id}"
    assert cancelled(operator, event_id).status == 200
    for state in ("published", "unpublished"):
        refused = operator.patch(path, {"state": state})
        assert (refused.status, refused.code) == (409, "cancelled_for_good")
    again = cancelled(operator, event_id)
    assert (again.status, again.json["revision"]) == (200, 2), "to cancel it again changes nothing"
    changed = operator.patch(path, {"notice": "Paid back."}).json
    assert (changed["notice"], changed["revision"]) == ("Paid back.", 3)
    assert operator.patch(path, {"notice": "x" * 501}).status == 400
    assert len(news(site, event_id, "event.cancelled")) == 1
    assert site.fan().reserve(event_id, [(1, 1, 1)]).code == "event_cancelled", "of an event without a room too"
    home = get(site, "/")[2]
    assert "Kept as cancelled" in home
    assert "Cancelled" in home[home.index("Kept as cancelled") :]
    assert any(one["eventId"] == event_id for one in site.client().get("/api/events?q=Kept%20as").json["events"])


def test_a_lobby_of_a_cancelled_event_is_not_drawn(site: Site, operator: Client) -> None:
    on_sale_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4)
    event_id = made(
        operator, onSaleAt=on_sale_at.isoformat(), date=moment(weeks=1), room={"lobbyMinutes": 10, "state": "open"}
    )["eventId"]
    fan = site.fan()
    assert fan.join(event_id).json["state"] == "lobby"
    with fan.line(event_id) as stream:
        assert cancelled(operator, event_id).status == 200
        assert stream.data("closed") == {"reason": "This event was cancelled."}
    await_that(lambda: dt.datetime.now(dt.UTC) > on_sale_at + dt.timedelta(seconds=1.5), "the sale would have begun")
    assert fan.poll(event_id).json["state"] == "closed"
    assert rows(site, "SELECT drawn_at FROM draw WHERE event_id = %s", event_id) == [(None,)]
    assert news(site, event_id, "room.opened") == []


def test_an_earlier_date_tells_whose_promise_it_breaks(site: Site, operator: Client) -> None:
    event_id = made(operator, date=moment(weeks=6), onSaleAt=moment(hours=-1), room={"state": "off"})["eventId"]
    site.fan().buy(event_id, [(1, 1, 1)])
    path = f"/api/ops/events/{event_id}?dryRun=true"
    broken = operator.patch(path, {"date": moment(hours=5)}).json["event"]["notes"]
    assert broken == [
        "The earlier date takes time to cancel from 1 purchase: nobody can cancel once the event has begun. "
        "Tell these fans."
    ]
    promised = rows(site, "SELECT cancel_until FROM purchase WHERE event_id = %s", event_id)[0][0]
    kept = operator.patch(path, {"date": (promised + dt.timedelta(seconds=1)).isoformat()}).json["event"]["notes"]
    assert kept == [], "the promised time stays"
