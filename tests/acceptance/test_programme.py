"""Operators make and change events over the API; what would strand a fan is refused, with its reasons and seats."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from db.events.seed import RoomSeed
from tests.acceptance.conftest import OPERATOR, Site
from tests.acceptance.test_languages import get
from tests.client import Answer, Client, Fan
from tests.factories import OPEN_DOOR

GATEWAYS = 2
KNOWN_SECONDS = 3.0
"""A second is what is meant; a busy machine is given more."""


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator(0)


def body(**changes: Any) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    return {
        "name": "Nachtflug",
        "artist": "Lena Brandt",
        "venue": "Kulturhalle",
        "date": (now + dt.timedelta(weeks=6)).isoformat(),
        "onSaleAt": (now - dt.timedelta(minutes=1)).isoformat(),
        "currency": "EUR",
        "seatsPerFanMax": 4,
        "ticketTypes": [
            {"ticketType": "Stalls", "price": 4900, "blocks": [{"rows": 3, "seatsPerRow": 4}]},
            {"ticketType": "Boxes", "price": 12900, "rows": [{"rowNumber": 1, "seatNumbers": [1, 2, 5, 6]}]},
        ],
        "room": {"ratePerMinute": 600_000, "capacity": 100_000, "lobbyMinutes": 0},
    } | changes


def made(operator: Client, **changes: Any) -> dict[str, Any]:
    answer = operator.post("/api/ops/events", body(**changes))
    assert answer.status == 201, answer.content
    found: dict[str, Any] = answer.json
    return found


def read(operator: Client, event_id: int) -> dict[str, Any]:
    answer = operator.get(f"/api/ops/events/{event_id}")
    assert answer.status == 200, answer.content
    found: dict[str, Any] = answer.json
    return found


def within(seconds: float, condition: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not so after {seconds} s"
        time.sleep(0.05)


def reasons(answer: Answer) -> list[tuple[str, str]]:
    return [(fault["code"], fault["path"]) for fault in answer.json["errors"]]


def csv(operator: Client, event_id: int, text: str, query: str = "") -> Answer:
    path = f"/api/ops/events/{event_id}/seats{query}"
    return operator.call("POST", path, raw=text.encode(), headers={"Content-Type": "text/csv"})


def test_an_event_is_made_and_sold(site: Site, operator: Client) -> None:
    answer = operator.post("/api/ops/events", body(why="the tour's last night"))
    assert answer.status == 201, answer.content
    event = answer.json
    event_id = event["eventId"]
    assert answer.headers["Location"] == f"/api/ops/events/{event_id}"
    assert read(operator, event_id) == event
    stalls, boxes = event["ticketTypes"]
    assert (stalls["quantity"], stalls["availableCount"], stalls["bookedCount"]) == (12, 12, 0)
    assert stalls["blocks"] == [{"rows": 3, "seatsPerRow": 4, "firstRow": 1, "firstSeat": 1}]
    assert [(block["firstSeat"], block["seatsPerRow"]) for block in boxes["blocks"]] == [(1, 2), (5, 2)]
    listed = site.client(1).get("/api/events?q=Nachtflug").json["events"]
    assert event_id in [one["eventId"] for one in listed]
    assert f"/events/{event_id}" in site.client(1).get("/").content.decode()
    fan = site.admitted_fan(event_id, 1)
    bought = fan.buy(event_id, [(2, 1, 5), (2, 1, 6)])
    assert bought["totalAmount"] == 25800
    line = next(one for one in operator.get("/api/ops/events").json["events"] if one["eventId"] == event_id)
    assert (line["quantity"], line["sold"], line["held"]) == (16, 2, 0)
    entries = operator.get(f"/api/ops/events/{event_id}/log").json["entries"]
    assert [(entry["operator"], entry["to"], entry["why"]) for entry in entries] == [
        (OPERATOR, "Nachtflug", "the tour's last night"),
        (OPERATOR, "Stalls, 12 seats at 4900", "the tour's last night"),
        (OPERATOR, "Boxes, 4 seats at 12900", "the tour's last night"),
    ]


def test_a_ticket_tells_its_entrance(site: Site, operator: Client) -> None:
    stalls, boxes = body()["ticketTypes"]
    event = made(operator, ticketTypes=[stalls | {"entrance": " North gate "}, boxes])
    assert [one["entrance"] for one in event["ticketTypes"]] == ["North gate", ""]
    path = f"/api/ops/events/{event['eventId']}"
    late = {"ticketTypes": [{"ticketTypeId": 2, "entrance": "Stage door"}], "why": "the lift is broken"}
    assert [one["entrance"] for one in operator.patch(path, late).json["ticketTypes"]] == ["North gate", "Stage door"]
    entry = operator.get(f"{path}/log").json["entries"][0]
    assert [entry[name] for name in ("field", "from", "to")] == ["entrance of Boxes", "", "Stage door"]
    for wrong in ("two\nlines", "x" * 101):
        refused = operator.patch(path, {"ticketTypes": [{"ticketTypeId": 2, "entrance": wrong}]})
        assert (refused.status, refused.code) == (400, "invalid_request")
    fan = site.admitted_fan(event["eventId"], 1)
    bought = fan.buy(event["eventId"], [(1, 1, 1), (2, 1, 5)])
    purchase = fan.get(f"/api/purchases/{bought['purchaseId']}").json
    assert [one["entrance"] for one in purchase["details"]] == ["North gate", "Stage door"]
    page = get(site, f"/de/purchases/{bought['purchaseId']}", {"Cookie": f"admitone_session={fan.token}"})[2]
    assert re.findall(r"<dt>Eingang</dt><dd><bdi>([^<]*)</bdi>", page) == ["North gate", "Stage door"]
    calendar = f"/de/purchases/{bought['purchaseId']}/event.ics"
    entry = get(site, calendar, {"Cookie": f"admitone_session={fan.token}"})[2]
    assert "Eingang: North gate" in entry.replace("\r\n ", "")
    # Where it is taken away, tickets say nothing of it.
    bare = operator.patch(path, {"ticketTypes": [{"ticketTypeId": 1, "entrance": ""}]}).json
    assert bare["ticketTypes"][0]["entrance"] == ""


def test_an_event_has_the_zone_of_its_venue(site: Site, operator: Client) -> None:
    event = made(operator, timeZone="America/St_Johns", date="2030-06-12T19:30:00Z")
    event_id = event["eventId"]
    assert event["timeZone"] == "America/St_Johns"

    def zones() -> list[str]:
        public = site.client(1)
        listed = public.get("/api/events?q=Nachtflug&from=2030-01-01T00:00:00Z").json["events"]
        defined = operator.get("/api/ops/events").json["events"]
        return [
            public.get(f"/api/initial-call/{event_id}").json["event"]["timeZone"],
            *(one["timeZone"] for one in [*listed, *defined] if one["eventId"] == event_id),
        ]

    assert zones() == ["America/St_Johns"] * 3
    changed = operator.patch(f"/api/ops/events/{event_id}", {"timeZone": "Europe/Kyiv"})
    assert (changed.json["timeZone"], changed.json["date"]) == ("Europe/Kyiv", event["date"]), "the moment stays"
    within(KNOWN_SECONDS, lambda: zones() == ["Europe/Kyiv"] * 3)
    entry = operator.get(f"/api/ops/events/{event_id}/log").json["entries"][0]
    assert (entry["field"], entry["from"], entry["to"]) == ("time_zone", "America/St_Johns", "Europe/Kyiv")
    assert made(operator)["timeZone"] == "UTC", "which stands for an unknown zone"


@pytest.mark.parametrize("zone", ["Europe/Hamburg", "europe/berlin", "CEST", "+01:00", "../../etc/passwd", "localtime"])
def test_a_zone_that_is_none_is_refused(operator: Client, zone: str) -> None:
    refused = operator.post("/api/ops/events", body(timeZone=zone))
    assert (refused.status, reasons(refused)) == (422, [("event_invalid", "$.timeZone")])
    assert "Europe/Berlin" in refused.json["detail"], "it names one that would do"


def test_an_event_of_a_spreadsheet_is_made(operator: Client) -> None:
    kinds = [{"ticketType": "Stalls", "price": 1}, {"ticketType": "Boxes", "price": 2}]
    text = "\ufeffSeat;Row;Ticket type;Gate\r\n" + "".join(f"{seat};7;Stalls;A\r\n" for seat in range(1, 41))
    event = made(operator, ticketTypes=kinds, csv=text + "3;1;Boxes;B\r\n")
    assert [kind["quantity"] for kind in event["ticketTypes"]] == [40, 1]
    assert event["ticketTypes"][0]["blocks"] == [{"rows": 1, "seatsPerRow": 40, "firstRow": 7, "firstSeat": 1}]


def test_every_fault_is_told_at_once_and_nothing_made(site: Site, operator: Client) -> None:
    text = "ticketType,row,seat\nStalls,1,1\nStalls,one,2\nStals,1,3\nStalls,1,1\nStalls,1\n"
    bad = body(
        name="  ",
        date="2030-01-01T00:00:00Z",
        onSaleAt="2030-01-02T00:00:00Z",
        ticketTypes=[
            {"ticketType": "Stalls", "price": 1},
            {"ticketType": "Stalls ", "price": 1, "blocks": [{"rows": 2, "seatsPerRow": 2}] * 2},
            {"ticketType": "Field", "price": 1, "blocks": [{"rows": 100_000, "seatsPerRow": 100_000}]},
        ],
        csv=text,
    )
    before = site.bookings()
    answer = operator.post("/api/ops/events", bad)
    assert (answer.status, answer.code) == (422, "event_invalid")
    told = {(fault["path"], fault.get("line")) for fault in answer.json["errors"]}
    assert told == {
        ("$.name", None),
        ("$.onSaleAt", None),
        ("$.csv", 3),
        ("$.csv", 4),
        ("$.csv", 5),
        ("$.csv", 6),
        ("$.ticketTypes[1].ticketType", None),
        ("$.ticketTypes[1].blocks[1]", None),
        ("$.ticketTypes[2]", None),
    }
    preview = operator.post("/api/ops/events?dryRun=true", bad)
    assert preview.status == 200
    assert (preview.json["valid"], preview.json["event"]) == (False, None)
    assert preview.json["faults"] == answer.json["errors"]
    fine = operator.post("/api/ops/events?dryRun=true", body()).json
    assert (fine["valid"], fine["faults"], fine["event"]["eventId"]) == (True, [], 0)
    assert [kind["quantity"] for kind in fine["event"]["ticketTypes"]] == [12, 4]
    assert site.bookings() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"ticketTypes": []},
        {"currency": "eur"},
        {"seatsPerFanMax": 0},
        {"onSaleAt": "tomorrow"},
        {"name": "nul\0"},
        {"surprise": 1},
        {"room": {"state": "ajar"}},
        {"ticketTypes": [{"ticketType": "A", "price": -1}]},
    ],
    ids=str,
)
def test_a_malformed_event_is_refused(operator: Client, wrong: dict[str, Any]) -> None:
    answer = operator.post("/api/ops/events", body(**wrong))
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_changes_reach_every_gateway_and_the_log(site: Site, operator: Client) -> None:
    event_id = made(operator)["eventId"]
    other = site.client(1)
    assert other.get(f"/api/initial-call/{event_id}").json["tickets"][0]["price"] == 4900
    assert len(other.get(f"/api/events/{event_id}/seats").json["sections"][0]["rows"]) == 3
    changed = operator.patch(
        f"/api/ops/events/{event_id}",
        {
            "name": "Nachtflug II",
            "seatsPerFanMax": 6,
            "currency": "GBP",
            "ticketTypes": [{"ticketTypeId": 1, "price": 5900}, {"ticketTypeId": 2, "ticketType": "Loges"}],
            "addTicketTypes": [{"ticketType": "Gallery", "price": 900, "blocks": [{"rows": 1, "seatsPerRow": 2}]}],
            "revision": 1,
            "why": "moved",
        },
    )
    assert changed.status == 200, changed.content
    assert (changed.json["revision"], changed.json["currency"]) == (2, "GBP")
    moved = operator.post(
        f"/api/ops/events/{event_id}/seats",
        {
            "add": [{"ticketTypeId": 1, "blocks": [{"rows": 1, "seatsPerRow": 4, "firstRow": 4}]}],
            "remove": [{"ticketTypeId": 1, "rows": [{"rowNumber": 1, "seatNumbers": [1, 2]}]}],
        },
    )
    assert moved.status == 200, moved.content
    assert [kind["quantity"] for kind in moved.json["ticketTypes"]] == [14, 4, 2]

    def is_known() -> bool:
        call = other.get(f"/api/initial-call/{event_id}").json
        seats = other.get(f"/api/events/{event_id}/seats").json["sections"]
        rows = {row["rowNumber"]: row["seatNumbers"] for row in seats[0]["rows"]}
        prices = [ticket["price"] for ticket in call["tickets"]]
        names = [ticket["ticketType"] for ticket in call["tickets"]]
        return (
            (call["event"]["name"], prices, names)
            == ("Nachtflug II", [5900, 12900, 900], ["Stalls", "Loges", "Gallery"])
            and rows == {1: [3, 4], 2: [1, 2, 3, 4], 3: [1, 2, 3, 4], 4: [1, 2, 3, 4]}
            and [ticket["quantity"] for ticket in call["tickets"]] == [14, 4, 2]
        )

    within(KNOWN_SECONDS, is_known)
    fan = site.admitted_fan(event_id, 1)
    assert fan.reserve(event_id, [(1, 1, 1)]).code == "unknown_seats"
    held = fan.hold(event_id, [(1, 4, 1), (3, 1, 2)])
    assert (held["totalAmount"], held["currency"]) == (6800, "GBP")
    told = {
        (line["field"], line["from"], line["to"])
        for line in operator.get(f"/api/ops/events/{event_id}/log").json["entries"]
    }
    assert told >= {
        ("name", "Nachtflug", "Nachtflug II"),
        ("price of Stalls", "4900", "5900"),
        ("ticket_type 2", "Boxes", "Loges"),
        ("ticket_types", "", "Gallery, 2 seats at 900"),
        ("seats of Stalls", "12", "10 (- rows 1-1, seats 1-2)"),
    }


def test_the_next_best_seats_are_those_there_now(site: Site, operator: Client) -> None:
    """The worker keeps free rows from one batch to the next: an edit between them makes it forget."""
    event_id = made(operator, seatsPerFanMax=100)["eventId"]
    fan = site.admitted_fan(event_id)

    def best() -> list[tuple[int, int]]:
        answer = fan.reserve(event_id, best=(1, 2))
        return [(seat["rowNumber"], seat["seatNumber"]) for seat in answer.result["seats"]]

    assert best() == [(1, 1), (1, 2)]
    removed = {"ticketTypeId": 1, "blocks": [{"rows": 1, "seatsPerRow": 2, "firstSeat": 3}]}
    added = {"ticketTypeId": 1, "blocks": [{"rows": 1, "seatsPerRow": 2, "firstRow": 0, "firstSeat": 8}]}
    answer = operator.post(f"/api/ops/events/{event_id}/seats", {"remove": [removed], "add": [added]})
    assert answer.status == 200, answer.content
    assert best() == [(0, 8), (0, 9)]
    assert best() == [(2, 1), (2, 2)]


def test_nobody_is_stranded(site: Site, operator: Client) -> None:
    event_id = made(operator)["eventId"]
    buyer, holder = site.admitted_fan(event_id), site.admitted_fan(event_id, 1)
    buyer.buy(event_id, [(1, 1, 1), (1, 1, 2)])
    hold = holder.hold(event_id, [(1, 2, 1), (2, 1, 1), (2, 1, 2)])
    before = site.bookings()
    path = f"/api/ops/events/{event_id}"
    answer = operator.post(
        f"{path}/seats", {"remove": [{"ticketTypeId": 1, "blocks": [{"rows": 3, "seatsPerRow": 4}]}]}
    )
    assert answer.status == 409
    assert reasons(answer) == [("seats_held", "$.remove[0]"), ("seats_sold", "$.remove[0]")]
    assert answer.json["seats"] == [
        {"ticketTypeId": 1, "rowNumber": 2, "seatNumber": 1},
        {"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 1},
        {"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 2},
    ]
    answer = operator.patch(
        path,
        {
            "currency": "USD",
            "onSaleAt": (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat(),
            "seatsPerFanMax": 2,
            "removeTicketTypes": [2],
        },
    )
    assert answer.status == 409
    assert set(reasons(answer)) == {
        ("sale_begun", "$.onSaleAt"),
        ("currency_in_use", "$.currency"),
        ("limit_too_low", "$.seatsPerFanMax"),
        ("seats_held", "$.removeTicketTypes[0]"),
    }
    for change, code, status in (
        ({"ticketTypes": [{"ticketTypeId": 9, "price": 1}]}, "unknown_ticket_type", 404),
        ({"removeTicketTypes": [9]}, "unknown_ticket_type", 404),
        ({"ticketTypes": [{"ticketTypeId": 1, "ticketType": "Boxes"}]}, "event_invalid", 422),
        ({"removeTicketTypes": [1]}, "seats_sold", 409),
    ):
        answer = operator.patch(path, change)
        assert (answer.status, code) == (status, answer.code), answer.content
    for seats, code, status in (
        ({"add": [{"ticketTypeId": 1, "blocks": [{"rows": 1, "seatsPerRow": 9}]}]}, "seats_exist", 409),
        ({"remove": [{"ticketTypeId": 1, "rows": [{"rowNumber": 9, "seatNumbers": [1]}]}]}, "unknown_seats", 404),
        ({"add": [{"ticketTypeId": 1, "blocks": [{"rows": 99_999, "seatsPerRow": 3}]}]}, "event_invalid", 422),
    ):
        answer = operator.post(f"{path}/seats", seats)
        assert (answer.status, answer.code) == (status, code), answer.content
    assert site.bookings() == before
    # What is held keeps its price, what is yet to be held has the new one.
    raised = [{"ticketTypeId": 1, "price": 9900}, {"ticketTypeId": 2, "price": 100}]
    assert operator.patch(path, {"ticketTypes": raised}).status == 200
    (kept,) = holder.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    assert sorted(seat["amount"] for seat in kept["seats"]) == [4900, 12900, 12900], "also for who reloads the page"
    bought = holder.checkout(event_id, hold["reservationId"]).result
    assert bought["totalAmount"] == 4900 + 2 * 12900
    assert sorted(detail["amount"] for detail in bought["details"]) == [4900, 12900, 12900]
    assert site.admitted_fan(event_id).hold(event_id, [(1, 3, 1)])["totalAmount"] == 9900


def test_a_seat_whose_hold_was_released_may_go(site: Site, operator: Client) -> None:
    event_id = made(operator)["eventId"]
    fan = site.admitted_fan(event_id)
    hold = fan.hold(event_id, [(2, 1, 1)])
    path = f"/api/ops/events/{event_id}"
    assert operator.patch(path, {"removeTicketTypes": [2]}).code == "seats_held"
    fan.release(event_id, hold["reservationId"])
    answer = operator.patch(path, {"removeTicketTypes": [2]})
    assert answer.status == 200, answer.content
    assert [kind["ticketTypeId"] for kind in answer.json["ticketTypes"]] == [1]
    assert operator.patch(path, {"removeTicketTypes": [1]}).code == "event_invalid"


def test_a_spreadsheet_adds_seats_line_by_line(operator: Client) -> None:
    event_id = made(operator)["eventId"]
    bad = csv(operator, event_id, "ticketTypeId,row,seat\n1,1,1\n1,20,1\n7,20,2\n1,x,3\n")
    assert (bad.status, bad.code) == (422, "event_invalid")
    told = [(fault["code"], fault.get("line")) for fault in bad.json["errors"]]
    assert told == [("event_invalid", 4), ("event_invalid", 5), ("seats_exist", None)]
    assert csv(operator, event_id, "row,seat\n1,1\n").json["errors"][0]["line"] == 1
    assert csv(operator, event_id, "ticketType,row,seat\n").code == "event_invalid"
    text = "ticketType\trow\tseat\n" + "".join(f"Stalls\t20\t{seat}\n" for seat in (3, 1, 2))
    looked = csv(operator, event_id, text, "?dryRun=true").json
    assert looked["valid"]
    assert looked["event"]["ticketTypes"][0]["quantity"] == 15
    assert read(operator, event_id)["ticketTypes"][0]["quantity"] == 12
    added = csv(operator, event_id, text).json["ticketTypes"][0]
    assert (added["quantity"], added["blocks"][-1]) == (
        15,
        {"rows": 1, "seatsPerRow": 3, "firstRow": 20, "firstSeat": 1},
    )
    latin = operator.call(
        "POST", f"/api/ops/events/{event_id}/seats", raw=b"ticketType,row,seat\n\xe4,1,1\n",
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    assert (latin.code, latin.json["errors"][0]["line"]) == ("event_invalid", 2)


def test_two_operators_do_not_overwrite_each_other(operator: Client) -> None:
    event_id = made(operator)["eventId"]
    path = f"/api/ops/events/{event_id}"
    assert operator.patch(path, {"venue": "Open air", "revision": 1}).json["revision"] == 2
    assert operator.patch(path, {"venue": "Open air"}).json["revision"] == 2, "what changes nothing is no change"
    late = operator.patch(path, {"venue": "Cellar", "revision": 1})
    assert (late.status, late.code, late.json["revision"]) == (409, "conflict", 2)
    assert [(line["field"], line["from"], line["to"]) for line in late.json["changes"]] == [
        ("venue", "Kulturhalle", "Open air")
    ]
    assert read(operator, event_id)["venue"] == "Open air"


def test_an_on_sale_moves_with_its_room(site: Site, operator: Client) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=20)
    room = body()["room"] | {"lobbyMinutes": 30}
    event = made(operator, onSaleAt=soon.isoformat(), room=room)
    event_id, path = event["eventId"], f"/api/ops/events/{event['eventId']}"
    assert (event["hasLobby"], event["isOnSale"]) == (True, False)
    fan = site.fan(1)
    assert fan.join(event_id).json["state"] == "lobby"
    later = soon.replace(microsecond=0) + dt.timedelta(minutes=5)
    assert operator.patch(path, {"onSaleAt": later.isoformat(), "why": "the band is late"}).status == 200
    within(KNOWN_SECONDS, lambda: dt.datetime.fromisoformat(fan.poll(event_id).json["lobby"]["onSaleAt"]) == later)
    lines = operator.get(f"/api/ops/rooms/{event_id}/log").json["entries"]
    assert [(line["field"], line["to"], line["why"]) for line in lines] == [
        ("on_sale_at", later.isoformat(), "the band is late")
    ]
    now = operator.patch(path, {"onSaleAt": dt.datetime.now(dt.UTC).isoformat()})
    assert reasons(now) == [("event_invalid", "$.onSaleAt")]


@pytest.mark.long
def test_edits_race_with_bookings(site: Site, operator: Client) -> None:
    """Seats come and go while fans hold and buy them; the site's audit, at the end, finds every count right."""
    event_id = made(operator, seatsPerFanMax=1000)["eventId"]
    path = f"/api/ops/events/{event_id}/seats"
    ended = threading.Event()
    codes: set[str] = set()

    def book(fan: Fan) -> None:
        while not ended.is_set():
            held = fan.reserve(event_id, best=(1, 2))
            codes.add(held.code)
            if held.code == "":
                hold = held.result["reservationId"]
                if len(codes) % 2:
                    codes.add(fan.release(event_id, hold).code)
                else:
                    codes.add(fan.checkout(event_id, hold).code)

    fans = [site.admitted_fan(event_id, number % 2) for number in range(4)]
    threads = [threading.Thread(target=book, args=(fan,), daemon=True) for fan in fans]
    for thread in threads:
        thread.start()
    refused = 0
    for row in range(10, 40):
        part = [{"ticketTypeId": 1, "blocks": [{"rows": 1, "seatsPerRow": 6, "firstRow": row}]}]
        assert operator.post(path, {"add": part}).status == 200
        answer = operator.post(path, {"remove": part})
        assert answer.status == 200 or answer.code in ("seats_held", "seats_sold"), answer.content
        refused += answer.status != 200
    ended.set()
    for thread in threads:
        thread.join(30)
    assert codes <= {"", "no_block", "sold_out", "unknown_seats", "seats_taken"}, codes
    types = read(operator, event_id)["ticketTypes"]
    assert types[0]["quantity"] == sum(block["rows"] * block["seatsPerRow"] for block in types[0]["blocks"])
    assert types[0]["quantity"] == 12 + 6 * refused


