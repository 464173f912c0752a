"""The line against its model: thousands of steps in any order (`make test-deep`: hundreds of thousands)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from redis import Redis

from tests.property.line_machine import machine_on

pytestmark = pytest.mark.deep

STEPS = 50


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, socket_timeout=10) as client:
        yield client


def test_no_sequence_of_operations_parts_the_line_from_its_model(client: Redis) -> None:
    machine = machine_on(client)
    run_state_machine_as_test(
        machine, settings=settings(stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))
    )
    print(machine.happened.total(), "operations", machine.happened)
