"""What fans read before they buy: counts, seats and the live stream, over two gateways."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from db.events.seed import RoomSeed
from db.search.writing import index_events
from tests.acceptance.conftest import Site
from tests.client import Client, Stream

GATEWAYS = 2
FRESH_SECONDS = 1.0


def counts(client: Client, event_id: int, version: int | None = None) -> dict[int, tuple[int, int]]:
    """(availableCount, heldCount) by ticket type, asked with ``minVersion`` if given."""
    query = "" if version is None else f"?minVersion={version}"
    answer = client.get(f"/api/initial-call/{event_id}{query}")
    assert answer.status == 200
    assert version is None or answer.json["version"] >= version
    return {
        ticket["ticketTypeId"]: (ticket["availableCount"], ticket["heldCount"]) for ticket in answer.json["tickets"]
    }


def taken(client: Client, event_id: int, version: int | None = None) -> dict[tuple[int, int, int], str]:
    query = "" if version is None else f"?minVersion={version}"
    answer = client.get(f"/api/events/{event_id}/seats{query}").json
    return {(kind, row, seat): status for kind, row, seat, status in answer["taken"]}


def test_the_initial_call_says_it_all(site: Site) -> None:
    event_id = site.event()
    answer = site.client().get(f"/api/initial-call/{event_id}")
    assert answer.status == 200
    document = answer.json
    assert set(document) == {"event", "tickets", "room", "version"}
    event = document["event"]
    assert set(event) >= {"eventId", "name", "date", "venue", "onSaleAt", "currency"}
    assert (event["eventId"], event["name"], event["venue"], event["currency"]) == (
        event_id, "Nachtflug", "Kulturhalle", "EUR",
    )  # fmt: skip
    assert event["date"].endswith("Z")
    assert event["onSaleAt"].endswith("Z")
    assert document["tickets"] == [
        {"ticketTypeId": number, "ticketType": name, "price": price, "quantity": seats, "availableCount": seats,
         "heldCount": 0}
        for number, name, price, seats in ((1, "General", 4900, 60), (2, "VIP", 12900, 24))
    ]  # fmt: skip
    assert document["room"] == {"state": "open", "waiting": 0, "sale": "on_sale", "reason": ""}
    assert document["version"] == 0


def test_the_room_is_summed_up(site: Site) -> None:
    shut = RoomSeed(rate_per_minute=0, capacity=10)
    event_id = site.event(room=shut)
    for _ in range(2):
        assert site.fan().join(event_id).json["state"] == "waiting"
    assert site.client().get(f"/api/initial-call/{event_id}").json["room"] == {
        "state": "open",
        "waiting": 2,
        "sale": "on_sale",
        "reason": "",
    }
    off = site.event(room=RoomSeed(state="off"))
    assert site.client().get(f"/api/initial-call/{off}").json["room"]["state"] == "off"


def test_the_hall_lists_every_seat_and_only_what_is_not_free(site: Site) -> None:
    event_id = site.event()
    document = site.client().get(f"/api/events/{event_id}/seats").json
    assert set(document) == {"eventId", "version", "sections", "taken"}
    assert (document["eventId"], document["version"], document["taken"]) == (event_id, 0, [])
    assert [section["ticketTypeId"] for section in document["sections"]] == [1, 2]
    assert document["sections"][1]["rows"] == [
        {"rowNumber": row, "seatNumbers": [1, 2, 3, 4, 5, 6, 7, 8]} for row in (1, 2, 3)
    ]
    assert sum(len(row["seatNumbers"]) for row in document["sections"][0]["rows"]) == 60
    site.admitted_fan(event_id).buy(event_id, [(1, 2, 3)])
    fan = site.admitted_fan(event_id)
    held = fan.hold(event_id, [(2, 1, 8), (1, 6, 10)])
    assert taken(fan, event_id, held["version"]) == {
        (1, 2, 3): "booked", (2, 1, 8): "reserved", (1, 6, 10): "reserved",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/api/initial-call/{}", "/api/events/{}/seats"])
def test_an_unchanged_answer_is_not_sent_again(site: Site, path: str) -> None:
    event_id = site.event()
    path = path.format(event_id)
    first = site.client().get(path)
    tag = first.headers["ETag"]
    again = site.client().get(path, If_None_Match=tag)
    assert (again.status, again.content, again.headers["ETag"]) == (304, b"", tag)
    listed = site.client().get(path, If_None_Match=f'"other", {tag}')
    assert listed.status == 304
    assert site.client().get(path, If_None_Match='"other"').content == first.content
    held = site.admitted_fan(event_id).hold(event_id, [(1, 1, 1)])
    changed = site.client().get(f"{path}?minVersion={held['version']}", If_None_Match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/initial-call/{}", None),
        ("GET", "/api/events/{}/seats", None),
        ("GET", "/api/events/{}/live", None),
        ("POST", "/api/queue/{}", None),
        ("GET", "/api/queue/{}", None),
        ("GET", "/api/queue/{}/stream", None),
        ("POST", "/api/queue/{}/claim", None),
        ("DELETE", "/api/queue/{}", None),
        ("GET", "/api/reservations?eventId={}", None),
        ("POST", "/api/reserve", {"bestAvailable": {"ticketTypeId": 1, "quantity": 1}}),
        ("PUT", "/api/checkout", {"reservationId": "00000000-0000-7000-8000-000000000000", "captchaToken": "x"}),
        ("DELETE", "/api/reservations/00000000-0000-7000-8000-000000000000?eventId={}", None),
    ],
)
@pytest.mark.parametrize("event_id", [987_654_321, 2**53 - 1])
def test_an_unknown_event_is_said_to_be(
    site: Site, method: str, path: str, body: dict[str, Any] | None, event_id: int
) -> None:
    if body is not None:
        body = {"eventId": event_id, **body}
    answer = site.fan().call(method, path.format(event_id), body)
    assert (answer.status, answer.code) == (404, "unknown_event")


def test_an_event_made_after_it_was_asked_for_is_found(site: Site) -> None:
    event_id = site.event()
    later = event_id + 1
    assert site.client().get(f"/api/initial-call/{later}").code == "unknown_event"
    assert site.event() == later
    until = time.monotonic() + 4
    while site.client().get(f"/api/initial-call/{later}").status != 200:
        assert time.monotonic() < until, "unknown for ever"
        time.sleep(0.1)


def test_counts_follow_every_booking_at_both_gateways(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    here, there = site.client(0), site.client(1)
    assert counts(there, event_id) == {1: (60, 0), 2: (24, 0)}

    held = fan.hold(event_id, [(1, 1, 1), (1, 1, 2), (2, 1, 1)])
    for client in (here, there):
        assert counts(client, event_id, held["version"]) == {1: (58, 2), 2: (23, 1)}
        assert taken(client, event_id, held["version"])[1, 1, 2] == "reserved"
    other = fan.hold(event_id, [(1, 2, 1)])
    released = fan.release(event_id, other["reservationId"]).result
    assert other["version"] < released["version"]
    for client in (there, here):
        assert counts(client, event_id, released["version"]) == {1: (58, 2), 2: (23, 1)}
        assert (1, 2, 1) not in taken(client, event_id, released["version"])
    bought = fan.checkout(event_id, held["reservationId"]).result
    for client in (there, here):
        assert counts(client, event_id, bought["version"]) == {1: (58, 0), 2: (23, 0)}
        assert taken(client, event_id, bought["version"])[1, 1, 2] == "booked"
    failed = site.admitted_fan(event_id).reserve(event_id, [(1, 1, 1)]).problem
    assert failed["version"] >= bought["version"], "failures too say what they saw"


def test_ones_own_booking_is_never_missing(site: Site) -> None:
    """Thirty bookings at one gateway, each looked for at the other at once: with minVersion, then without."""
    event_id = site.event(seats_per_fan_max=100)
    fan = site.admitted_fan(event_id)
    other = fan.at(site.gateways[1].url)
    assert counts(other, event_id)[1] == (60, 0)
    for number in range(30):
        seat = (1, number // 10 + 1, number % 10 + 1)
        held = fan.hold(event_id, [seat])
        if number % 2:
            assert seat in taken(other, event_id, held["version"])
            assert counts(other, event_id, held["version"])[1] == (59 - number, number + 1)
        else:
            until = time.monotonic() + FRESH_SECONDS
            while seat not in taken(other, event_id):
                assert time.monotonic() < until, f"seat {seat} not shown after {FRESH_SECONDS} s"
        assert [hold["seats"][0]["seatNumber"] for hold in reservations(other, event_id)][-1] == seat[2]


def reservations(client: Client, event_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    return found


def test_a_version_that_never_comes_is_not_waited_for_long(site: Site) -> None:
    event_id = site.event()
    started = time.monotonic()
    answer = site.client().get(f"/api/initial-call/{event_id}?minVersion=1000000")
    assert answer.status == 200
    assert answer.json["version"] == 0
    assert time.monotonic() - started < 3


# -- the live stream


def seats_of_delta(document: dict[str, Any]) -> dict[tuple[int, int, int], str]:
    return {(kind, row, seat): status for kind, row, seat, status in document["seats"]}


def read_until(stream: Stream, version: int) -> list[dict[str, Any]]:
    """The documents of the stream's events up to this version; their ids are their versions."""
    documents = []
    while True:
        document = stream.data("snapshot", "seats", seconds_max=5)
        assert int(stream.seen[-1].id) == document["version"]
        documents.append(document)
        if document["version"] >= version:
            return documents