def test_only_operators_see_and_change_events(site: Site, operator: Client) -> None:
    event_id = made(operator)["eventId"]
    fan = site.fan()
    for method, path, sent in (
        ("GET", "/api/ops/events", None),
        ("POST", "/api/ops/events", body()),
        ("GET", f"/api/ops/events/{event_id}", None),
        ("PATCH", f"/api/ops/events/{event_id}", {"name": "Mine"}),
        ("POST", f"/api/ops/events/{event_id}/seats", {"remove": []}),
        ("GET", f"/api/ops/events/{event_id}/log", None),
    ):
        assert fan.call(method, path, sent).code == "not_operator", (method, path)
        assert site.client().call(method, path, sent).code == "unauthenticated", (method, path)
        unknown = path.replace(f"/{event_id}", "/987654321")
        if unknown != path:
            assert operator.call(method, unknown, sent).code == "unknown_event", (method, path)


def test_a_body_is_bounded(site: Site, operator: Client) -> None:
    answer = operator.post("/api/ops/events", body(csv="x" * 9_000_000))
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert operator.call("POST", "/api/ops/events", raw=b"<event/>", headers={"Content-Type": "text/xml"}).status == 415
    assert json.loads(operator.get("/api/ops/events?limit=1").content)["next"] is not None
    off = site.event(room=RoomSeed(state="off"))
    assert operator.patch(f"/api/ops/events/{off}", {"name": "Seeded"}).json["name"] == "Seeded"
    assert OPEN_DOOR.state == "open"


