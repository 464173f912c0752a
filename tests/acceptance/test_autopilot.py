"""The autopilot on a real gateway: it holds the door below the ceiling, says why, and lets go when told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from db.events.seed import RoomSeed
from tests.acceptance.conftest import Site
from tests.client import Client


def room_when(operator: Client, event_id: int, told: Callable[[dict[str, Any]], bool], seconds: float = 8) -> Any:
    until = time.monotonic() + seconds
    while True:
        room = operator.get(f"/api/ops/rooms/{event_id}").json
        if told(room):
            return room
        assert time.monotonic() < until, room
        time.sleep(0.2)


def test_it_steers_below_the_ceiling_and_says_why(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=600, capacity=2))
    operator = site.operator()
    before = operator.get(f"/api/ops/rooms/{event_id}").json
    assert (before["rateNowPerMinute"], before["autopilotWhy"]) == (600, "")
    fans = [site.fan() for _ in range(4)]
    for fan in fans:
        fan.join(event_id)
    operator.patch(f"/api/ops/rooms/{event_id}", {"autopilot": True, "why": "let it steer"})
    steered = room_when(operator, event_id, lambda room: room["rateNowPerMinute"] < 600)
    assert steered["rateNowPerMinute"] >= 150, "a quarter of the ceiling to begin with"
    assert steered["autopilotWhy"]
    full = room_when(operator, event_id, lambda room: room["waiting"] == 2 and "at once" in room["autopilotWhy"])
    assert full["ratePerMinute"] == 600, "the operator's own rate is only the ceiling"
    operator.patch(f"/api/ops/rooms/{event_id}", {"ratePerMinute": 100})
    room_when(operator, event_id, lambda room: room["rateNowPerMinute"] <= 100)
    operator.patch(f"/api/ops/rooms/{event_id}", {"ratePerMinute": 600, "autopilot": False})
    released = room_when(operator, event_id, lambda room: room["rateNowPerMinute"] == 600)
    assert released["autopilotWhy"] == ""