def test_a_snapshot_then_each_change_once_and_in_order(site: Site) -> None:
    event_id = site.event()
    site.admitted_fan(event_id).buy(event_id, [(2, 3, 8)])
    fan = site.admitted_fan(event_id)
    with site.client(0).stream(f"/api/events/{event_id}/live") as near:
        first = near.data(seconds_max=5)
        assert near.seen[0].event == "snapshot"
        assert near.retry_ms is not None
        assert first["taken"] == [[2, 3, 8, "booked"]]
        # Booked at one gateway, watched at the other.
        with site.client(1).stream(f"/api/events/{event_id}/live") as far:
            read_until(far, first["version"])
            held = fan.hold(event_id, [(1, 1, 1), (1, 1, 2)])
            fan.release(event_id, fan.hold(event_id, [(1, 3, 3)])["reservationId"])
            bought = fan.checkout(event_id, held["reservationId"]).result
            for stream in (near, far):
                deltas = read_until(stream, bought["version"])
                assert [delta["version"] for delta in deltas] == [first["version"] + step for step in range(1, 5)], (
                    "no gap, nothing twice"
                )
                assert [event.event for event in stream.seen[1:]] == ["seats"] * 4
                assert [seats_of_delta(delta) for delta in deltas] == [
                    {(1, 1, 1): "reserved", (1, 1, 2): "reserved"},
                    {(1, 3, 3): "reserved"},
                    {(1, 3, 3): "available"},
                    {(1, 1, 1): "booked", (1, 1, 2): "booked"},
                ]
                assert deltas[-1]["tickets"][0]["availableCount"] == 58
                assert deltas[-1]["tickets"][0]["heldCount"] == 0