FEE_AND_TAX = {"feeAmount": 250, "taxBasisPoints": 825, "taxIncluded": False}


def test_fees_and_taxes_are_shown_before_they_are_paid(site: Site, operator: Client) -> None:
    stalls, boxes = body()["ticketTypes"]
    event = made(operator, ticketTypes=[stalls | FEE_AND_TAX, boxes])
    event_id = event["eventId"]
    assert [one["amount"] for one in event["ticketTypes"]] == [5575, 12900]
    fan = site.admitted_fan(event_id, 1)
    first, second = fan.get(f"/api/initial-call/{event_id}").json["tickets"]
    told = {name: first[name] for name in ("price", "fee", "tax", "taxBasisPoints", "taxIncluded", "amount")}
    assert told == {
        "price": 4900, "fee": 250, "tax": 425, "taxBasisPoints": 825, "taxIncluded": False, "amount": 5575,
    }  # fmt: skip
    assert second.keys() == {"ticketTypeId", "ticketType", "price", "quantity", "availableCount", "heldCount"}
    (proposal, *_) = fan.get(f"/api/events/{event_id}/proposals?quantity=2&ticketTypeId=1").json["proposals"]
    assert proposal["totalAmount"] == 11150
    _, _, page = get(site, f"/events/{event_id}")
    for words in ("incl. €2.50 booking fee", "incl. 8.25% VAT", "€55.75"):
        assert words in page
    bought = fan.buy(event_id, [(1, 1, 1), (2, 1, 5)])
    assert bought["totalAmount"] == 18475
    assert bought["breakdown"] == {
        "prices": 17800, "fees": 250, "taxes": [{"basisPoints": 825, "included": False, "tax": 425}],
    }  # fmt: skip
    path = f"/api/ops/events/{event_id}"
    taken = operator.get(f"{path}/takings").json
    assert (taken["currency"], taken["seats"], taken["amount"], taken["tax"]) == ("EUR", 2, 18475, 425)
    assert [one["fees"] for one in taken["lines"]] == [250, 0]
    _, stalls_line, boxes_line = operator.get(f"{path}/takings.csv").content.decode().splitlines()
    assert stalls_line == "1,Stalls,8.25,false,1,49.00,0.00,2.50,4.25,55.75,0,0.00,EUR,0"
    assert boxes_line == "2,Boxes,0,true,1,129.00,0.00,0.00,0.00,129.00,0,0.00,EUR,0"
    changed = operator.patch(path, {"ticketTypes": [{"ticketTypeId": 1, "feeAmount": 0, "taxIncluded": True}]}).json
    assert changed["ticketTypes"][0]["amount"] == 4900
    logged = {entry["field"]: (entry["from"], entry["to"]) for entry in operator.get(f"{path}/log").json["entries"]}
    assert logged["fee_amount of Stalls"] == ("250", "0")
    (purchase,) = fan.get("/api/purchases").json["purchases"]
    assert [one["charge"] for one in purchase["details"]] == [
        {"price": 4900, "fee": 250, "tax": 425, "taxBasisPoints": 825, "discount": 0},
        None,
    ]


