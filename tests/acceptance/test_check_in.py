"""Check-in at the gates: a ticket lets one person in, by its code or its signature; undo, search, list, sync."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from db.operators.accounts import add_operator
from db.operators.roles import OperatorRole
from tests.acceptance.conftest import PASSWORD, Site
from tests.client import Answer, Client
from tests.factories import SECRET
from tickets.keys import TicketKeys
from tickets.signed import SignedTicket

GATEWAYS = 2
SEATS = [(1, 1, 1), (1, 1, 2), (1, 1, 3)]


def signed_in(site: Site, name: str, gateway: int = 0, **role: Any) -> Client:
    if role:
        add_operator(site.database_url, name, PASSWORD, **role)
    client = Client(site.gateways[gateway].url, source="127.0.212.1")
    token = client.post("/api/ops/session", {"name": name, "password": PASSWORD}).json["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


@pytest.fixture(scope="module")
def gates(site: Site) -> list[Client]:
    """The same steward at two gateways."""
    return [signed_in(site, "doris", role=OperatorRole.DOOR), signed_in(site, "doris", 1)]


@pytest.fixture
def event_id(site: Site) -> int:
    return site.event()


def bought(site: Site, event_id: int) -> dict[str, Any]:
    fan = site.admitted_fan(event_id)
    hold = fan.hold(event_id, SEATS)
    return {**fan.checkout(event_id, hold["reservationId"]).result, "fan": fan}


def code(purchase: dict[str, Any], seat: int = 0) -> str:
    return str(purchase["details"][seat]["ticketCode"])


def signed(purchase: dict[str, Any], seat: int = 0) -> str:
    ticket = SignedTicket(purchase["eventId"], uuid.UUID(purchase["purchaseId"]), SEATS[seat], 1)
    return TicketKeys(SECRET).sign(ticket)


def enter(gate: Client, event_id: int, ticket: str, name: str = "North", **facts: Any) -> Answer:
    body = {"ticket": ticket, "gate": name, "deviceId": "device-of-a-gate", "scanId": str(uuid.uuid4()), **facts}
    return gate.post(f"/api/ops/events/{event_id}/entries", body)


def test_a_ticket_lets_one_person_in(site: Site, gates: list[Client], event_id: int) -> None:
    purchase = bought(site, event_id)
    entry = enter(gates[0], event_id, code(purchase).lower())
    assert (entry.status, entry.json["place"], entry.json["gate"]) == (201, "Row 1 · Seat 1", "North")
    again = enter(gates[1], event_id, signed(purchase), "South")
    assert (again.status, again.code) == (409, "ticket_used")
    assert (again.json["gate"], again.json["scannedAt"]) == ("North", entry.json["scannedAt"])
    assert again.json["entryId"] == entry.json["entryId"]
    assert enter(gates[1], event_id, signed(purchase, 1)).status == 201
    counts = gates[0].get(f"/api/ops/events/{event_id}/entries").json["counts"]
    assert (counts["sold"], counts["entries"], counts["conflicts"]) == (3, 2, 0)
    assert [(one["gate"], one["entries"]) for one in counts["gates"]] == [("North", 2)]
    assert site.operator().get(f"/api/ops/rooms/{event_id}/entries").json["entries"] == 2


def test_two_gateways_never_let_one_ticket_in_twice(site: Site, gates: list[Client], event_id: int) -> None:
    purchase = bought(site, event_id)
    with ThreadPoolExecutor(8) as pool:
        for seat in range(3):
            ticket = signed(purchase, seat)
            answers = list(pool.map(lambda n, ticket=ticket: enter(gates[n % 2], event_id, ticket, f"G{n}"), range(8)))
            assert sorted(answer.status for answer in answers) == [201, *[409] * 7]


def test_what_is_no_valid_ticket_is_refused_with_a_sentence(site: Site, gates: list[Client], event_id: int) -> None:
    purchase = bought(site, event_id)
    gate, other = gates[0], site.event()
    assert enter(gate, event_id, "ABCDEFGHIJKLMNOP").code == "unknown_ticket"
    assert enter(gate, other, code(purchase)).code == "unknown_ticket"
    assert enter(gate, other, signed(purchase)).code == "other_event"
    ticket = signed(purchase)
    assert enter(gate, event_id, ticket[:-8] + "AAAAAAAA").code == "unknown_ticket"
    assert purchase["fan"].cancel(event_id, purchase["purchaseId"]).result["status"] == "cancelled"
    answer = enter(gate, event_id, ticket)
    assert (answer.status, answer.code, answer.json["place"]) == (409, "ticket_cancelled", "Row 1 · Seat 1")
    assert enter(gate, 999_999, ticket).code == "unknown_event"
    assert enter(gate, event_id, ticket, "\u200b").code == "invalid_request"


def test_a_ticket_that_let_somebody_in_is_not_given_back(site: Site, gates: list[Client], event_id: int) -> None:
    purchase = bought(site, event_id)
    entry = enter(gates[0], event_id, code(purchase)).json
    refused = purchase["fan"].cancel(event_id, purchase["purchaseId"])
    assert refused.code == "not_cancellable"
    assert refused.problem["seats"] == [{"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 1}]
    links = purchase["fan"].get(f"/api/purchases/{purchase['purchaseId']}/hand-on").json["links"]
    taken = site.fan().post("/api/tickets/take", {"token": links[0]["token"]}, Prefer="wait=10")
    assert taken.json["problem"]["code"] == "ticket_link_ended"
    assert gates[0].call("DELETE", f"/api/ops/events/{event_id}/entries/{entry['entryId']}").status == 204
    assert purchase["fan"].cancel(event_id, purchase["purchaseId"]).result["status"] == "cancelled"


def test_of_a_ticket_that_was_handed_on_the_new_one_lets_in(site: Site, gates: list[Client], event_id: int) -> None:
    purchase, friend = bought(site, event_id), site.fan()
    links = purchase["fan"].get(f"/api/purchases/{purchase['purchaseId']}/hand-on").json["links"]
    friend.post("/api/tickets/take", {"token": links[0]["token"]}, Prefer="wait=10")
    assert enter(gates[0], event_id, signed(purchase)).code == "ticket_handed_on"
    assert enter(gates[0], event_id, code(purchase)).code == "unknown_ticket"
    (new,) = friend.get(f"/api/purchases/{purchase['purchaseId']}").json["details"]
    assert enter(gates[0], event_id, new["ticket"]).status == 201
    again = enter(gates[0], event_id, new["ticketCode"])
    assert again.code == "ticket_used"


def test_an_entry_is_undone(site: Site, gates: list[Client], event_id: int) -> None:
    purchase = bought(site, event_id)
    entry = enter(gates[0], event_id, code(purchase)).json
    path = f"/api/ops/events/{event_id}/entries/{entry['entryId']}"
    assert gates[1].call("DELETE", path).status == 204
    assert gates[1].call("DELETE", path).status == 204
    assert gates[1].call("DELETE", f"/api/ops/events/{event_id}/entries/{uuid.uuid4()}").code == "unknown_entry"
    assert enter(gates[0], event_id, code(purchase)).status == 201


def test_tickets_are_found_and_let_in_by_their_seat(site: Site, gates: list[Client], event_id: int) -> None:
    purchase = bought(site, event_id)
    given = purchase["fan"].call("PUT", f"/api/events/{event_id}/contact", {"mail": "fan@example.org"})
    assert given.status == 200, given.content

    def found(sought: str) -> list[dict[str, Any]]:
        answer = gates[0].get(f"/api/ops/events/{event_id}/tickets?q={sought}")
        assert answer.status == 200, answer.content
        tickets: list[dict[str, Any]] = answer.json["tickets"]
        return tickets

    assert len(found(purchase["purchaseId"])) == len(found("fan%40EXAMPLE.org")) == 3
    assert [one["place"] for one in found("1%202")] == ["Row 1 · Seat 2"]
    assert [one["place"] for one in found(code(purchase, 2))] == ["Row 1 · Seat 3"]
    assert found(str(uuid.uuid4())) == found("nobody%40example.org") == found("9%209") == []
    (ticket,) = found(signed(purchase, 1))
    names = ("purchaseId", "ticketTypeId", "rowNumber", "seatNumber")
    seat = {name: ticket[name] for name in names}
    body = {"seat": seat, "gate": "North", "deviceId": "device-1", "scanId": str(uuid.uuid4())}
    assert gates[0].post(f"/api/ops/events/{event_id}/entries", body).status == 201
    both = gates[0].post(f"/api/ops/events/{event_id}/entries", {**body, "ticket": code(purchase)})
    assert both.code == "invalid_request"
    assert found("1%202")[0]["gate"] == "North"


def short_hash(content: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(content).digest()[:10]).decode().rstrip("=")


def test_the_list_holds_hashes_and_no_code(site: Site, gates: list[Client], event_id: int) -> None:
    purchase = bought(site, event_id)
    enter(gates[0], event_id, code(purchase, 1))
    answer = gates[1].get(f"/api/ops/events/{event_id}/tickets/valid")
    listed = answer.json
    assert listed["codes"] == [short_hash(code(purchase, seat).encode()) for seat in range(3)]
    assert code(purchase).encode() not in answer.content
    assert listed["places"] == ["Row 1 · Seat 1", "Row 1 · Seat 2", "Row 1 · Seat 3"]
    assert [used["ticket"] for used in listed["used"]] == [listed["tickets"][1]]
    assert listed["next"] is None
    jwks = site.client().get("/.well-known/jwks.json").json["keys"]
    assert {key["kid"] for key in listed["keys"]} <= {key["kid"] for key in jwks}
    assert gates[0].get(f"/api/ops/events/{event_id}/tickets/valid?cursor=1.2").code == "invalid_request"


def test_scans_without_a_network_are_synced_once_and_conflicts_shown(
    site: Site, gates: list[Client], event_id: int
) -> None:
    purchase = bought(site, event_id)
    first = enter(gates[0], event_id, code(purchase)).json
    at = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)).isoformat()
    tickets = [code(purchase), signed(purchase, 1), "A" * 16]
    scans = [{"scanId": str(uuid.uuid4()), "ticket": one, "gate": "South", "scannedAt": at} for one in tickets]
    body = {"deviceId": "device-south", "scans": scans}
    path = f"/api/ops/events/{event_id}/entries"
    answers = [gate.post(f"{path}/sync", body) for gate in gates]
    assert answers[0].json == answers[1].json, "the same again changes nothing"
    synced = answers[0].json["scans"]
    assert [one["result"] for one in synced] == ["used", "admitted", "unknown"]
    assert (synced[0]["entryGate"], synced[0]["entryScannedAt"]) == ("North", first["scannedAt"])
    standing = gates[1].get(path).json
    assert (standing["counts"]["entries"], standing["counts"]["conflicts"]) == (2, 2)
    shown = {one["why"]: one for one in standing["conflicts"]}
    assert (shown["used"]["gate"], shown["used"]["entryGate"], shown["used"]["operator"]) == ("South", "North", "doris")
    assert dt.datetime.fromisoformat(shown["used"]["scannedAt"]) == dt.datetime.fromisoformat(at)
    assert shown["unknown"]["entryGate"] is None


def test_who_may_check_in(site: Site, gates: list[Client], event_id: int) -> None:
    other = site.event()
    add_operator(site.database_url, "here", PASSWORD, role=None)
    granted = site.operator().call(
        "PUT",
        "/api/ops/operators/role",
        {"name": "here", "role": "door", "eventId": event_id, "password": PASSWORD},
    )
    assert granted.status == 204, granted.content
    here = signed_in(site, "here")
    purchase = bought(site, event_id)
    assert enter(here, event_id, code(purchase)).status == 201
    assert enter(here, other, code(purchase)).code == "not_your_role"
    assert [one["eventId"] for one in here.get("/api/ops/gates").json["events"]] == [event_id]
    assert here.get(f"/api/ops/rooms/{event_id}/entries").code == "not_your_role", "a gate does not read the console"
    viewer = signed_in(site, "vera", role=OperatorRole.VIEWER)
    assert enter(viewer, event_id, code(purchase, 1)).code == "not_your_role"
    assert viewer.get(f"/api/ops/rooms/{event_id}/entries").json["entries"] == 1
    steward = signed_in(site, "stella", role=OperatorRole.STEWARD)
    assert enter(steward, event_id, code(purchase, 1)).status == 201
