"""Operators see the lanes and give an event another one, over the API, while it is sold."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.conftest import OPERATOR, Site
from tests.client import Answer, Client
from tests.waiting import await_that

WORKERS = 2
ENVIRON = {"ADMITONE_LANES": "2"}
LANES = "/api/ops/lanes"
MOVES = f"{LANES}/moves"


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


def lanes(operator: Client) -> dict[int, dict[str, Any]]:
    return {one["lane"]: one for one in operator.get(LANES).json["lanes"]}


def put(operator: Client, path: str, body: object) -> Answer:
    return operator.call("PUT", path, body)


def moved(operator: Client, event_id: int, lane: int | None) -> Answer:
    return operator.post(MOVES, {"eventId": event_id, "lane": lane})


def test_an_event_is_moved_to_another_lane_and_sold_there(site: Site, operator: Client) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    home, other = event_id % 2, 1 - event_id % 2
    assert all(one["hasWorker"] and one["sharesEvents"] for one in lanes(operator).values())
    answer = moved(operator, event_id, other)
    assert (answer.status, answer.json["madeBy"]) == (200, OPERATOR)
    assert [event["eventId"] for event in lanes(operator)[other]["movedHere"]] == [event_id]
    fan.buy(event_id, [(1, 1, 1)])
    await_that(lambda: not lanes(operator)[home]["handsOver"], 20, what="the old lane has handed over")
    back = moved(operator, event_id, None)
    assert back.status == 200
    assert not any(one["movedHere"] for one in back.json["lanes"])


def test_a_lane_without_a_worker_is_refused_and_nothing_changes(site: Site, operator: Client) -> None:
    event_id = site.event()
    before = operator.get(LANES).json
    refused = moved(operator, event_id, 9)
    assert (refused.status, refused.code) == (409, "lane_refused")
    assert "admitone worker --part lanes --lane 9" in refused.json["detail"]
    refused = put(operator, LANES, {"count": 3})
    assert (refused.status, refused.code) == (409, "lane_refused")
    assert moved(operator, 999999, 0).code == "unknown_event"
    assert operator.post(MOVES, {"eventId": event_id}).status == 400
    after = operator.get(LANES).json
    assert (after["revision"], after["count"]) == (before["revision"], before["count"])


def test_the_number_of_lanes_is_lowered_and_raised(operator: Client) -> None:
    for number in (1, 2):
        assert put(operator, LANES, {"count": number}).json["count"] == number
        await_that(lambda: not any(one["handsOver"] for one in lanes(operator).values()), 20, what="handed over")
    assert sorted(lanes(operator)) == [0, 1]