def test_terms_that_make_no_sense_are_refused(operator: Client) -> None:
    event_id = made(operator)["eventId"]
    path = f"/api/ops/events/{event_id}"
    soon, later = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"
    for wrong, field in (
        ({"soldFrom": later, "soldUntil": soon}, "soldUntil"),
        ({"price": 10**10, "feeAmount": 1}, "price"),
    ):
        refused = operator.patch(path, {"ticketTypes": [{"ticketTypeId": 1, **wrong}]})
        assert (refused.status, refused.code) == (422, "event_invalid"), wrong
        assert reasons(refused) == [("event_invalid", f"$.ticketTypes[0].{field}")]
        refused = operator.post("/api/ops/events", body(ticketTypes=[body()["ticketTypes"][0] | wrong]))
        assert reasons(refused) == [("event_invalid", f"$.ticketTypes[0].{field}")]
    assert operator.patch(path, {"ticketTypes": [{"ticketTypeId": 1, "feeBasisPoints": 10_001}]}).status == 400


def test_a_ticket_type_has_a_window_and_a_limit_of_its_own(site: Site, operator: Client) -> None:
    stalls, boxes = body()["ticketTypes"]
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    event_id = made(operator, ticketTypes=[stalls | {"soldFrom": later}, boxes | {"seatsPerFanMax": 2}])["eventId"]
    fan = site.admitted_fan(event_id, 1)
    early = fan.reserve(event_id, [(1, 1, 1)])
    assert (early.code, early.problem["ticketTypeId"]) == ("type_not_on_sale", 1)
    assert fan.reserve(event_id, [(2, 1, 1), (2, 1, 2), (2, 1, 5)]).code == "type_limit_exceeded"
    found = fan.get(f"/api/events/{event_id}/proposals?quantity=2").json["proposals"]
    assert {one["ticketTypeId"] for one in found} == {2}, "what is not sold is not proposed"
    fan.hold(event_id, [(2, 1, 1), (2, 1, 2)])
    path = f"/api/ops/events/{event_id}"
    refused = operator.patch(path, {"ticketTypes": [{"ticketTypeId": 2, "seatsPerFanMax": 1}]})
    assert (refused.status, refused.code) == (409, "limit_too_low")
    opened = {"ticketTypeId": 1, "soldFrom": None}
    assert operator.patch(path, {"ticketTypes": [opened, {"ticketTypeId": 2, "seatsPerFanMax": None}]}).status == 200
    fan.hold(event_id, [(1, 1, 1)])