def test_whoever_reconnects_goes_on_without_a_gap(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    live = f"/api/events/{event_id}/live"
    with site.client().stream(live) as stream:
        stream.next("snapshot")
        seen = fan.hold(event_id, [(1, 1, 1)])["version"]
        read_until(stream, seen)
    missed = [fan.hold(event_id, [(1, 1, seat)])["version"] for seat in (2, 3, 4)]
    counts(site.client(), event_id, missed[-1])
    with site.client().stream(live, Last_Event_ID=str(seen)) as stream:
        assert [delta["version"] for delta in read_until(stream, missed[-1])] == missed
        assert {event.event for event in stream.seen} == {"seats"}
        later = fan.hold(event_id, [(1, 1, 5)])["version"]
        assert [delta["version"] for delta in read_until(stream, later)] == [later]
    # Up to date already: nothing is repeated, what comes next is told.
    with site.client().stream(live, Last_Event_ID=str(later)) as stream:
        latest = fan.hold(event_id, [(1, 2, 5)])["version"]
        assert [delta["version"] for delta in read_until(stream, latest)] == [latest]
    # A gateway that never saw the deltas, a version from the future, and words: a snapshot.
    for gateway, last in ((1, str(seen)), (0, "99999"), (0, "abc"), (0, "-1"), (0, "9" * 40)):
        with site.client(gateway).stream(live, Last_Event_ID=last) as stream:
            document = stream.data(seconds_max=5)
            assert stream.seen[0].event == "snapshot", last
            assert document["version"] == latest
            assert len(document["taken"]) == 6


def test_a_lost_message_costs_a_snapshot_and_no_gap(site: Site) -> None:
    """The version goes up without a message, as when one is lost: streams and later readers start anew."""
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    live = f"/api/events/{event_id}/live"
    with site.client().stream(live) as stream:
        stream.next("snapshot")
        seen = fan.hold(event_id, [(1, 1, 1)])["version"]
        read_until(stream, seen)
        with psycopg.connect(site.database_url) as connection:
            connection.execute("UPDATE event SET version = version + 1 WHERE event_id = %s", (event_id,))
        document = stream.data("snapshot", seconds_max=3)
        assert document["version"] == seen + 1
        assert document["taken"] == [[1, 1, 1, "reserved"]]
        later = fan.hold(event_id, [(1, 1, 2)])["version"]
        assert later == seen + 2
        assert [delta["version"] for delta in read_until(stream, later)] == [later]
    with site.client().stream(live, Last_Event_ID=str(seen)) as stream:
        assert stream.data(seconds_max=5)["version"] == later
        assert stream.seen[0].event == "snapshot"


# -- events


def test_events_are_listed_page_by_page(site: Site) -> None:
    made = {site.event() for _ in range(3)}
    listed: list[int] = []
    cursor = ""
    for _ in range(100):
        answer = site.client().get(
            f"/api/events?q=nachtflug&limit=2&cursor={cursor}" if cursor else "/api/events?limit=2"
        )
        assert answer.status == 200
        assert len(answer.json["events"]) <= 2
        listed += [event["eventId"] for event in answer.json["events"]]
        cursor = answer.json.get("cursor") or ""
        if not cursor:
            break
    assert made <= set(listed)
    assert len(listed) == len(set(listed))
    assert site.client().get("/api/events?q=no-such-name").json["events"] == []


def test_the_page_lists_events_to_come(site: Site) -> None:
    """By date, what is over would stand before them for ever."""
    begun, over = site.event(), site.event()
    with psycopg.connect(site.database_url) as connection:
        for event_id, hours in ((begun, 2), (over, 24)):
            connection.execute(
                "UPDATE event SET date = now() - make_interval(hours => %s), name = 'Matinee' WHERE event_id = %s",
                (hours, event_id),
            )
        index_events(connection, [begun, over])
    for query in ("", "?q=matinee"):
        page = site.client().get(f"/{query}").content.decode()
        assert f'"/events/{begun}"' in page
        assert f'"/events/{over}"' not in page
    found = site.client().get("/api/events?q=matinee").json["events"]
    assert [event["eventId"] for event in found] == [over, begun]


def test_the_list_reads_no_hall(site: Site) -> None:
    event_id = site.event()
    client = site.client()
    with psycopg.connect(site.database_url) as connection:
        # Whoever reads a seat waits for this transaction.
        connection.execute("LOCK TABLE seat IN ACCESS EXCLUSIVE MODE")
        page = client.get("/?q=nachtflgu")
        found = client.get("/api/events?q=nachtflgu&sort=relevance&facets=true&suggest=true")
    assert page.status == 200
    assert f'href="/events/{event_id}"' in page.content.decode()
    assert event_id in [event["eventId"] for event in found.json["events"]]
    assert found.json["facets"]["total"] == len(found.json["events"])
    assert found.json["suggestions"] == [{"text": "Nachtflug", "kind": "event"}], "a guess"
    assert found.headers["cache-control"].startswith("public, max-age=0, s-maxage=5")
    again = client.get(
        "/api/events?q=nachtflgu&sort=relevance&facets=true&suggest=true", if_none_match=found.headers["etag"]
    )
    assert again.status == 304
