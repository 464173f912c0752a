"""A gateway of a group, over HTTP: what it serves it answers, and everything else it refuses by name."""

from __future__ import annotations

import pytest

from tests.client import Client
from tests.factories import make_event
from tests.services import Services


@pytest.fixture
def events(database_url: str) -> tuple[int, int]:
    return make_event(database_url), make_event(database_url)


def test_a_gateway_refuses_what_another_group_serves(services: Services, events: tuple[int, int]) -> None:
    own, other = events
    gateway = Client(services.gateway(ADMITONE_GATEWAY_SERVE="pages,search", ADMITONE_GATEWAY_EVENTS=str(own)).url)
    for path in (f"/events/{own}", f"/de/events/{own}", "/api/events", "/health/live"):
        assert gateway.call("GET", path).status == 200, path
    refused = [
        gateway.call("GET", f"/de/events/{other}"),
        gateway.call("POST", "/api/session"),
        gateway.call("GET", f"/api/events/{own}"),
        gateway.call("GET", f"/gate/{own}"),
    ]
    assert [(answer.status, answer.code) for answer in refused] == [(421, "not_served_here")] * len(refused)