def test_a_voucher_is_issued_quoted_and_used_once(site: Site, operator: Client) -> None:
    event_id = made(operator)["eventId"]
    path = f"/api/ops/events/{event_id}/vouchers"
    sent = {"label": "Students", "basisPoints": 5000, "ticketTypeIds": [1], "why": "as every year"}
    answer = operator.post(path, sent)
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store"), answer.content
    (code,) = answer.json["codes"]
    assert operator.post(path, sent | {"ticketTypeIds": [9]}).code == "unknown_ticket_type"
    assert operator.post(path, sent | {"amount": 100}).status == 400
    first, second = site.admitted_fan(event_id, 1), site.admitted_fan(event_id, 1)
    hold, other = first.hold(event_id, [(1, 1, 1)]), second.hold(event_id, [(1, 1, 2)])
    quote = f"/api/reservations/{hold['reservationId']}/quote"
    told = first.post(quote, {"eventId": event_id, "voucher": code.lower().replace("-", " ")}).json
    assert (told["totalAmount"], told["breakdown"]["discounts"]) == (2450, 2450)
    assert first.post(quote, {"eventId": event_id, "voucher": "NO SUCH"}).code == "voucher_unknown"
    assert second.post(quote, {"eventId": event_id, "voucher": code}).code == "hold_expired", "not the fan's own"
    bought = first.checkout(event_id, hold["reservationId"], voucher=code)
    assert bought.result["totalAmount"] == 2450
    assert second.checkout(event_id, other["reservationId"], voucher=code).code == "voucher_used"
    assert second.checkout(event_id, other["reservationId"]).result["totalAmount"] == 4900
    (issue,) = operator.get(path).json["issues"]
    assert (issue["label"], issue["vouchers"], issue["usesMax"], issue["uses"]) == ("Students", 1, 1, 1)
    one = f"{path}/{issue['issueId']}"
    assert operator.call("DELETE", one).status == operator.call("DELETE", one).status == 204
    assert operator.call("DELETE", f"{path}/00000000-0000-0000-0000-000000000000").code == "unknown_vouchers"


