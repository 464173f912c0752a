"""The booking engine against a table of seats: thousands of commands in batches of any kind."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from db.audit import audit
from tests.property.engine_machine import GRACE_SECONDS, machine_on

pytestmark = pytest.mark.deep

STEPS = 20


def test_no_sequence_of_batches_parts_the_engine_from_its_model(database_url: str) -> None:
    with machine_on(database_url) as machine:
        run_state_machine_as_test(
            machine, settings=settings(stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))
        )
    print(machine.happened.total(), "commands", machine.happened)
    broken = audit(database_url, grace_seconds=GRACE_SECONDS)
    assert broken == [], broken
