"""Seats that are proposed before anything is held, and the best available that is held at once."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from db.events.seed import TicketTypePlan
from tests.acceptance.conftest import Site
from tests.client import Client

HALL = (
    TicketTypePlan(ticket_type="Stalls", price=9900, rows=12, seats_per_row=20),
    TicketTypePlan(ticket_type="Balcony", price=3900, rows=4, seats_per_row=20),
)
ACCESSIBLE, COMPANION = 1, 2


@pytest.fixture
def hall(site: Site) -> int:
    return site.event(hall=HALL, seats_per_fan_max=20)


def propose(client: Client, event_id: int, query: str) -> list[dict[str, Any]]:
    answer = client.get(f"/api/events/{event_id}/proposals?{query}")
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.json["proposals"]
    return found


def places(proposal: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [(seat["ticketTypeId"], seat["rowNumber"], seat["seatNumber"]) for seat in proposal["seats"]]


def give_plan(site: Site, event_id: int) -> None:
    """A plan of the first ticket type with lettered rows, whose first row begins with places for wheelchairs."""
    with psycopg.connect(site.database_url) as connection:
        columns = "event_id, document, focus_x, focus_y"
        connection.execute(f"INSERT INTO event_plan ({columns}) VALUES (%s, '{{}}', 105, 0)", (event_id,))
        connection.execute(
            """
            UPDATE seat
               SET x = 10 * seat_number, y = 20 + 12 * row_number, row_label = chr(64 + row_number),
                   seat_label = 'S' || seat_number, flags = 0, ordinal = seat_number + (seat_number > 10)::int
             WHERE event_id = %s AND ticket_type_id = 1
            """,
            (event_id,),
        )
        flags = (
            "UPDATE seat SET flags = %s WHERE event_id = %s AND (ticket_type_id, row_number, seat_number) = (1, 1, %s)"
        )
        for flag, seat in ((ACCESSIBLE, 9), (COMPANION, 10)):
            connection.execute(flags, (flag, event_id, seat))
        connection.execute(
            "UPDATE event SET version = version + 1, revision = revision + 1 WHERE event_id = %s", (event_id,)
        )


def test_proposals_are_different_and_nothing_is_held(site: Site, hall: int) -> None:
    client = site.client()
    found = propose(client, hall, "quantity=2")
    assert [one["reason"] for one in found] == ["nearest", "cheapest", "further_back"]
    nearest, cheapest, back = found
    assert places(nearest) == [(1, 1, 9), (1, 1, 10)]
    assert (nearest["ticketType"], nearest["rowLabel"], nearest["totalAmount"]) == ("Stalls", "1", 2 * 9900)
    assert (cheapest["ticketTypeId"], cheapest["totalAmount"]) == (2, 2 * 3900)
    assert back["rowNumber"] > 3
    seats = [place for one in found for place in places(one)]
    assert len(set(seats)) == 6
    of_one_type = propose(client, hall, "quantity=4&ticketTypeId=1")
    assert [one["reason"] for one in of_one_type] == ["nearest", "aisle", "further_back"]
    assert places(of_one_type[1])[0] == (1, 1, 1) or places(of_one_type[1])[-1] == (1, 1, 20)
    assert client.get(f"/api/events/{hall}/seats").json["taken"] == []


def test_a_proposal_can_be_held_and_is_then_proposed_to_nobody(site: Site, hall: int) -> None:
    fan, client = site.admitted_fan(hall), site.client()
    (proposal, *_) = propose(client, hall, "quantity=3&ticketTypeId=1")
    answer = client.get(f"/api/events/{hall}/proposals?quantity=3&ticketTypeId=1")
    same = client.get(f"/api/events/{hall}/proposals?quantity=3&ticketTypeId=1", if_none_match=answer.headers["etag"])
    assert same.status == 304
    hold = fan.hold(hall, places(proposal))
    (other, *_) = propose(client, hall, f"quantity=3&ticketTypeId=1&minVersion={hold['version']}")
    assert not set(places(other)) & set(places(proposal))
    released = fan.release(hall, hold["reservationId"])
    (again, *_) = propose(client, hall, f"quantity=3&ticketTypeId=1&minVersion={released.result['version']}")
    assert again == proposal


def test_what_the_engine_takes_as_best_is_what_was_proposed(site: Site, hall: int) -> None:
    fans = [site.admitted_fan(hall) for _ in range(6)]
    for fan, quantity in zip(fans, (2, 4, 3, 2, 5, 2), strict=True):
        (proposal, *_) = propose(fan, hall, f"quantity={quantity}&ticketTypeId=1")
        held = fan.reserve(hall, best=(1, quantity)).result
        assert [(seat["ticketTypeId"], seat["rowNumber"], seat["seatNumber"]) for seat in held["seats"]] == places(
            proposal
        )


def test_accessible_seats_are_for_those_who_ask(site: Site, hall: int) -> None:
    give_plan(site, hall)
    client, fan = site.client(), site.admitted_fan(hall)
    version = client.get(f"/api/initial-call/{hall}?minVersion=1").json["version"]
    (nearest, *_) = propose(client, hall, f"quantity=2&ticketTypeId=1&minVersion={version}")
    assert places(nearest) == [(1, 1, 11), (1, 1, 12)], "beyond the aisle, since the seats before it are kept"
    assert (nearest["rowLabel"], nearest["seats"][0]["label"]) == ("A", "S11")
    (asked, *_) = propose(client, hall, "quantity=2&ticketTypeId=1&accessible=true")
    assert places(asked) == [(1, 1, 9), (1, 1, 10)]
    body = {"eventId": hall, "bestAvailable": {"ticketTypeId": 1, "quantity": 2, "accessible": True}}
    held = fan.post("/api/reserve", body, prefer="wait=10").json["result"]
    assert [seat["seatNumber"] for seat in held["seats"]] == [9, 10]
    assert propose(client, hall, f"quantity=2&ticketTypeId=1&accessible=true&minVersion={held['version']}") == []
    refused = fan.post("/api/reserve", body, prefer="wait=10").json
    assert refused["problem"]["code"] == "no_block", "the other seats are not accessible"


def test_what_cannot_be_proposed(site: Site, hall: int) -> None:
    client = site.client()
    assert propose(client, hall, "quantity=21") == []
    for query, status, code in (
        ("quantity=0", 400, "invalid_request"),
        ("quantity=51", 400, "invalid_request"),
        ("ticketTypeId=1", 400, "invalid_request"),
        ("quantity=2&ticketTypeId=9", 404, "unknown_seats"),
        ("quantity=2&accessible=perhaps", 400, "invalid_request"),
    ):
        answer = client.get(f"/api/events/{hall}/proposals?{query}")
        assert (answer.status, answer.code) == (status, code), query
    assert client.get("/api/events/987654321/proposals?quantity=2").code == "unknown_event"