def test_house_seats_are_taken_out_of_the_sale_and_put_back(site: Site, operator: Client) -> None:
    event_id = made(operator)["eventId"]
    path = f"/api/ops/events/{event_id}/allotments"
    fan = site.admitted_fan(event_id, 1)
    fan.hold(event_id, [(2, 1, 5)])
    boxes = {"ticketTypeId": 2, "rows": [{"rowNumber": 1, "seatNumbers": [1, 2]}]}
    with_held = boxes | {"rows": [{"rowNumber": 1, "seatNumbers": [2, 5]}]}
    held = operator.post(path, {"name": "House", "seats": [with_held]})
    assert (held.status, held.code) == (409, "seats_held")
    assert operator.get(path).json["allotments"] == []
    answer = operator.post(path, {"name": " House seats ", "seats": [boxes], "why": "the director's"})
    assert answer.status == 201, answer.content
    (one,) = operator.get(path).json["allotments"]
    assert (one["allotmentId"], one["name"], one["madeBy"]) == (answer.json["allotmentId"], "House seats", OPERATOR)
    assert [seat["seatNumber"] for seat in one["seats"]] == [1, 2]
    within(KNOWN_SECONDS, lambda: fan.reserve(event_id, [(2, 1, 1)]).code == "unknown_seats")
    again = operator.post(f"/api/ops/events/{event_id}/seats", {"add": [boxes]})
    assert (again.status, again.code) == (409, "seats_exist"), "they come back one day"
    assert operator.call("DELETE", f"{path}/{one['allotmentId']}").status == 204
    assert operator.call("DELETE", f"{path}/{one['allotmentId']}").code == "unknown_allotment"
    boxes_again = read(operator, event_id)["ticketTypes"][1]
    assert (boxes_again["quantity"], boxes_again["availableCount"], boxes_again["heldCount"]) == (4, 3, 1)
    within(KNOWN_SECONDS, lambda: fan.reserve(event_id, [(2, 1, 1), (2, 1, 2)]).code == "")
    logged = [entry["field"] for entry in operator.get(f"/api/ops/events/{event_id}/log").json["entries"]]
    assert logged.count("allotments") == 2
