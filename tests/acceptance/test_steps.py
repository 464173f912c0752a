"""Steps that operators schedule: set at their moment, once, by whichever gateway, in the name of who scheduled them."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import psycopg
import pytest

from db.rooms.steps import STEPS_MAX
from tests.acceptance.conftest import OPERATOR, Site
from tests.acceptance.test_operators import log_of, room_of, within
from tests.client import Client

ON_TIME_SECONDS = 1.0
LOADED_SECONDS = 5.0
"""What a loaded machine may add before the test sees a change. Postgres' own clock judges whether it was on time."""


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator(0)


def ahead(site: Site, seconds: float) -> str:
    """A moment to come, by Postgres' clock."""
    with psycopg.connect(site.database_url) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    now: dt.datetime = row[0]
    return (now + dt.timedelta(seconds=seconds)).astimezone(dt.UTC).isoformat()


def steps_of(client: Client, event_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/api/ops/rooms/{event_id}/steps").json["steps"]
    return found


def test_a_step_is_set_at_its_moment_and_logged_once_in_its_operators_name(site: Site, operator: Client) -> None:
    event_id = site.event()
    path = f"/api/ops/rooms/{event_id}/steps"
    # Far enough for a slow machine to look at both before the first is due.
    first, second = ahead(site, 3.0), ahead(site, 4.5)
    later = operator.post(path, {"at": second, "ratePerMinute": 400, "capacity": 9})
    sooner = operator.post(path, {"at": first, "ratePerMinute": 200, "why": "the doors open"})
    assert (sooner.status, later.status) == (201, 201)
    assert sooner.json["sets"] == {"ratePerMinute": 200}
    assert sooner.json["scheduledBy"] == OPERATOR
    assert [step["stepId"] for step in steps_of(operator, event_id)] == [sooner.json["stepId"], later.json["stepId"]]
    assert room_of(operator, event_id)["ratePerMinute"] != 200
    within(5.5 + LOADED_SECONDS, lambda: room_of(operator, event_id)["ratePerMinute"] == 400)
    assert room_of(operator, event_id)["capacity"] == 9
    assert steps_of(operator, event_id) == []
    lines = [line for line in log_of(operator, event_id) if line["field"] != "steps"]
    rates = [line for line in lines if line["field"] == "rate_per_minute"]
    assert [line["to"] for line in rates] == ["400", "200"]
    assert {line["operator"] for line in lines} == {OPERATOR}
    for line, asked in zip(rates, (second, first), strict=True):
        late = dt.datetime.fromisoformat(line["at"]) - dt.datetime.fromisoformat(asked)
        assert dt.timedelta(0) <= late
        assert late < dt.timedelta(seconds=ON_TIME_SECONDS + LOADED_SECONDS)
        assert "scheduled for" in line["why"]
    assert rates[1]["why"].endswith(": the doors open")


def test_a_step_taken_back_is_not_set(site: Site, operator: Client) -> None:
    event_id = site.event()
    path = f"/api/ops/rooms/{event_id}/steps"
    kept = operator.post(path, {"at": ahead(site, 4.0), "capacity": 11}).json
    gone = operator.post(path, {"at": ahead(site, 3.0), "paused": True}).json
    assert operator.call("DELETE", f"{path}/{gone['stepId']}").status == 204
    again = operator.call("DELETE", f"{path}/{gone['stepId']}")
    assert (again.status, again.code) == (404, "unknown_step")
    assert [step["stepId"] for step in steps_of(operator, event_id)] == [kept["stepId"]]
    within(5.0 + LOADED_SECONDS, lambda: room_of(operator, event_id)["capacity"] == 11)
    assert room_of(operator, event_id)["paused"] is False
    changes = [line for line in log_of(operator, event_id) if line["field"] == "steps"]
    assert [(bool(line["from"]), bool(line["to"])) for line in changes] == [(True, False), (False, True), (False, True)]


def test_after_an_outage_what_the_last_due_step_sets_counts(site: Site, operator: Client) -> None:
    event_id = site.event()
    path = f"/api/ops/rooms/{event_id}/steps"
    for seconds, sets in ((3600, {"ratePerMinute": 200, "capacity": 7}), (7200, {"ratePerMinute": 400})):
        assert operator.post(path, {"at": ahead(site, seconds), **sets}).status == 201
    # No gateway was up at either moment: for the sale it is as if three hours had passed at once.
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE room_step SET at = at - interval '3 hours' WHERE event_id = %s", (event_id,))
    within(1 + LOADED_SECONDS, lambda: steps_of(operator, event_id) == [])
    room = room_of(operator, event_id)
    assert (room["ratePerMinute"], room["capacity"]) == (400, 7)
    lines = log_of(operator, event_id)
    assert [line["to"] for line in lines if line["field"] == "rate_per_minute"] == ["400"]


def test_a_step_that_cannot_be_is_refused_and_changes_nothing(site: Site, operator: Client) -> None:
    event_id = site.event()
    path = f"/api/ops/rooms/{event_id}/steps"
    soon = ahead(site, 600)
    for body, at_fault in (
        ({"at": ahead(site, -1), "ratePerMinute": 5}, "$.at"),
        ({"at": ahead(site, 400 * 86_400), "ratePerMinute": 5}, "$.at"),
        ({"at": soon}, "$"),
        ({"at": soon, "ratePerMinute": -1}, "$.ratePerMinute"),
        ({"at": soon, "message": "Doors"}, "$"),
        ({"at": "10:00", "ratePerMinute": 5}, "$.at"),
    ):
        refused = operator.post(path, body)
        assert (refused.status, refused.code) == (400, "invalid_request"), body
        assert refused.json["errors"][0]["path"] == at_fault, body
    assert operator.post("/api/ops/rooms/999999/steps", {"at": soon, "capacity": 1}).code == "unknown_event"
    revision = room_of(operator, event_id)["revision"]
    assert operator.patch(f"/api/ops/rooms/{event_id}", {"capacity": 8}).status == 200
    assert operator.post(path, {"at": soon, "capacity": 9, "revision": revision}).code == "conflict"
    assert steps_of(operator, event_id) == []


def test_a_room_has_so_many_steps_and_no_more(site: Site, operator: Client) -> None:
    event_id = site.event()
    path = f"/api/ops/rooms/{event_id}/steps"
    at = ahead(site, 3600)
    for number in range(STEPS_MAX):
        assert operator.post(path, {"at": at, "capacity": number}).status == 201
    refused = operator.post(path, {"at": at, "capacity": 1})
    assert (refused.status, refused.code) == (409, "too_many_steps")
    assert len(steps_of(operator, event_id)) == STEPS_MAX


def test_a_step_that_the_room_no_longer_allows_is_told_in_the_log(site: Site, operator: Client) -> None:
    event_id = site.event()
    path = f"/api/ops/rooms/{event_id}/steps"
    assert operator.post(path, {"at": ahead(site, 3600), "paused": True}).status == 201
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE room SET state = 'off' WHERE event_id = %s", (event_id,))
        connection.execute("UPDATE room_step SET at = clock_timestamp() WHERE event_id = %s", (event_id,))
    started = time.monotonic()
    within(1 + LOADED_SECONDS, lambda: log_of(operator, event_id)[0]["why"].startswith("not set: "))
    assert time.monotonic() - started < 1 + LOADED_SECONDS
    assert log_of(operator, event_id)[0]["from"].endswith("paused=true")
