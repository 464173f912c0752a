"""The negative control of `test_redis_loss`: without the window a newcomer overtakes, and it is noticed."""

from __future__ import annotations

import pytest

from db.events.seed import RoomSeed
from tests.client import Fan
from tests.factories import make_event, plan_event
from tests.faults.conftest import Valkey
from tests.faults.test_redis_loss import REBUILD_SECONDS
from tests.services import Services
from tests.waiting import await_that


@pytest.mark.parametrize("rebuild_seconds", [REBUILD_SECONDS, 0])
def test_without_the_window_a_newcomer_overtakes(
    services: Services, database_url: str, valkey: Valkey, rebuild_seconds: int
) -> None:
    """The negative control; with the window, the same race is fair. No worker has recorded that the room was open."""
    gateway = services.gateway(ADMITONE_CONNECTED_SECONDS="2", ADMITONE_REBUILD_SECONDS=str(rebuild_seconds))
    event_id = make_event(database_url, plan_event(room=RoomSeed(rate_per_minute=60_000, capacity=1)))
    inside, waiting, newcomer = (Fan.arrive(gateway.url) for _ in range(3))
    assert inside.join(event_id).json["state"] == "admitted"
    token = waiting.join(event_id).json["token"]
    valkey.flush()

    def came_in() -> bool:
        # The newcomer is always the quicker one.
        answered = newcomer.join(event_id).status != 503
        waiting.poll(event_id, place_token=token)
        return answered

    await_that(came_in)
    overtaken = newcomer.poll(event_id).json["state"] == "admitted"
    assert overtaken == (rebuild_seconds == 0)
