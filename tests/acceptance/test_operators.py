"""The door's controls: every change in force within a second, at the other gateway, and written down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from db.events.seed import RoomSeed
from tests.acceptance.conftest import OPERATOR, Site
from tests.client import Client, Fan

GATEWAYS = 2
EFFECTIVE_SECONDS = 1.0
ONE_AT_A_TIME = RoomSeed(rate_per_minute=60_000, capacity=1)
FIELDS = {
    "ratePerMinute": 120,
    "capacity": 7,
    "lineCap": 9,
    "claimWindowSeconds": 33,
    "passSeconds": 77,
    "paused": True,
    "autopilot": True,
}


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator(0)


@pytest.fixture(scope="module")
def other(site: Site, operator: Client) -> Client:
    """The same operator at the other gateway."""
    client = site.client(1)
    client.headers = dict(operator.headers)
    return client


def room_of(client: Client, event_id: int) -> dict[str, Any]:
    answer = client.get(f"/api/ops/rooms/{event_id}")
    assert answer.status == 200, answer.content
    found: dict[str, Any] = answer.json
    return found


def log_of(client: Client, event_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/api/ops/rooms/{event_id}/log").json["entries"]
    return found


def shows(client: Client, event_id: int, field: str, value: object) -> bool:
    return bool(room_of(client, event_id)[field] == value)


def within(seconds: float, condition: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not in force after {seconds} s"
        time.sleep(0.02)


def test_a_room_in_numbers(site: Site, operator: Client) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=60_000, capacity=3))
    fans = [site.fan() for _ in range(5)]
    for fan in fans:
        fan.join(event_id)
    fans[0].hold(event_id, [(1, 1, 1), (1, 1, 2)])
    hold = fans[1].hold(event_id, [(2, 1, 1)])
    fans[1].checkout(event_id, hold["reservationId"])
    within(3, lambda: room_of(operator, event_id)["called"] == 1)
    room = room_of(operator, event_id)
    assert set(room) >= {
        "state", "waiting", "called", "admitted", "ratePerMinute", "capacity", "lineCap", "paused", "autopilot",
        "noShowRate", "p95BookingMs", "backlog", "sold", "held", "free",
    }  # fmt: skip
    expected = {
        "eventId": event_id, "name": "Nachtflug", "state": "open", "waiting": 1, "called": 1, "admitted": 2,
        "ratePerMinute": 60_000, "capacity": 3, "lineCap": 5000, "paused": False, "autopilot": False,
        "sold": 1, "held": 2, "free": 81, "backlog": 0,
    }  # fmt: skip
    assert {name: room[name] for name in expected} == expected
    within(3, lambda: (room_of(operator, event_id)["p95BookingMs"] or 0) > 0)
    listed = {listed["eventId"]: listed for listed in operator.get("/api/ops/rooms").json["rooms"]}
    assert listed[event_id]["free"] == 81


def test_what_a_fan_cannot_have_is_no_fault_of_the_sale(site: Site, operator: Client) -> None:
    event_id = site.event()
    first, second = site.admitted_fan(event_id), site.admitted_fan(event_id)
    first.hold(event_id, [(1, 1, 1)])
    assert second.reserve(event_id, [(1, 1, 1)]).code == "seats_taken"
    within(3, lambda: room_of(operator, event_id)["errors"].get("seats_taken", 0) > 0)
    room = room_of(operator, event_id)
    assert room["faults"] == sum(room["errors"].get(code, 0) for code in ("timed_out", "internal_error"))
    assert room["newcomer"]["stock"]["held"] == 1


def test_takings_are_what_the_sold_seats_cost(site: Site, operator: Client) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    hold = fan.hold(event_id, [(1, 1, 1), (1, 1, 2)])
    assert room_of(operator, event_id)["takings"] == 0
    bought = fan.checkout(event_id, hold["reservationId"])
    paid = fan.get(f"/api/purchases/{bought.result['purchaseId']}").json["totalAmount"]
    assert paid > 0
    within(3, lambda: room_of(operator, event_id)["takings"] == paid)


def test_each_change_is_in_force_within_a_second_everywhere(site: Site, operator: Client, other: Client) -> None:
    event_id = site.event()
    assert room_of(other, event_id)["revision"] == 1
    for number, (field, value) in enumerate(FIELDS.items(), 2):
        answer = operator.patch(f"/api/ops/rooms/{event_id}", {field: value, "why": f"because {field}"})
        changed_at = time.monotonic()
        assert answer.status == 200
        assert answer.json[field] == value
        assert answer.json["revision"] == number
        within(EFFECTIVE_SECONDS, partial(shows, other, event_id, field, value))
        assert time.monotonic() - changed_at < EFFECTIVE_SECONDS
    lines = log_of(other, event_id)
    assert [line["operator"] for line in lines] == [OPERATOR] * len(FIELDS)
    assert {line["why"] for line in lines} == {f"because {field}" for field in FIELDS}
    told = {line["field"]: (line["from"], line["to"]) for line in lines}
    assert told["capacity"] == ("100000", "7")
    assert told["state"] == ("open", "paused")
    assert told["autopilot"] == ("false", "true")
    assert [line["at"] for line in lines] == sorted((line["at"] for line in lines), reverse=True)


def test_a_change_is_told_to_be_in_force_when_every_gateway_goes_by_it(
    site: Site, operator: Client, other: Client
) -> None:
    event_id = site.event()
    assert room_of(operator, event_id)["gateways"] == GATEWAYS
    # The other one hears of it only when it goes on: each tells for itself, and could be as quick as the answer.
    os.kill(site.gateways[1].pid, signal.SIGSTOP)
    try:
        changed = operator.patch(f"/api/ops/rooms/{event_id}", {"capacity": 9}).json
    finally:
        os.kill(site.gateways[1].pid, signal.SIGCONT)
    assert changed["gatewaysInForce"] < GATEWAYS
    within(5, partial(shows, other, event_id, "gatewaysInForce", GATEWAYS))
    assert shows(other, event_id, "revision", 2)


def test_fans_let_in_are_counted(site: Site, operator: Client) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=60_000, capacity=2))
    fans = [site.fan() for _ in range(4)]
    for fan in fans:
        fan.join(event_id)
    within(3, partial(shows, operator, event_id, "letIn", 2))
    assert shows(operator, event_id, "waiting", 2)
    operator.patch(f"/api/ops/rooms/{event_id}", {"capacity": 3})
    within(3, partial(shows, operator, event_id, "letIn", 3))


def test_two_operators_do_not_overwrite_each_other_blindly(site: Site, operator: Client, other: Client) -> None:
    event_id = site.event()
    path = f"/api/ops/rooms/{event_id}"
    looked_at = room_of(operator, event_id)["revision"]
    assert other.patch(path, {"lineCap": 70, "why": "crowded", "revision": looked_at}).status == 200
    refused = operator.patch(path, {"lineCap": 90, "revision": looked_at})
    assert (refused.status, refused.code) == (409, "conflict")
    assert refused.json["revision"] == looked_at + 1
    (told,) = refused.json["changes"]
    expected = {"field": "line_cap", "from": "5000", "to": "70", "operator": OPERATOR, "why": "crowded"}
    assert told.items() >= expected.items()
    assert shows(operator, event_id, "lineCap", 70)
    assert operator.patch(path, {"lineCap": 90, "revision": looked_at + 1}).json["lineCap"] == 90


def test_the_last_hour_is_the_same_everywhere(site: Site, operator: Client, other: Client) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=0))
    site.fan().join(event_id)
    room_of(operator, event_id)
    history = f"/api/ops/rooms/{event_id}/history"
    within(30, lambda: 1 in operator.get(history).json["waiting"])
    hour = operator.get(history).json
    assert {len(column) for name, column in hour.items() if name != "seconds"} == {len(hour["at"])}
    assert time.time() - 60 < hour["at"][-1] < time.time() + 60
    assert other.get(history).json["waiting"][: len(hour["waiting"])] == hour["waiting"]


def test_a_change_without_difference_is_none(site: Site, operator: Client) -> None:
    event_id = site.event()
    assert operator.patch(f"/api/ops/rooms/{event_id}", {"lineCap": 5000}).json["revision"] == 1
    assert log_of(operator, event_id) == []


def test_capacity_opens_the_door_at_the_other_gateway(site: Site, operator: Client) -> None:
    event_id = site.event(room=ONE_AT_A_TIME)
    site.admitted_fan(event_id)
    fan = site.fan(1)
    fan.join(event_id)
    with fan.line(event_id) as line:
        line.next("place")
        changed_at = time.monotonic()
        operator.patch(f"/api/ops/rooms/{event_id}", {"capacity": 2, "claimWindowSeconds": 44})
        called = line.data("called", seconds_max=3)
        assert time.monotonic() - changed_at < EFFECTIVE_SECONDS
    assert 0 < called["claimBySeconds"] <= 60


def test_the_claim_window_and_the_pass_are_as_set(site: Site, operator: Client) -> None:
    event_id = site.event(room=ONE_AT_A_TIME)
    inside = site.admitted_fan(event_id)
    fan = site.fan(1)
    fan.join(event_id)
    operator.patch(f"/api/ops/rooms/{event_id}", {"claimWindowSeconds": 44, "passSeconds": 10})
    with fan.line(event_id) as line:
        line.next("place")
        inside.leave(event_id)
        assert 42 <= line.data("called")["claimBySeconds"] <= 44
    assert 42 <= fan.poll(event_id).json["claimBySeconds"] <= 44
    fan.claim(event_id)
    with site.redis() as redis:
        end_ms = redis.zscore(f"room:{{{event_id}}}:admitted", str(fan.user_id))
        seconds, _ = redis.time()
    assert 8 <= end_ms / 1000 - seconds <= 11


def test_the_rate_is_kept_across_gateways(site: Site, operator: Client) -> None:
    """Sixty a minute, whoever asks: after two seconds no more than the first and one a second are in."""
    event_id = site.event(room=RoomSeed(rate_per_minute=0, capacity=100))
    fans = [site.fan(number % 2) for number in range(12)]
    for fan in fans:
        fan.join(event_id)
    operator.patch(f"/api/ops/rooms/{event_id}", {"ratePerMinute": 60})
    started = time.monotonic()
    while time.monotonic() - started < 2.2:
        states = [fan.poll(event_id).json["state"] for fan in fans]
    elapsed = time.monotonic() - started
    called = states.count("called")
    assert 2 <= called <= 1 + elapsed + 1
    assert states[:called] == ["called"] * called, "in the order they came"


def test_closing_wins_over_pausing(site: Site, operator: Client, other: Client) -> None:
    event_id = site.event()
    path = f"/api/ops/rooms/{event_id}"
    assert operator.patch(path, {"closed": True}).json["state"] == "closed"
    # At once at the other gateway, which must not think the room open still.
    assert other.patch(path, {"paused": True}).json["state"] == "closed"
    assert operator.patch(path, {"paused": False}).json["state"] == "closed"
    assert other.patch(path, {"closed": False}).json["state"] == "open"
    assert operator.patch(path, {"paused": True}).json["state"] == "paused"
    assert other.patch(path, {"paused": False}).json["state"] == "open"
    off = site.event(room=RoomSeed(state="off"))
    assert operator.patch(f"/api/ops/rooms/{off}", {"paused": True}).code == "invalid_request"


BAD: list[Any] = [
    {},
    {"why": "nothing named"},
    {"ratePerMinute": -1},
    {"ratePerMinute": 1_000_001},
    {"ratePerMinute": 2**63},
    {"ratePerMinute": 1.5},
    {"ratePerMinute": "300"},
    {"ratePerMinute": None},
    {"capacity": -1},
    {"lineCap": 5_000_001},
    {"claimWindowSeconds": 0},
    {"claimWindowSeconds": 3601},
    {"passSeconds": 4},
    {"passSeconds": 86_401},
    {"paused": 1},
    {"paused": "yes"},
    {"closed": None},
    {"state": "open"},
    {"unknown": 1},
    {"capacity": 5, "unknown": 1},
    {"capacity": 5, "why": "x" * 501},
    {"capacity": 5, "why": "nul\0"},
    [],
    "paused",
    None,
]


@pytest.mark.parametrize("body", BAD, ids=lambda body: json.dumps(body)[:40])
def test_bad_values_change_nothing(site: Site, operator: Client, body: object, event: int) -> None:
    before = room_of(operator, event)
    answer = operator.call("PATCH", f"/api/ops/rooms/{event}", raw=json.dumps(body).encode())
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["detail"]
    assert room_of(operator, event)["revision"] == before["revision"]


@pytest.fixture(scope="module")
def event(site: Site) -> int:
    return site.event()


def test_a_fan_steers_nothing(site: Site, operator: Client, event: int) -> None:
    fan: Fan = site.fan()
    revision = room_of(operator, event)["revision"]
    assert fan.patch(f"/api/ops/rooms/{event}", {"closed": True}).code == "not_operator"
    assert room_of(operator, event)["revision"] == revision


@pytest.mark.parametrize("path", ["/api/ops/rooms/{}", "/api/ops/rooms/{}/log", "/api/ops/rooms/{}/history"])
def test_unknown_rooms_are_said_to_be(operator: Client, path: str) -> None:
    answer = operator.get(path.format(987_654_321))
    assert (answer.status, answer.code) == (404, "unknown_event")


def test_an_unknown_room_cannot_be_steered(operator: Client) -> None:
    answer = operator.patch("/api/ops/rooms/987654321", {"capacity": 1})
    assert (answer.status, answer.code) == (404, "unknown_event")


def test_the_console_hears_every_room_each_second(site: Site, operator: Client, other: Client) -> None:
    event_id = site.event()
    room_of(other, event_id)
    with other.stream("/api/ops/stream") as stream:

        def next_of_event() -> dict[str, Any]:
            while True:
                room: dict[str, Any] = stream.data("room", seconds_max=3)
                if room["eventId"] == event_id:
                    return room

        assert stream.retry_ms is None or stream.retry_ms > 0
        assert next_of_event()["capacity"] == 100_000
        first_at = time.monotonic()
        for _ in range(3):
            next_of_event()
        # One that was late on its way has the next one sooner behind it.
        assert 2 < time.monotonic() - first_at < 3 * 3
        operator.patch(f"/api/ops/rooms/{event_id}", {"capacity": 12})
        changed_at = time.monotonic()
        within(3, lambda: next_of_event()["capacity"] == 12)
        assert time.monotonic() - changed_at < EFFECTIVE_SECONDS + 0.5
        fan = site.admitted_fan(event_id)
        fan.hold(event_id, [(1, 1, 1)])
        within(3, lambda: next_of_event()["held"] == 1)


def test_the_console_hears_on_after_a_moment_without_redis(site: Site, operator: Client) -> None:
    event_id = site.event()
    room_of(operator, event_id)
    with operator.stream("/api/ops/stream") as stream, site.redis() as client:
        stream.next("room", seconds_max=3)
        client.execute_command("ACL", "SETUSER", "default", "-mget")
        try:
            with contextlib.suppress(AssertionError):
                while True:
                    stream.next("room", seconds_max=2.5)
        finally:
            client.execute_command("ACL", "SETUSER", "default", "+mget")
        stream.next("room", seconds_max=5)
